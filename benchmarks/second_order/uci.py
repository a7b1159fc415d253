"""UCI regression on its official splits: evidence fits of one hidden layer, single and ensemble.

The recipe was chosen by folds of training rows: one hidden layer of 50 tanh units (protein 100),
standardised inputs and targets, and the defaults of `LevenbergMarquardt`. The number of epochs is
the smaller of what still lowers the error on a held-out fold and what the time allows.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.datasets import uci
from benchmarks.tables.section import Figures, Options, Section, Table, Task, with_error


class Size(NamedTuple):
    """The size of the networks for a set, with the published figures."""

    hidden: int
    members: int
    epochs: int
    splits: int
    dropout: str
    """Test RMSE of MC-dropout, Gal and Ghahramani 2016."""
    likelihood: float
    """Its log likelihood."""


SETS = {
    "yacht": Size(50, 8, 150, 20, "0.666 +- .049", -1.25),
    "energy": Size(50, 8, 150, 20, "0.539 +- .014", -1.21),
    "wine": Size(50, 8, 100, 20, "0.622 +- .008", -0.93),
    "power": Size(50, 4, 200, 20, "4.014 +- .037", -2.81),
    "protein": Size(100, 2, 80, 5, "4.274 +- .021", -2.87),
}


def split(folder: Path, name: str, index: int, smoke: bool) -> Figures:
    """Measure one split: RMSE of members and ensemble, log likelihood, coverage, seconds."""
    data, size = uci(folder, name), SETS[name]
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
        epochs = 2 if smoke else size.epochs
        history = model.fit(
            x, y, optimizer=mg.LevenbergMarquardt(), epochs=epochs, verbose=0, **options
        )
    seconds = {"seconds": time.perf_counter() - wall, "CPU": time.process_time() - cpu}
    found: Figures = {"epochs": history.epochs, **seconds}
    prediction, y_test = model.predict(data.x[test]), data.y[test]
    errors = prediction - y_test
    found["single"] = float(np.sqrt(np.square(errors).mean(axis=(-2, -1))).mean())
    found["ensemble"] = float(np.sqrt(np.square(errors.mean(axis=0)).mean()))
    found["log likelihood"] = float(model.log_likelihood(data.x[test], y_test))
    low, high = model.predict(data.x[test], interval=0.95)
    found["coverage"] = float(((low <= y_test) & (y_test <= high)).mean())
    return found


def tasks(options: Options) -> dict[str, Task]:
    """All splits, the slowest first."""
    names = options.chosen(SETS) if options.sets or not options.smoke else ["yacht"]
    most = 1 if options.smoke else options.splits or 20
    return {
        f"{name}/{index}": partial(split, options.data, name, index, options.smoke)
        for name in sorted(names, key=[*SETS].index, reverse=True)
        for index in range(min(most, SETS[name].splits))
    }


def summary(name: str, splits: list[Figures]) -> list[str]:
    """Mean and standard error over the splits."""
    seconds = [each["CPU"] for each in splits]
    columns = ("single", "ensemble", "log likelihood", "coverage")
    return [
        *(name, str(len(splits)), SETS[name].dropout, f"{SETS[name].likelihood:.2f}"),
        *(with_error([each[key] for each in splits], 3) for key in columns),
        *(str(SETS[name].members), f"{np.mean(seconds):.1f}", f"{np.sum(seconds):.0f}"),
    ]


def table(found: Mapping[str, Figures]) -> Table:
    """A row for each set."""
    splits = {
        name: [figures for key, figures in found.items() if key.startswith(f"{name}/")]
        for name in SETS
    }
    return Table(
        "UCI regression by evidence fits",
        "Official splits; test RMSE in the unit of the target, log likelihood and coverage of "
        "95 % intervals of the ensemble, mean and standard error over the splits. One hidden layer "
        "of 50 tanh units (protein 100), defaults of `LevenbergMarquardt`; wine by members that "
        "each leave out a fold and stop on it. MC-dropout: Gal and Ghahramani 2016.",
        [
            *("set", "splits", "MC-dropout", "its log likelihood"),
            *("single", "ensemble", "log likelihood", "coverage"),
            *("members", "CPU seconds a split", "CPU seconds"),
        ],
        [summary(name, some) for name, some in splits.items() if some],
    )


SECTION = Section(
    "UCI regression on its official splits: 25 minutes with --processes 2",
    repr(SETS),
    tuple(SETS),
    tasks,
    table,
)
