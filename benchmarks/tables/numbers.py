"""Four UCI sets with a number as target, on their official splits, beside gradient boosting.

The recipe was chosen on training rows by out-of-fold error, and fixed before the test rows were
looked at.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import mlpgrad as mg
from benchmarks.estimator_sets import Split, uci
from benchmarks.tables.section import Options, Table, with_error
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


def ours(name: str, split: Split, seed: int, epochs: int | None) -> np.ndarray:
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
        epochs=epochs or recipe.epochs,
        batch_size=recipe.batch,
        folds=True,
        callbacks=[mg.EarlyStopping(recipe.patience)],
        verbose=0,
    )
    return model.predict(split.x_test).mean(axis=0)[:, 0]


def boosted(split: Split) -> np.ndarray:
    """Predictions of the test rows by scikit-learn's gradient boosting, with its defaults."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor(random_state=0)
    return boosting.fit(split.x, split.y).predict(split.x_test)


class Found(NamedTuple):
    """What one way to predict has given on the splits of a set."""

    errors: list[float]
    seconds: list[float]

    def add(self, predict: Callable[[], np.ndarray], target: np.ndarray) -> None:
        """Predict the test rows of a split."""
        started = time.process_time()
        residual = predict() - target
        self.seconds.append(time.process_time() - started)
        self.errors.append(float(np.sqrt(np.mean(residual**2))))


def row(name: str, options: Options) -> list[str]:
    """The figures of a set."""
    members, boosting = Found([], []), Found([], [])
    splits = min(options.splits or 20, SPLITS.get(name, 20))
    for number in range(splits):
        split = uci(options.data / f"uci-{SETS[name]}.npz", number)
        if options.smoke:
            split = Split(*(part[:300] for part in split))
        epochs = 2 if options.smoke else None
        members.add(functools.partial(ours, name, split, number, epochs), split.y_test)
        boosting.add(functools.partial(boosted, split), split.y_test)
    difference = np.subtract(members.errors, boosting.errors)
    return [
        *(name, str(splits), with_error(members.errors, 3), with_error(boosting.errors, 3)),
        with_error(difference, 3),
        *(f"{np.mean(found.seconds):.1f}" for found in (members, boosting)),
    ]


def measure(options: Options) -> Table:
    """Root-mean-square errors on the test rows of the official splits."""
    rows = [row(name, options) for name in SETS]
    return {
        "title": "Numbers: RMSE on official splits, beside gradient boosting",
        "text": (
            "Mean and standard error over splits; the mean of 5 fold-out members (10 for energy, "
            "wine: few rows) with target-aware bins, target scaled, beside "
            "scikit-learn's HistGradientBoostingRegressor with its defaults. Recipes were chosen "
            "on training rows, out of fold."
        ),
        "columns": [
            *("set", "splits", "fold-out members", "gradient boosting", "difference"),
            *("CPU seconds a split", "of boosting"),
        ],
        "rows": rows,
    }
