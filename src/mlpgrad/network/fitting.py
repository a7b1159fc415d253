"""Threads: who fits a network, and how others read its weights between two steps meanwhile.

While a thread fits a network, the weights change bit by bit. `predict`, `evaluate` and `save` in
another thread must not read them then. They ask for a copy, and the training loop makes it at the
next moment when the weights are whole: between two steps, or at once while callbacks run. A fit
that nobody asks pays nothing: the loop looks at one attribute after each step, as it has to do for
`stop_training` anyway.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Generic, Self, TypeVar

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.network.randomness import Seeded

AnyNetwork = TypeVar("AnyNetwork", bound="Threaded")

Weights = tuple[Array, Array]
"""Parameters and statistics of one moment."""

_claims = threading.Lock()
_optimizers: dict[int, tuple[int, Any]] = {}  # those of running fits: the thread, and the object


class Fitting:
    """A fit that runs: by which threads, and whether the weights are whole just now.

    Parameters
    ----------
    network : Threaded
    """

    def __init__(self, network: Threaded) -> None:
        self.network = network
        self.lock = threading.Condition()
        """Held by whoever reads all weights, or writes them outside of a step."""
        self._threads = {threading.get_ident()}
        self._whole = True
        self._ended = False
        self._asked = False
        self._served: Weights | None = None

    def join(self) -> None:
        """Count the calling thread among those that fit."""
        self._threads.add(threading.get_ident())

    def here(self) -> bool:
        """Whether the calling thread is one of those that fit, and may see weights as they are."""
        return threading.get_ident() in self._threads

    # the loop

    def open(self) -> None:
        """The weights are whole until `close`: user code runs, or nothing."""
        self._whole = True
        if self.network._attention:
            self.serve()

    def close(self) -> None:
        """Steps follow. Waits for who reads just now."""
        self._whole = False
        if self.network._attention:
            self.serve()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Within `with`: open; afterwards as before."""
        before = self._whole
        self.open()
        try:
            yield
        finally:
            if not before:
                self.close()

    def serve(self) -> None:
        """Copy the weights for those who have asked; the loop calls it between two steps."""
        network = self.network
        with self.lock:
            network._attention = False
            if network.stop_training:  # in this order: it may be set just now
                network._attention = True
            if self._asked:
                self._asked, self._served = False, self._copies()
                self.lock.notify_all()

    def end(self) -> None:
        """No steps will follow."""
        with self.lock:
            self._whole = self._ended = True
            self.network._fitting = None
            self.lock.notify_all()

    # another thread

    def read(self) -> Weights | None:
        """Copies of the weights of one moment; None where the fit has ended."""
        with self.lock:
            self.network._attention = True  # before the look at `_whole`: see `close`
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
def fitted(network: Threaded, optimizer: Any) -> Iterator[Fitting]:
    """Within `with`: this thread fits the network with this optimizer, and no other thread does.

    Raises
    ------
    RuntimeError
        If another thread fits the network, or uses the optimizer in a fit.
    """
    me = threading.get_ident()
    with _claims:
        check_not_fitted(network)
        outer = network._fitting
        thread, _ = holder = _optimizers.get(id(optimizer), (me, optimizer))
        if thread != me:
            raise RuntimeError(
                f"{optimizer!r} is being used by a fit in another thread; give each fit an "
                f"optimizer of its own"
            )
        first = id(optimizer) not in _optimizers
        _optimizers[id(optimizer)] = holder
        fitting = network._fitting = outer or Fitting(network)
    before = fitting._whole
    try:
        if outer is None:
            _wait_for_others(network)
        yield fitting
    finally:
        with _claims:
            if first:
                del _optimizers[id(optimizer)]
        if outer is None:
            fitting.end()
        elif before:  # within a callback of the outer one
            fitting.open()
        else:
            fitting.close()


def _wait_for_others(network: Threaded) -> None:
    """Let those end who have begun to read, or to compute a gradient, before the fit began."""
    while network._readers:
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
    """The side of a network that several threads meet on."""

    _fitting: Fitting | None = None  # the fit that runs
    _attention: bool = False  # whether the loop of a fit is to stop, or asked for weights
    _stop_training: bool = False
    _readers: set[object]  # those who read now, each a token of its own
    _lock: threading.RLock  # held while gradients are computed outside of a fit

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        super()._bind(flats)
        self._readers, self._lock = set(), threading.RLock()

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
        """A context in which all that is read belongs to the weights of one moment.

        `with model.reading() as network:` gives the model itself, or a copy of it while another
        thread fits it. No fit begins meanwhile.
        """
        return Reading(self)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within `with`: no other thread computes gradients of this network."""
        with self._lock:
            check_not_fitted(self)
            yield

    def copy(self) -> Self:
        """An independent copy: parameters, statistics and generators included."""
        with Reading(self) as network:
            return copy.deepcopy(self) if network is self else network

    def _rebuilt(self, params: Array, state: Array, rngs: Any) -> Self:
        raise NotImplementedError

    def _weights(self) -> Weights:
        while (fitting := self._fitting) is not None and not fitting.here():
            weights = fitting.read()
            if weights is not None:
                return weights
        return self._params, self._state

    def _writing(self) -> Any:
        return nullcontext() if self._fitting is None else self._fitting.lock


class Reading(Generic[AnyNetwork]):
    """`Threaded.reading`: a class, since every `predict` passes here, and a generator is slower."""

    __slots__ = ("_network",)

    def __init__(self, network: AnyNetwork) -> None:
        self._network = network

    def __enter__(self) -> AnyNetwork:
        network = self._network
        while True:
            network._readers.add(self)  # before the look at `_fitting`: see `fitted`
            fitting = network._fitting
            if fitting is None or fitting.here():
                return network
            network._readers.discard(self)
            weights = fitting.read()
            if weights is not None:
                return network._rebuilt(*weights, network.rngs)

    def __exit__(self, *exception: object) -> None:
        self._network._readers.discard(self)
