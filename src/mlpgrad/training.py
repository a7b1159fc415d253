"""`fit`: epochs of minibatches, and what has to happen around them."""

from __future__ import annotations

import copy
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.batches import Minibatches
from mlpgrad.callbacks import Callback, ProgressBar
from mlpgrad.evaluating import as_number, evaluate
from mlpgrad.history import History
from mlpgrad.layers import walk
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import weighted_mean
from mlpgrad.optimizer_base import Optimizer
from mlpgrad.parts import Part, shares

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mlpgrad.model import Sequential


BATCHES_AT_ONCE = 32  # in threads, between two looks at Ctrl-C


class DivergenceError(ArithmeticError):
    """The loss became infinite or NaN. The model holds finite weights.

    They are those of up to 16 steps before: a copy at every step would cost up to a tenth of the
    time.

    Attributes
    ----------
    history : History
        What was recorded before.
    epoch, batch : int
        Where it happened, counted from 0.
    """

    history: History
    epoch: int
    batch: int


def fit(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int,
    validation_data: tuple[Any, ...] | None,
    validation_split: float,
    validation_shuffle: bool,
    callbacks: Sequence[Callback],
    metrics: Sequence[Metric] | None,
    sample_weight: Any,
    class_weight: Mapping[int, float] | str | None,
    shuffle: bool,
    verbose: int,
) -> History:
    """Train a model on minibatches: what `Sequential.fit` does.

    Parameters
    ----------
    model : Sequential
    x : array (n, I), or (E, n, I) for an ensemble
        May be memory-mapped: it is read a block at a time.
    y : array (n, O) or (E, n, O), or classes (n,)
    optimizer : Optimizer
        Its state goes on where an earlier `fit` left it.
    epochs, batch_size : int
        Passes through the data; samples a step (the last batch may be shorter).
    validation_data : tuple (x, y) or (x, y, sample_weight), optional
        Evaluated after every epoch.
    validation_split : float
        Else this share of the rows is held out: drawn at random, each class in proportion.
    validation_shuffle : bool
        False holds out the last rows instead, in time order.
    callbacks : sequence of Callback
    metrics : sequence of Metric, optional
        Recorded on the training batches as well. By default only the validation set is measured,
        with the loss's own metrics.
    sample_weight : array (n,) or (E, n), optional
        A sample of weight 2 counts as two.
    class_weight : dict, or "balanced", optional
        Multiplies the weights of each class's samples; "balanced" gives every class the same
        total weight.
    shuffle : bool
        A new order every epoch.
    verbose : int
        0 is silent, 1 shows progress.

    Returns
    -------
    History

    Raises
    ------
    DivergenceError
        As soon as the loss is not finite.
    """
    _check_options(model, optimizer, epochs, batch_size, validation_data, validation_split)
    data = model.checked(x, y, sample_weight)
    data = (*data[:2], _with_class_weights(model, data, class_weight))
    rows, validation = None, None
    if validation_data is not None:
        validation = model.checked(*validation_data, *[None] * (3 - len(validation_data)))
    elif validation_split:
        rows, held_out = _split(model, data[1], validation_split, validation_shuffle)
        validation = tuple(None if a is None else a.take(held_out, axis=-2) for a in data)  # type: ignore[assignment]
    dtypes = [model.dtype, model.loss.cast(data[1][..., :1, :], model.dtype).dtype, model.dtype]
    batches = Minibatches(
        list(data), dtypes, batch_size=batch_size, shuffle=shuffle, rng=model.rng, rows=rows
    )
    shown = [*callbacks, *([ProgressBar()] if verbose else [])]
    run = _Run(model, optimizer, batches, validation, shown, metrics, epochs)
    return run.train()


class _Run:
    """One call of `fit`."""

    def __init__(
        self,
        model: Sequential,
        optimizer: Optimizer,
        batches: Minibatches,
        validation: tuple[Array, Array, Array | None] | None,
        callbacks: Sequence[Callback],
        metrics: Sequence[Metric] | None,
        epochs: int,
    ) -> None:
        self.model, self.optimizer, self.batches = model, optimizer, batches
        self.validation, self.metrics = validation, metrics
        self.epochs = epochs
        self.history = History()
        self.callbacks = list(callbacks)
        self.batch_callbacks = [c for c in callbacks if c.follows_batches()]
        self.parts: list[Part] = []
        self.pool: Executor | None = None
        for callback in self.callbacks:
            callback.model, callback.optimizer = model, optimizer
            callback.epochs, callback.history = epochs, self.history

    def train(self) -> History:
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
        return self.history

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


def _first_non_finite(model: Sequential) -> str:
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
def _interrupts_end_training(model: Sequential, history: History) -> Iterator[None]:
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


