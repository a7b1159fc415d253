"""Which kind of step a training makes: the one place that chooses."""

from __future__ import annotations

from typing import Any

from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep, Step

STEPS: list[type[Step]] = [RecordedStep, LayerStep]
"""The first that serves is taken; a new kind of step is a line here."""


def choose_step(
    network: Network,
    optimizer: Optimizer,
    batch_size: int | None,
    steps: int | None,
    mean_weight: Any = 1.0,
) -> Step:
    """The step for so many steps on batches of this size (None where it is not known).

    Sample weights are divided by `mean_weight`, a number or `(E, 1, 1)`.
    """
    kind = next(step for step in STEPS if step.serves(network, optimizer, batch_size, steps))
    chosen = kind(network, optimizer)
    chosen.mean_weight = mean_weight
    return chosen
