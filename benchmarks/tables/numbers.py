"""Four UCI sets with a number as target, on their official splits, beside gradient boosting.

The recipe was chosen on training rows by out-of-fold error, and fixed before the test rows were
looked at.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.estimator_sets import Split, uci
from benchmarks.tables.section import Figures, Options, Section, Table, Task, with_error
from mlpgrad.tables import TableEncoder, TargetBins

SETS = {
    "energy": "energy",
    "wine red": "wine-quality-red",
    "protein": "protein-tertiary-structure",
    "power plant": "power-plant",
}
SPLITS = {"protein": 5}


class Recipe(NamedTuple):
    """What differs from set to set, with the number of its rows and their noise."""

    members: int
    hidden: tuple[int, ...]
    drop: float
    rate: float
    batch: int
    epochs: int
    patience: int


RECIPES = {
    "energy": Recipe(10, (64,), 0.0, 3e-3, 32, 200, 15),
    "wine red": Recipe(10, (64,), 0.5, 2e-3, 64, 200, 15),
    "protein": Recipe(5, (128, 64), 0.1, 3e-3, 256, 40, 5),
    "power plant": Recipe(5, (128, 64), 0.0, 3e-3, 64, 80, 8),
}


def ours(name: str, split: Split, seed: int, smoke: bool) -> np.ndarray:
    """Predictions of the test rows by fold-out members."""
    recipe = RECIPES[name]
    encoder = TableEncoder(TargetBins()).plan(split.x)
    layers: list[mg.Layer] = []
    width = encoder.width
    for units in recipe.hidden:
        layers += [mg.Dense(width, units), mg.ReLU()]
        layers += [mg.Dropout(recipe.drop)] if recipe.drop else []
        width = units
    model = mg.Sequential(
        [*layers, mg.Dense(width, 1)],
        loss=mg.MeanSquaredError(),
        target_scaling="standard",
        encoder=encoder,
        ensemble_size=recipe.members,
        random_state=seed,
    )
    model.fit(
        split.x,
        split.y,
        optimizer=mg.Adam(recipe.rate),
        epochs=2 if smoke else recipe.epochs,
        batch_size=recipe.batch,
        folds=True,
        callbacks=[mg.EarlyStopping(recipe.patience)],
        verbose=0,
    )
    return model.predict(split.x_test).mean(axis=0)[:, 0]


def boosted(name: str, split: Split, seed: int, smoke: bool) -> np.ndarray:
    """Predictions of the test rows by scikit-learn's gradient boosting, with its defaults."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor(random_state=0)
    return boosting.fit(split.x, split.y).predict(split.x_test)


FIGURES = ("RMSE", "seconds")
METHODS = {"fold-out members": ours, "gradient boosting": boosted}


def figures(data: Path, name: str, method: str, number: int, smoke: bool) -> Figures:
    """Error on the test rows of a split, and CPU seconds to train and predict."""
    split = uci(data / f"uci-{SETS[name]}.npz", number)
    if smoke:
        split = Split(*(part[:300] for part in split))
    started = time.process_time()
    residual = METHODS[method](name, split, number, smoke) - split.y_test
    seconds = time.process_time() - started
    return {"RMSE": float(np.sqrt(np.mean(residual**2))), "seconds": seconds}


def tasks(options: Options) -> dict[str, Task]:
    """Each method on each split, the first splits of all sets first."""
    return {
        f"{name}/{method}/{number}": functools.partial(
            figures, options.data, name, method, number, options.smoke
        )
        for number in range(min(options.splits or 20, 20))
        for name in options.chosen(SETS)
        if number < SPLITS.get(name, 20)
        for method in METHODS
    }


def row(name: str, found: Mapping[str, Figures]) -> list[str] | None:
    """The figures of a set on the splits that both methods have seen."""
    keys = [[f"{name}/{method}/{number}" for method in METHODS] for number in range(20)]
    pairs = [[found[key] for key in pair] for pair in keys if all(key in found for key in pair)]
    if not pairs:
        return None
    errors, seconds = (np.array([[f[what] for f in p] for p in pairs]) for what in FIGURES)
    return [
        *(name, str(len(pairs))),
        *(with_error(column, 3) for column in errors.T),
        with_error(errors[:, 0] - errors[:, 1], 3),
        *(f"{value:.1f}" for value in seconds.mean(axis=0)),
    ]


def table(found: Mapping[str, Figures]) -> Table:
    """A row for each set."""
    return Table(
        "Numbers: RMSE on official splits, beside gradient boosting",
        "Mean and standard error over splits; the mean of 5 fold-out members (10 for energy, "
        "wine: few rows) with target-aware bins, target scaled, beside scikit-learn's "
        "HistGradientBoostingRegressor with its defaults. Recipes were chosen on training rows, "
        "out of fold.",
        [
            *("set", "splits", *METHODS, "difference"),
            *("CPU seconds a split", "of boosting"),
        ],
        [cells for name in SETS if (cells := row(name, found))],
    )


SECTION = Section(
    "four UCI sets with a number as target, beside gradient boosting",
    repr(RECIPES),
    tuple(SETS),
    tasks,
    table,
)
