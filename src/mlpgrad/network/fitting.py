"""Threads: which thread fits a network, and how others read its weights during the fit.

While a thread fits a network, its weights change gradually, so `predict`, `evaluate` and `save` in
another thread must not read them directly. They request a copy, which the training loop makes when
the weights are consistent: between two steps, or at once while callbacks run. This costs nothing
without requests: the loop checks one attribute after each step, which it does for `stop_training`
anyway.
"""

from __future__ import annotations

import copy
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Generic, Self, TypeVar

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad._core.options import assignments
from mlpgrad.network.randomness import Seeded

AnyNetwork = TypeVar("AnyNetwork", bound="Threaded")

Weights = tuple[Array, Array]
"""Parameters and statistics at one point in time."""

_claims = threading.Lock()
_optimizers: dict[int, tuple[int, Any]] = {}  # in running fits: the thread, and the object
_running: set[Fitting] = set()
_networks: weakref.WeakValueDictionary[int, Threaded] = weakref.WeakValueDictionary()


class Fitting:
    """A running fit: its threads, and whether the weights are consistent at the moment.

    Parameters
    ----------
    network : Threaded
    """

    def __init__(self, network: Threaded) -> None:
        self.network = network
        self.lock = threading.Condition()
        """Held while all weights are read, or written outside of a step."""
        self._threads = {threading.get_ident()}
        self._whole = True
        self._ended = False
        self._asked = False
        self._served: Weights | None = None

    def join(self) -> None:
        """Add the calling thread to those that fit."""
        self._threads.add(threading.get_ident())

    def here(self) -> bool:
        """Return whether the calling thread is a fitting one, which may read weights directly."""
        return threading.get_ident() in self._threads

    # the loop

    def open(self) -> None:
        """Declare the weights consistent until `close`; only user code runs meanwhile."""
        self._whole = True
        if self.network._attention:
            self.serve()

    def close(self) -> None:
        """Declare that steps follow, after waiting for current readers."""
        self._whole = False
        if self.network._attention:
            self.serve()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Context manager that opens, and restores the previous state at the end."""
        before = self._whole
        self.open()
        try:
            yield
        finally:
            if not before:
                self.close()

    def serve(self) -> None:
        """Copy the weights for requests; the loop calls it between two steps."""
        network = self.network
        with self.lock:
            network._attention = False
            if network.stop_training:  # in this order, since it may be set concurrently
                network._attention = True
            if self._asked:
                self._asked, self._served = False, self._copies()
                self.lock.notify_all()

    def end(self) -> None:
        """Declare that no more steps follow."""
        with self.lock:
            self._whole = self._ended = True
            self.network._fitting = None
            self.lock.notify_all()

    # another thread

    def read(self) -> Weights | None:
        """Return consistent copies of the weights; None if the fit has ended."""
        with self.lock:
            self.network._attention = True  # before `_whole` is read: see `close`
            before = self._served
            while not self._whole:
                self._asked = True
                self.lock.wait()
                if self._served is not before:
                    return self._served
            return None if self._ended else self._copies()

    def _copies(self) -> Weights:
        return self.network._params.copy(), self.network._state.copy()


@contextmanager
def fitted(network: Threaded, optimizer: Any = None) -> Iterator[Fitting]:
    """Context manager in which only this thread changes the network, and uses this optimizer.

    Raises
    ------
    RuntimeError
        If another thread fits the network, or the optimizer is in a fit that has not ended.
    """
    outer = fitting = None
    before = claimed = False
    key = id(optimizer)
    try:  # already here, since Ctrl-C may come at any line
        with _claims:
            check_not_fitted(network)
            outer = network._fitting
            before = outer is None or outer._whole
            if optimizer is not None:
                if is_in_a_fit(optimizer):
                    raise RuntimeError(
                        f"{optimizer!r} is in use by a fit that has not ended; give each fit its "
                        "own optimizer"
                    )
                claimed = True
                _optimizers[key] = threading.get_ident(), optimizer
            fitting = network._fitting = outer or Fitting(network)
            _running.add(fitting)
        if outer is None:
            _wait_for_others(network)
        yield fitting
    finally:
        if claimed:  # first and in one call, after which Ctrl-C may come
            _optimizers.pop(key, None)
        with _claims:
            if fitting is not None and outer is None:
                _running.discard(fitting)
                fitting.end()
        if outer is not None:  # this fit is within another one
            (outer.open if before else outer.close)()


def is_in_a_fit(optimizer: Any) -> bool:
    """Return whether an optimizer, or another method, serves a fit that has not ended."""
    return id(optimizer) in _optimizers


def _wait_for_others(network: Threaded) -> None:
    """Wait for threads that began to read, or to compute a gradient, before the fit."""
    me = threading.get_ident()
    while any(thread != me for thread in [*network._readers.values()]):
        time.sleep(1e-4)
    with network._lock:
        pass


def check_not_fitted(network: Threaded) -> None:
    """Raise RuntimeError if another thread fits the network."""
    if network._fitting is not None and not network._fitting.here():
        raise RuntimeError(
            "this model is being fitted by another thread; wait until that fit has ended, or use "
            "a copy: model.copy()"
        )


class Threaded(Seeded):
    """The part of a network that synchronizes threads."""

    _fitting: Fitting | None = None  # the fit that runs
    _attention: bool = False  # whether the loop of a fit should stop, or weights are requested
    _stop_training: bool = False
    _readers: dict[object, int]  # the thread of each current reader, by a token of the reader
    _lock: threading.RLock  # held while gradients are computed outside of a fit

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        super()._bind(flats)
        self._synchronize()
        _networks[id(self)] = self

    def _synchronize(self) -> None:
        """Begin without readers and locks."""
        self._readers, self._lock = {}, threading.RLock()

    @property
    def stop_training(self) -> bool:
        """Set to True, by a callback for instance, to end a running `fit` after the batch."""
        return self._stop_training

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self._stop_training = arguments.flag(stop, "stop_training")
        if self._stop_training:
            self._attention = True

    def reading(self) -> Reading[Self]:
        """Return a context in which all weights that are read are consistent.

        `with model.reading() as network:` gives the model itself, or a copy if another thread fits
        it. No fit can start within the context.
        """
        return Reading(self)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Context manager in which no other thread computes gradients of this network."""
        with self._lock:
            check_not_fitted(self)
            yield

    @suggesting
    def copy(self) -> Self:
        """Return an independent copy, including parameters, statistics and generators."""
        with Reading(self) as network:
            return copy.deepcopy(self) if network is self else network

    def _rebuilt(self, params: Array, state: Array, rngs: Any) -> Self:
        raise NotImplementedError

    def _weights(self) -> Weights:
        with Reading(self) as network:  # no fit can start between the two copies
            return network._params.copy(), network._state.copy()

    def _writing(self) -> Any:
        return nullcontext() if self._fitting is None else self._fitting.lock


