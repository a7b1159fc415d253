"""UCI regression on its official splits: Bayesian networks of one hidden layer, and ensembles.

The recipes were chosen by folds of training rows: one hidden layer of 50 tanh units (protein 100),
standardised inputs and targets, and the defaults of `LevenbergMarquardt`. The number of epochs is
the smaller of what still lowers the error on a held-out fold and what the time allows. A quarter of
wine's rows is there twice, which an evidence fit takes for noise; on its inner folds, members with
dropout that each leave out a fold, with a Laplace approximation after training, were better.
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
    "wine": Size(50, 8, 1000, 20, "0.622 +- .008", -0.93),
    "power": Size(50, 4, 200, 20, "4.014 +- .037", -2.81),
    "protein": Size(100, 2, 80, 5, "4.274 +- .021", -2.87),
}


FOLDED, DROP, RATE, DECAY = "wine", 0.1, 5e-3, 1e-3
"""The set whose members leave out folds, and their dropout, first rate and weight decay."""


def network(name: str, features: int, seed: int) -> mg.Sequential:
    """An ensemble of networks with one hidden layer."""
    size = SETS[name]
    return mg.Sequential(
        [
            *(mg.Standardize(features), mg.Dense(features, size.hidden), mg.Tanh()),
            *([mg.Dropout(DROP)] if name == FOLDED else []),
            mg.Dense(size.hidden, 1),
        ],
        loss=mg.HalfSquaredError(), target_scaling="standard", random_state=seed,
        ensemble_size=size.members,
    )  # fmt: skip


def train(model: mg.Sequential, name: str, x: Any, y: Any, smoke: bool) -> int:
    """Train an ensemble that knows its uncertainty, and return the number of epochs."""
    epochs = 2 if smoke else SETS[name].epochs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.TrainingWarning)
        if name != FOLDED:
            method = mg.LevenbergMarquardt()
            return model.fit(x, y, optimizer=method, epochs=epochs, verbose=0).epochs
        optimizer = mg.AdamW(mg.CosineDecay(RATE), weight_decay=DECAY)
        model.fit(x, y, optimizer=optimizer, epochs=epochs, folds=True, verbose=0)
        model.laplace(x, y)
    return epochs


def split(folder: Path, name: str, index: int, smoke: bool) -> Figures:
    """Measure one split: RMSE of members and ensemble, log likelihood, coverage, seconds."""
    data = uci(folder, name)
    test = data.test[index]
    x, y = data.x[~test], data.y[~test]
    wall, cpu = time.perf_counter(), time.process_time()
    model = network(name, x.shape[1], index)
    epochs = train(model, name, x, y, smoke)
    seconds = {"seconds": time.perf_counter() - wall, "CPU": time.process_time() - cpu}
    found: Figures = {"epochs": epochs, **seconds}
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
        "UCI regression by Bayesian networks",
        "Official splits; test RMSE in the unit of the target, log likelihood and coverage of "
        "95 % intervals of the ensemble, mean and standard error over the splits. One hidden layer "
        "of 50 tanh units (protein 100), defaults of `LevenbergMarquardt`; wine, of whose rows a "
        f"quarter is there twice, by members that each leave out a fold and train by AdamW with "
        f"dropout {DROP}, with a Laplace approximation. MC-dropout: Gal and Ghahramani 2016.",
        [
            *("set", "splits", "MC-dropout", "its log likelihood"),
            *("single", "ensemble", "log likelihood", "coverage"),
            *("members", "CPU seconds a split", "CPU seconds"),
        ],
        [summary(name, some) for name, some in splits.items() if some],
    )


SECTION = Section(
    "UCI regression on its official splits: 25 minutes with --processes 2",
    f"{SETS}, {FOLDED} by folds: dropout {DROP}, rate {RATE}, decay {DECAY}",
    tuple(SETS),
    tasks,
    table,
)
