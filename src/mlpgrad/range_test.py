"""The learning-rate range test."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.data import check_counts, training_batches
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.minibatch import Minibatch
from mlpgrad.training.record import Record
from mlpgrad.training.session import Session

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


MOST_STEPS = 1_000_000


class RangeTest:
    """Result of a learning-rate range test.

    Attributes
    ----------
    learning_rates, losses : array (steps,)
        The learning rates that were tried, and the smoothed training loss at each.
    suggestion : float
        The learning rate at which the loss fell fastest.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> test = model.learning_rate_range_test(x, y, optimizer=mg.Adam())
    >>> ax = test.plot()
    >>> ax.get_xlabel()
    'learning rate'
    """

    def __init__(self, learning_rates: Array, losses: Array) -> None:
        self.learning_rates, self.losses = learning_rates, losses
        # slopes over a tenth of the steps, since single steps are mostly noise
        width = max(1, len(losses) // 10)
        falls = losses[2 * width :] - losses[width:-width]
        steepest = int(np.argmin(falls)) + width + width // 2 if len(falls) else 0
        self.suggestion = float(learning_rates[steepest])

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses, and return the Axes: see `mlpgrad.plotting.range_test`."""
        from mlpgrad.plotting import range_test

        return range_test(self, ax=ax)

    def __repr__(self) -> str:
        low, high = self.learning_rates[0], self.learning_rates[-1]
        return f"RangeTest({low:.3g} to {high:.3g}: suggestion {self.suggestion:.3g})"


@suggesting
def learning_rate_range_test(
    model: Network,
    x: Any,
    y: Any,
    *,
    optimizer: Optimizer,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
) -> RangeTest:
    """Train a copy with a learning rate that grows at every step, until the loss diverges.

    The model and the optimizer are not changed. L. N. Smith 2017, "Cyclical learning rates for
    training neural networks".

    Parameters
    ----------
    model : Sequential
    x, y : array
        Training data, as for `fit`.
    optimizer : Optimizer
        The optimizer to find a learning rate for; its own learning rate and state are ignored.
    lowest, highest : float, default 1e-6 and 10
        The learning rates of the first and the last step; they grow by a constant factor.
    steps : int, default 100
        Maximum number of steps. The test ends early when the loss is above that of the first tenth
        of the steps, and exceeds its minimum by three times the minimum's absolute value.
    batch_size : int, default 32
        Number of samples per step.

    Returns
    -------
    RangeTest
        The learning rates, the smoothed losses and a suggestion; `plot()` draws them.

    Raises
    ------
    TypeError
        If the optimizer supports no schedule, such as `Rprop`.
    DivergenceError
        If the loss is not finite before the first step.

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
    optimizer = arguments.instance(optimizer, "optimizer", Optimizer, "Adam(1e-3)")
    lowest = arguments.number(lowest, "lowest", 0, ends="()")
    highest = arguments.number(highest, "highest", lowest, ends="()")
    steps = arguments.count(steps, "steps", 1, MOST_STEPS)
    _, batch_size = check_counts(model, 1, batch_size)
    rates = np.geomspace(lowest, highest, steps)
    model, optimizer = model.copy(), _new_with(rates, optimizer)
    recorder = _LossRecorder(steps)
    batches = training_batches(
        model, x, y, None, None, batch_size=batch_size, shuffle=True, held_out=0.0, in_order=True
    )
    session = Session(
        model,
        Minibatch(optimizer),
        batches,
        validation=None,
        callbacks=[recorder],
        metrics=None,
        epochs=steps if batches.count is None else -(-steps // batches.count),
        record=Record(),
    )
    session.speaks = False
    try:
        session.run()
    except DivergenceError:  # the expected end of the test, except at the initial weights
        if not recorder.losses:
            raise
    if session.record.interrupted:
        raise KeyboardInterrupt
    return RangeTest(rates[: len(recorder.losses)], np.array(recorder.losses))


def _new_with(rates: Array, optimizer: Optimizer) -> Optimizer:
    """Return a copy of an optimizer as before its first step, with a learning rate for each."""
    if optimizer.rate_is_initial:
        raise TypeError(
            "learning_rate_range_test expects an optimizer whose learning rate may differ at each "
            f"step, got {optimizer!r}, which adapts its own steps; its learning rate is only the "
            "initial step"
        )
    twin = copy.deepcopy(optimizer)
    twin.reset()
    twin.learning_rate_scale = 1.0
    twin.learning_rate = lambda step: float(rates[min(step, len(rates) - 1)])
    return twin


class _LossRecorder(Callback):
    """Record smoothed batch losses; stop when there are enough of them or the loss diverges."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.losses: list[float] = []
        self._average = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._average = 0.9 * self._average + 0.1 * float(np.mean(logs["loss"]))
        self.losses.append(self._average / (1 - 0.9 ** (len(self.losses) + 1)))
        if len(self.losses) >= self.steps or self._exploded():
            self.model.stop_training = True

    def _exploded(self) -> bool:
        """Whether the loss rose far; a log likelihood may be 0 or negative, and rise by noise."""
        last, lowest = self.losses[-1], min(self.losses)
        early = max(self.losses[: max(self.steps // 10, 2)])
        return last > early and last - lowest > 3 * abs(lowest)
