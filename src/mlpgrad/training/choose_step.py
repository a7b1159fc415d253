"""The choice of the kind of step that a training uses."""

from __future__ import annotations

from typing import Any

from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep, Step

STEPS: list[type[Step]] = [RecordedStep, LayerStep]
"""The first kind that serves is used; add a new kind of step here."""


def choose_step(
    network: Network,
    optimizer: Optimizer,
    batch_size: int | None,
    steps: int | None,
    mean_weight: Any = 1.0,
) -> Step:
    """Return the step for this number of steps and this batch size (None if not known).

    Sample weights are divided by `mean_weight`, a number or `(E, 1, 1)`.
    """
    kind = next(step for step in STEPS if step.serves(network, optimizer, batch_size, steps))
    chosen = kind(network, optimizer)
    chosen.mean_weight = mean_weight
    return chosen