def _check_options(
    model: Sequential,
    optimizer: Any,
    epochs: Any,
    batch_size: Any,
    validation_data: Any,
    validation_split: float,
) -> None:
    if not isinstance(optimizer, Optimizer):
        fix = f"; write {optimizer.__name__}(...)" if isinstance(optimizer, type) else ""
        raise TypeError(f"optimizer expects an object such as Adam(1e-3), got {optimizer!r}{fix}")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} expects an int >= 1, got {value!r}")
    if model.dtype.kind == "c":
        raise TypeError(f"fit expects a real model, got {model.dtype}; use model.lifted(float)")
    if not 0 <= validation_split < 1:
        raise ValueError(f"validation_split expects a share from 0 to 1, got {validation_split}")
    if validation_data is None:
        return
    if validation_split:
        raise ValueError("give validation_data or validation_split, not both")
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data expects (x, y) or (x, y, sample_weight), "
            f"got {type(validation_data).__name__}"
        )


def _with_class_weights(
    model: Sequential,
    data: tuple[Array, Array, Array | None],
    class_weight: Mapping[int, float] | str | None,
) -> Array | None:
    """Sample weights times the weight of each sample's class."""
    _, target, weights = data
    if class_weight is None:
        return weights
    if not model.loss.classifies:
        raise TypeError(f"class_weight expects a loss on classes, got {model.loss!r}")
    labels = model.loss.true_classes(target)
    if labels.ndim == target.ndim and target.shape[-1] > 1:
        raise ValueError("class_weight expects one class a sample; use sample_weight for labels")
    classes, counts = np.unique(labels, return_counts=True)
    if class_weight == "balanced":
        table = dict(zip(classes.tolist(), labels.size / (len(classes) * counts), strict=True))
    elif isinstance(class_weight, str):
        raise ValueError(f'class_weight expects a dict or "balanced", got {class_weight!r}')
    else:
        table = dict(class_weight)
    missing = sorted(set(classes.tolist()) - table.keys())
    if missing:
        raise ValueError(f"class_weight expects a weight for each class; missing: {missing}")
    factors = np.array([table[c] for c in classes.tolist()], float)[
        np.searchsorted(classes, labels)
    ]
    factors = factors[..., None]
    return factors if weights is None else weights * factors


def _split(model: Sequential, target: Array, share: float, shuffled: bool) -> tuple[Array, Array]:
    """Rows for training and rows held out; classes in proportion where the loss has them."""
    from mlpgrad.datasets import split_indices

    labels = None
    if model.loss.classifies and shuffled and target.ndim == 2:
        labels = model.loss.true_classes(target)
        labels = labels if labels.ndim == 1 else None  # several labels a sample have no classes
    return split_indices(target.shape[-2], share, labels=labels, rng=model.rng, shuffle=shuffled)


class RangeTest:
    """Result of a learning-rate range test.

    Attributes
    ----------
    learning_rates, losses : array (steps,)
        What was tried, and the smoothed training loss at each.
    suggestion : float
        The rate at which the loss fell fastest.
    """

    def __init__(self, learning_rates: Array, losses: Array) -> None:
        self.learning_rates, self.losses = learning_rates, losses
        # over a tenth of the test, and after its first tenth: single steps are mostly noise
        width = max(1, len(losses) // 10)
        falls = losses[2 * width :] - losses[width:-width]
        steepest = int(np.argmin(falls)) + width + width // 2 if len(falls) else 0
        self.suggestion = float(learning_rates[steepest])

    def __repr__(self) -> str:
        low, high = self.learning_rates[0], self.learning_rates[-1]
        return f"RangeTest({low:.3g} to {high:.3g}: suggestion {self.suggestion:.3g})"


def learning_rate_range_test(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    optimizer: Optimizer,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
) -> RangeTest:
    """Train a copy with a learning rate that grows at every step, until the loss explodes.

    From L. N. Smith, "Cyclical learning rates for training neural networks" (2017). The model
    and the optimizer stay as they are.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> test = model.learning_rate_range_test(x, y, optimizer=mg.Adam())
    >>> 1e-3 < test.suggestion < 1
    True
    """
    model, optimizer = model.copy(), copy.deepcopy(optimizer)
    optimizer.reset()
    rates = np.geomspace(lowest, highest, steps)
    optimizer.learning_rate = lambda step: float(rates[min(step, steps - 1)])
    recorder = _LossRecorder(steps)
    n_batches = -(-len(x) // batch_size)
    with suppress(DivergenceError):  # that is what the test is after
        model.fit(
            x,
            y,
            optimizer=optimizer,
            epochs=-(-steps // n_batches),
            batch_size=batch_size,
            callbacks=[recorder],
            verbose=0,
        )
    return RangeTest(rates[: len(recorder.losses)], np.array(recorder.losses))


class _LossRecorder(Callback):
    """Smoothed batch losses, until there are enough of them or the loss has exploded."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.losses: list[float] = []
        self._average = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._average = 0.9 * self._average + 0.1 * float(np.mean(logs["loss"]))
        self.losses.append(self._average / (1 - 0.9 ** (len(self.losses) + 1)))
        exploded = self.losses[-1] > 4 * min(self.losses)
        if len(self.losses) >= self.steps or exploded:
            self.model.stop_training = True
