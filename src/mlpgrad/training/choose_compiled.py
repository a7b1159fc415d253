"""The decision whether a training is compiled, which depends on the request, never on timings."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.layers.chain import walk
from mlpgrad.optimizers.schedule import Schedule

if TYPE_CHECKING:
    from mlpgrad.network.network import Network
    from mlpgrad.optimizers.base import Optimizer

VARIABLE = "MLPGRAD_COMPILED"
"""The environment variable, 0 or 1, that replaces `compiled=` if it is not given to `fit`."""

SECONDS = 0.25
"""Seconds that importing llvmlite and compiling may take: compiling must save at least this."""
RECORDING = 5e-10
"""Seconds per parameter and row of a batch that it takes to record and check the step."""
SAVED_BY_STEP = 25e-6
"""Seconds saved per step of a small network: Python and the overhead of NumPy's calls."""
SAVED_BY_PARAMETER = 2e-9
"""Seconds saved per parameter: the update takes one pass over the arrays instead of ten."""
SAVED_BY_OUTPUT = 2e-9
"""Seconds saved per output of a layer and row, likewise by fewer passes."""
FEWEST_BATCHES = 8
"""The fewest batches in an epoch of an ensemble: NumPy computes the last of them."""


def wanted(compiled: bool | None) -> bool | None:
    """Return the option of `fit`, else the environment variable: True, False, or None to choose."""
    if compiled is not None:
        return compiled
    text = os.environ.get(VARIABLE, "").strip()
    if text not in ("", "0", "1"):
        raise ValueError(f"{VARIABLE} expects 0 or 1, got {text!r}")
    return None if text == "" else text == "1"


def why_not(network: Network, optimizer: Optimizer, batches: Any) -> str | None:
    """Return why a training cannot be compiled; None if no reason is known yet."""
    if importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed (pip install 'mlpgrad[compiled]')"
    if network.dtype not in (np.float32, np.float64):
        return f"only float32 and float64 are compiled, not {network.dtype}"
    rate = optimizer.learning_rate
    if callable(rate) and not isinstance(rate, Schedule):
        return "a user-defined schedule is called at every step"
    things = [layer for _, layer in walk(network.layers)]
    for thing in (*things, network.loss, *network.penalties, optimizer):
        if vars(type(thing)).get("repeatable") is not True:
            return f"{type(thing).__name__} does not declare that its calls can be repeated"
    several = network.ensemble_size is not None
    if several and np.size(batches.mean_weight()) > 1:
        return "each member has its own sample weights"
    if several and len(batches) < FEWEST_BATCHES:
        return f"an ensemble's epoch has fewer than {FEWEST_BATCHES} batches"
    return None


def too_short(network: Network, steps: int, rows: int, outputs: int = 0) -> str | None:
    """Return why compiling does not pay; None if it does.

    `rows` is the number of rows of a batch, and `outputs` that of the outputs of all layers for
    each of them, if it is to count.
    """
    outputs, products = outputs * rows, network.params.size * rows
    saved = SAVED_BY_STEP + SAVED_BY_PARAMETER * network.params.size + SAVED_BY_OUTPUT * outputs
    saved *= steps
    if saved >= SECONDS + RECORDING * products:
        return None
    return f"{steps} steps of this network take less time than compiling them"
