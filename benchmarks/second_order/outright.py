"""Small problems that Levenberg and Marquardt's method solves outright: XOR and two spirals."""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from typing import Any

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import spirals, standardized
from benchmarks.second_order.tables import Table, table


def xor(options: Namespace) -> Table:
    """XOR by 2-2-1; all seeds in one fit."""
    seeds = 2 if options.smoke else 100
    return table(
        "XOR by 2-2-1",
        "Sigmoid units, linear output, squared error; inputs and targets 0/1 or +-1. Solved means "
        "all outputs within 0.1. All seeds are members of one ensemble; those that end in another "
        "minimum are tried once more, and counted.",
        [{"inputs": name} | _xor(seeds, low) for name, low in (("0/1", 0.0), ("+-1", -1.0))],
    )


def _xor(seeds: int, low: float) -> dict[str, Any]:
    x, y = mg.datasets.xor()
    x, y = low + (1 - low) * x, low + (1 - low) * y.reshape(-1, 1)
    started = time.process_time()
    model, epochs = _fitted(x, y, seeds, 0)
    solved = _solves(model, x, y)
    restarts = int((~solved).sum())
    if restarts:  # one more try, with other weights
        again, _ = _fitted(x, y, restarts, 1)
        solved[~solved] = _solves(again, x, y)
    return {
        "seeds": seeds,
        "solved": int(solved.sum()),
        "restarts": restarts,
        "epochs at most": epochs,
        "CPU seconds": time.process_time() - started,
    }


def _fitted(x: Any, y: Any, members: int, seed: int) -> tuple[mg.Sequential, int]:
    model = mg.Sequential(
        [mg.Dense(2, 2), mg.Sigmoid(), mg.Dense(2, 1)],
        loss=mg.HalfSquaredError(), random_state=seed, ensemble_size=members,
    )  # fmt: skip
    method = mg.LevenbergMarquardt(regularisation=None)
    with warnings.catch_warnings():  # of four rows for nine parameters
        warnings.simplefilter("ignore", mg.TrainingWarning)
        history = model.fit(x, y, optimizer=method, epochs=100, verbose=0)
    return model, history.epochs


def _solves(model: mg.Sequential, x: Any, y: Any) -> Any:
    """Which members give all outputs within 0.1."""
    return (np.abs(model.predict(x) - y) < 0.1).all(axis=(-2, -1))


class Solved(mg.Callback):
    """Ends training when all points are on their side by the 40-20-40 criterion."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y, self.solved = x, y, False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.solved = bool((np.abs(self.model.predict(self.x) - self.y) < 0.8).all())
        self.model.stop_training = self.solved


def two_spirals(options: Namespace) -> Table:
    """Two spirals by 2-20-20-1."""
    return table(
        "Two spirals by 2-20-20-1",
        "SiLU units, linear output, squared error, standardised inputs. Solved means all 194 "
        "points right by the 40-20-40 criterion.",
        [_spirals(2 if options.smoke else 100)],
    )


def _spirals(seeds: int) -> dict[str, Any]:
    x, y = spirals()
    x = standardized(x)[0]
    found = []
    for seed in range(seeds):
        model = mg.Sequential(
            [mg.Dense(2, 20), mg.SiLU(), mg.Dense(20, 20), mg.SiLU(), mg.Dense(20, 1)],
            loss=mg.HalfSquaredError(), random_state=seed,
        )  # fmt: skip
        stop, method = Solved(x, y), mg.LevenbergMarquardt(regularisation=None)
        started = time.process_time()
        with warnings.catch_warnings():  # of 194 rows for 501 parameters
            warnings.simplefilter("ignore", mg.TrainingWarning)
            history = model.fit(x, y, optimizer=method, epochs=500, callbacks=[stop], verbose=0)
        found.append((stop.solved, history.epochs, time.process_time() - started))
    solved, epochs, seconds = zip(*found, strict=True)
    return {
        "seeds": seeds,
        "solved": sum(solved),
        "median epochs": float(np.median(epochs)),
        "epochs at most": max(epochs),
        "mean CPU seconds": float(np.mean(seconds)),
        "CPU seconds at most": max(seconds),
    }
