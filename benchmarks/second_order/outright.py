"""Small problems that the Levenberg-Marquardt method solves: XOR and two spirals."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import spirals, standardized
from benchmarks.tables.section import Figures, Section, Table


def xor(low: float, smoke: bool) -> Figures:
    """Train all seeds in one fit, with inputs and targets `low` or 1."""
    seeds = 2 if smoke else 100
    x, y = mg.datasets.xor()
    x, y = low + (1 - low) * x, low + (1 - low) * y.reshape(-1, 1)
    started = time.process_time()
    model, epochs = _fitted(x, y, seeds, 0)
    solved = _solves(model, x, y)
    restarts = int((~solved).sum())
    if restarts:  # one more try with other initial weights
        again, _ = _fitted(x, y, restarts, 1)
        solved[~solved] = _solves(again, x, y)
    seconds = time.process_time() - started
    return {
        "seeds": seeds,
        "solved": int(solved.sum()),
        "restarts": restarts,
        "epochs at most": epochs,
        "CPU seconds": round(seconds, 3),
    }


def xor_table(found: Mapping[str, Figures]) -> Table:
    """A row for each coding of the inputs."""
    return Table(
        "XOR by 2-2-1",
        "Sigmoid units, linear output, squared error; inputs and targets are 0/1 or +-1. Solved "
        "means that all outputs are within 0.1 of their targets. All seeds are members of one "
        "ensemble; those that end in another minimum are restarted once, and counted.",
        ["inputs", *next(iter(found.values()))],
        [[name, *map(str, found[name].values())] for name in LOWS if name in found],
    )


def _fitted(x: Any, y: Any, members: int, seed: int) -> tuple[mg.Sequential, int]:
    model = mg.Sequential(
        [mg.Dense(2, 2), mg.Sigmoid(), mg.Dense(2, 1)],
        loss=mg.HalfSquaredError(), random_state=seed, ensemble_size=members,
    )  # fmt: skip
    method = mg.LevenbergMarquardt(regularisation=None)
    with warnings.catch_warnings():  # about four rows for nine parameters
        warnings.simplefilter("ignore", mg.TrainingWarning)
        history = model.fit(x, y, optimizer=method, epochs=100, verbose=0)
    return model, history.epochs


def _solves(model: mg.Sequential, x: Any, y: Any) -> Any:
    """Which members have all outputs within 0.1 of the targets."""
    return (np.abs(model.predict(x) - y) < 0.1).all(axis=(-2, -1))


class Solved(mg.Callback):
    """Ends training when all points are classified correctly by the 40-20-40 criterion."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y, self.solved = x, y, False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.solved = bool((np.abs(self.model.predict(self.x) - self.y) < 0.8).all())
        self.model.stop_training = self.solved


def spirals_of(seed: int) -> Figures:
    """Train one network on the two spirals."""
    x, y = spirals()
    x = standardized(x)[0]
    model = mg.Sequential(
        [mg.Dense(2, 20), mg.SiLU(), mg.Dense(20, 20), mg.SiLU(), mg.Dense(20, 1)],
        loss=mg.HalfSquaredError(), random_state=seed,
    )  # fmt: skip
    stop, method = Solved(x, y), mg.LevenbergMarquardt(regularisation=None)
    started = time.process_time()
    with warnings.catch_warnings():  # about 194 rows for 501 parameters
        warnings.simplefilter("ignore", mg.TrainingWarning)
        history = model.fit(x, y, optimizer=method, epochs=500, callbacks=[stop], verbose=0)
    seconds = time.process_time() - started
    return {"solved": stop.solved, "epochs": history.epochs, "CPU seconds": seconds}


def spirals_table(found: Mapping[str, Figures]) -> Table:
    """One row for all seeds."""
    solved, epochs, seconds = (
        np.array([figures[name] for figures in found.values()])
        for name in ("solved", "epochs", "CPU seconds")
    )
    return Table(
        "Two spirals by 2-20-20-1",
        "SiLU units, linear output, squared error, standardised inputs. Solved means that all 194 "
        "points are classified correctly by the 40-20-40 criterion.",
        [
            *("seeds", "solved", "median epochs", "epochs at most"),
            *("mean CPU seconds", "CPU seconds at most"),
        ],
        [
            [
                *(str(len(found)), str(solved.sum())),
                *(f"{np.median(epochs):g}", str(epochs.max())),
                *(f"{seconds.mean():.2f}", f"{seconds.max():.2f}"),
            ]
        ],
    )


LOWS = {"0/1": 0.0, "+-1": -1.0}
"""The names of the codings, with the number that stands for false."""

XOR = Section(
    "XOR by 2-2-1, 100 seeds: seconds",
    "LevenbergMarquardt(regularisation=None), 100 epochs, one restart",
    (),
    lambda options: {name: partial(xor, low, options.smoke) for name, low in LOWS.items()},
    xor_table,
)

SPIRALS = Section(
    "two spirals by 2-20-20-1, 100 seeds: a minute or two",
    "LevenbergMarquardt(regularisation=None), at most 500 epochs",
    (),
    lambda options: {
        f"seed {i}": partial(spirals_of, i) for i in range(2 if options.smoke else 100)
    },
    spirals_table,
)
