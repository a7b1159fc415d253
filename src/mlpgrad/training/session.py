"""One call of `fit`: epochs, and what has to happen around them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import weighted_mean
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.evaluate import as_number, evaluate
from mlpgrad.training.record import Record
from mlpgrad.training.threads import shares
from mlpgrad.training.worker import Part

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mlpgrad.network.network import Network


BATCHES_AT_ONCE = 32  # in threads, between two looks at Ctrl-C


class DivergenceError(ArithmeticError):
    """The loss became infinite or NaN. The model holds finite weights.

    They are those of up to 16 steps before: a copy at every step would cost up to a tenth of the
    time.

    Attributes
    ----------
    history : Record
        What was recorded before.
    epoch, batch : int
        Where it happened, counted from 0.
    """

    history: Record
    epoch: int
    batch: int


class Session:
    """One call of `fit`."""

    def __init__(
        self,
        model: Network,
        optimizer: Optimizer,
        batches: Minibatches,
        validation: tuple[Array, Array, Array | None] | None,
        callbacks: Sequence[Callback],
        metrics: Sequence[Metric] | None,
        epochs: int,
        record: Record,
    ) -> None:
        self.model, self.optimizer, self.batches = model, optimizer, batches
        self.validation, self.metrics = validation, metrics
        self.epochs = epochs
        self.history = record
        self.callbacks = list(callbacks)
        self.batch_callbacks = [c for c in callbacks if c.follows_batches()]
        self.parts: list[Part] = []
        self.pool: Executor | None = None
        for callback in self.callbacks:
            callback.model, callback.optimizer = model, optimizer
            callback.epochs, callback.history = epochs, self.history

    def train(self) -> None:
        """All epochs, with the callbacks around them."""
        self.model.stop_training = False
        self.optimizer.attach(self.model)
        started = time.perf_counter()
        with _interrupts_end_training(self.model, self.history):
            try:
                self._call("on_train_begin")
                for epoch in range(self.epochs):
                    self._call("on_epoch_begin", epoch)
                    logs = self._epoch(epoch)
                    if self.history.interrupted:  # in the middle of an epoch: nothing to record
                        break
                    self.history.record(logs)
                    self._call("on_epoch_end", epoch, logs)
                    if self.model.stop_training:
                        break
            except KeyboardInterrupt:  # where no signal handler can be set
                self.history.interrupted = True
            finally:
                if self.pool is not None:
                    self.pool.shutdown()
                self.history.seconds += time.perf_counter() - started
                self._call("on_train_end", self.history.last())

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        """One pass through the data; the epoch's logs."""
        if not self.parts:
            self.parts = self._make_parts()
        elif self.callbacks and len(self.parts) > 1:
            self.parts = self._make_parts()  # a callback may have changed anything
        elif self.callbacks and self.parts[0].replay is not None:
            self.parts[0].replay.refresh()
        for part in self.parts:
            part.begin()
        if len(self.parts) == 1:
            self.parts[0].run(enumerate(self.batches))
        else:
            self._run_in_threads()
        diverged = [part for part in self.parts if part.diverged_at is not None]
        if diverged:
            self._diverged(epoch, diverged)
        return self._logs()

    def _make_parts(self) -> list[Part]:
        """The whole model, or the networks of each thread."""
        model, optimizer, size = self.model, self.optimizer, self.batches.batch_size
        steps = self.epochs * (self.batches.samples // size)
        watched = self.batch_callbacks or self.metrics
        rows = [] if watched else shares(model, optimizer, size)
        if not rows:
            return [Part(model, optimizer, size, steps, self.batch_callbacks, self.metrics or ())]
        if self.callbacks:
            steps //= self.epochs  # until they are made anew
        optimizer.prepare(model.params, model.grads)
        return [Part(model.share(r), optimizer.share(r), size, steps, rows=r) for r in rows]

    def _run_in_threads(self) -> None:
        """Every part through the same batches, one in this thread."""
        first, *others = self.parts
        if self.pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self.pool = ThreadPoolExecutor(len(others))
        number = 0
        for block in self.batches.blocks():
            for start in range(0, len(block), BATCHES_AT_ONCE):
                batches = list(enumerate(block[start : start + BATCHES_AT_ONCE], number))
                number += len(batches)
                running = [self.pool.submit(part.run, batches) for part in others]
                try:
                    first.run(batches)
                finally:
                    for future in running:
                        future.result()
                    self.optimizer.steps = first.optimizer.steps
                diverged = any(part.diverged_at is not None for part in self.parts)
                if diverged or self.model.stop_training:
                    return
        self._show_last_step()

    def _show_last_step(self) -> None:
        """Let the model's layers show what those of the parts have seen."""
        models = [self.model, *(part.model for part in self.parts)]
        for (_, layer), *theirs in zip(*(walk(model.layers) for model in models), strict=True):
            for name in ("_inputs", "_outputs", "_delta"):
                arrays = [getattr(their, name) for _, their in theirs]
                shared = arrays[0] is None or arrays[0].ndim == 2
                setattr(layer, name, arrays[0] if shared else np.concatenate(arrays))

    def _logs(self) -> dict[str, Any]:
        """An epoch's means, then the validation set's."""
        totals, weights = (self._joined(name) for name in ("total", "weight"))
        logs = {"loss": as_number(weighted_mean(totals, weights))}
        measured = self.parts[0].measured
        for name in measured:
            logs[name] = as_number(measured[name].result())
        if self.validation is not None:
            measured = evaluate(self.model, *self.validation, self.metrics)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        logs["learning_rate"] = as_number(self.optimizer.current_learning_rate)
        return logs

    def _joined(self, name: str) -> Any:
        """The sums of all networks."""
        sums = [getattr(part, name) for part in self.parts]
        if len(sums) == 1 or np.ndim(sums[0]) == 0:  # the weight may be the same for all
            return sums[0]
        return np.concatenate(sums)

    def _diverged(self, epoch: int, parts: list[Part]) -> None:
        """Put finite weights back, and say where the first bad value is."""
        part = parts[0]
        batch = part.diverged_at
        assert batch is not None
        place = _first_non_finite(part.model)
        for part in parts:
            part.put_back()
        error = DivergenceError(
            f"training diverged in epoch {epoch + 1}, batch {batch + 1}: the first value that is "
            f"not finite is in {place}; the model holds finite weights again; lower the "
            f"learning rate (now {self.optimizer.current_learning_rate}), clip the gradients "
            f"(clip_norm=1.0) or scale the inputs"
        )
        error.history, error.epoch, error.batch = self.history, epoch, batch
        raise error


def _first_non_finite(model: Network) -> str:
    """The first layer, in the order of computation, with an infinite or NaN value."""

    def bad(array: Array | None) -> bool:
        return array is not None and not np.isfinite(array).all()

    for position, layer in walk(model.layers):
        if layer.children() and not bad(layer._inputs):
            continue  # the layers inside it come next, and say more
        name = f"layer {position} {layer!r}"
        if bad(layer._inputs):
            return f"the input of {name}"
        for kind, values in layer.params.items():
            if bad(values):
                return f"the {kind} of {name}"
        if bad(layer._outputs):
            return f"the output of {name}"
    return f"the loss {model.loss!r}"


@contextmanager
def _interrupts_end_training(model: Network, history: Record) -> Iterator[None]:
    """Ctrl-C lets the running batch finish and then ends training; a second one interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return

    def stop(signum: int, frame: Any) -> None:
        history.interrupted = model.stop_training = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield  # somebody else handles Ctrl-C
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