class Reading(Generic[AnyNetwork]):
    """`Threaded.reading` as a class, which is faster than a generator in every `predict`."""

    __slots__ = ("_network",)

    def __init__(self, network: AnyNetwork) -> None:
        self._network = network

    def __enter__(self) -> AnyNetwork:
        network = self._network
        while True:
            # before `_fitting` is read: see `fitted`
            network._readers[self] = threading.get_ident()
            fitting = network._fitting
            if fitting is None or fitting.here():
                return network
            network._readers.pop(self, None)
            weights = fitting.read()
            if weights is not None:
                return network._rebuilt(*weights, network.rngs)

    def __exit__(self, *exception: object) -> None:
        self._network._readers.pop(self, None)


def _known() -> list[Threaded]:
    """Return all networks that exist; other threads may make more meanwhile."""
    return [network for ref in _networks.valuerefs() if (network := ref()) is not None]


class _Fork:
    """A fork of the process: only the thread that forks goes on in the new one.

    Fits of other threads have therefore ended there, with weights of one moment, and nothing
    waits for those threads.
    """

    def __init__(self) -> None:
        self._weights: list[tuple[Fitting, Weights | None]] = []
        self._drawing = ExitStack()

    def before(self) -> None:
        """Copy the weights that other threads fit; no fit begins, ends or draws until `after`."""
        _claims.acquire()
        self._weights = [(each, each.read()) for each in _running if not each.here()]
        for network in _known():
            for rng in network._generators():
                self._drawing.enter_context(rng.bit_generator.lock)

    def after(self) -> None:
        """Let fits begin, end and draw again, in either process."""
        self._drawing.close()
        self._weights = []
        _claims.release()

    def after_in_child(self) -> None:
        """Forget the other threads."""
        assignments.lock = threading.RLock()
        for network in _known():
            network._synchronize()
        for fitting in _running:
            fitting.lock = threading.Condition()
        for fitting, weights in self._weights:
            _running.discard(fitting)
            fitting.end()
            if weights is not None:
                fitting.network.params, fitting.network.state = weights
        for key, (thread, _) in [*_optimizers.items()]:
            if thread != threading.get_ident():
                del _optimizers[key]
        self.after()


if hasattr(os, "register_at_fork"):  # not on Windows
    _fork = _Fork()
    os.register_at_fork(
        before=_fork.before, after_in_parent=_fork.after, after_in_child=_fork.after_in_child
    )
