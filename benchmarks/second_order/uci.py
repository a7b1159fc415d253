"""UCI regression on its official splits: evidence fits of one hidden layer, single and ensemble.

The recipe was fixed before any test row was looked at, by folds of training rows and by the
evidence: one hidden layer of 50 tanh units (protein 100), inputs and target standardised, the
defaults of `LevenbergMarquardt`.
"""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import uci
from benchmarks.second_order.tables import Table, in_processes, table


class Size(NamedTuple):
    """How large the networks of a set are, and what was published."""

    hidden: int
    members: int
    epochs: int
    dropout: str
    """Test RMSE of MC-dropout, Gal and Ghahramani 2016."""


SETS = {
    "yacht": Size(50, 8, 150, "0.666 +- .049"),
    "energy": Size(50, 8, 150, "0.539 +- .014"),
    "wine": Size(50, 8, 100, "0.622 +- .008"),
    "power": Size(50, 4, 100, "4.014 +- .037"),
    "protein": Size(100, 2, 80, "4.274 +- .021"),
}


def split(folder: str, name: str, index: int) -> dict[str, Any]:
    """One split: RMSE of the members and of the ensemble, log likelihood, coverage, seconds."""
    data, size = uci(Path(folder), name), SETS[name]
    test = data.test[index]
    x, y = data.x[~test], data.y[~test]
    model = mg.Sequential(
        [mg.Standardize(x.shape[1]), mg.Dense(x.shape[1], size.hidden), mg.Tanh(),
         mg.Dense(size.hidden, 1)],
        loss=mg.HalfSquaredError(), target_scaling="standard", random_state=index,
        ensemble_size=size.members,
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    stops = [mg.EarlyStopping(10)] if name == "wine" else []
    options: dict[str, Any] = {"folds": True, "callbacks": stops} if name == "wine" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.TrainingWarning)
        history = model.fit(
            x, y, optimizer=mg.LevenbergMarquardt(), epochs=size.epochs, verbose=0, **options
        )
    seconds = {"seconds": time.perf_counter() - wall, "CPU": time.process_time() - cpu}
    found: dict[str, Any] = {"split": index, "epochs": history.epochs, **seconds}
    prediction, y_test = model.predict(data.x[test]), data.y[test]
    errors = prediction - y_test
    found["single"] = float(np.sqrt(np.square(errors).mean(axis=(-2, -1))).mean())
    found["ensemble"] = float(np.sqrt(np.square(errors.mean(axis=0)).mean()))
    found["log likelihood"] = float(model.log_likelihood(data.x[test], y_test))
    low, high = model.predict(data.x[test], interval=0.95)
    found["coverage"] = float(((low <= y_test) & (y_test <= high)).mean())
    return found


def summary(name: str, splits: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard error over the splits."""
    row: dict[str, Any] = {"set": name, "splits": len(splits), "MC-dropout": SETS[name].dropout}
    for key in ("single", "ensemble", "log likelihood", "coverage"):
        values = [each[key] for each in splits]
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        row[key] = f"{np.mean(values):.3f} +- {error:.3f}"
    row["members"] = SETS[name].members
    row["CPU seconds a split"] = round(float(np.mean([each["CPU"] for each in splits])), 1)
    return row


def measure(options: Namespace) -> Table:
    """All sets, some splits at a time in processes."""
    rows = []
    for name in options.sets or SETS:
        count = min(1 if options.smoke else options.splits, len(uci(options.data, name).test))
        tasks = [partial(split, str(options.data), name, index) for index in range(count)]
        started = time.perf_counter()
        row = summary(name, in_processes(tasks, options.processes))
        rows.append(row | {"seconds for all": round(time.perf_counter() - started)})
    return table(
        "UCI regression by evidence fits",
        "Official splits; test RMSE in the target's own unit, log likelihood and coverage of "
        "95 % intervals of the ensemble, mean +- standard error over the splits. One hidden layer "
        "of 50 tanh units (protein 100), defaults of `LevenbergMarquardt`; wine by members that "
        "leave out a fold each and stop there. MC-dropout: Gal and Ghahramani 2016.",
        rows,
    )
