"""The tables on which the estimators are compared, split into training and test rows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

PROBEN1 = ("cancer1", "card1", "diabetes1", "glass1", "heart1", "horse1", "soybean1")
BESIDE = ("gene1", "thyroid1")
"""Sets that favour trees; they are printed, but not counted."""
RESPLIT = {f"{name}, other splits": name for name in PROBEN1}
"""All rows of Proben1's sets, split at random for each seed: likewise not counted."""
UCI = {
    "energy": "energy",
    "yacht": "yacht",
    "wine red": "wine-quality-red",
    "protein": "protein-tertiary-structure",
}
BUNDLED: dict[str, Callable[..., Any]] = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}
SETS = (*PROBEN1, "adult", "phoneme", *BUNDLED, *UCI)
"""The eighteen sets that are counted."""
NUMBERS = {"diabetes", *UCI}
"""The sets whose target is a number."""


class Split(NamedTuple):
    """The training rows and the test rows of one set."""

    x: pd.DataFrame
    y: np.ndarray
    x_test: pd.DataFrame
    y_test: np.ndarray


def load(name: str, seed: int, data: Path) -> Split:
    """The split of a set for this seed: the official one if there is one."""
    if name in PROBEN1 or name in BESIDE:
        return _proben1(data / "proben1" / f"{name}.dt.gz")
    if name in RESPLIT:
        official = load(RESPLIT[name], seed, data)
        x = pd.concat([official.x, official.x_test])
        y = np.concatenate([official.y, official.y_test])
        return _resplit(x, y, len(official.x_test), seed, y)
    if name == "adult":
        return _adult(data)
    if name in UCI:
        return uci(data / f"uci-{UCI[name]}.npz", seed)
    if name == "phoneme":
        table = pd.read_csv(data / "phoneme.csv.gz", header=None)
        x, y = table.iloc[:, :-1], table.iloc[:, -1].to_numpy()
    else:
        x, y = BUNDLED[name](return_X_y=True, as_frame=True)
        y = y.to_numpy()
    x = x.set_axis([str(column) for column in x.columns], axis=1)
    labels = None if name in NUMBERS else y
    return _resplit(x, y, 0.25, seed, labels)


def _resplit(x: pd.DataFrame, y: Any, test: float, seed: int, labels: Any) -> Split:
    """A random split with a number or share of test rows, with the same share of each label."""
    parts = train_test_split(x, y, test_size=test, random_state=seed, stratify=labels)
    return Split(parts[0], parts[2], parts[1], parts[3])


def _proben1(path: Path) -> Split:
    """The training and validation rows of the file are for training, its test rows for testing."""
    with gzip.open(path, "rt") as file:
        head = dict(file.readline().strip().split("=") for _ in range(7))
        rows = np.loadtxt(file)
    inputs = int(head["bool_in"]) + int(head["real_in"])
    known = int(head["training_examples"]) + int(head["validation_examples"])
    x = pd.DataFrame(rows[:, :inputs], columns=[f"x{i}" for i in range(inputs)])
    y = rows[:, inputs:].argmax(axis=1)
    return Split(x[:known], y[:known], x[known:], y[known:])


def _adult(data: Path) -> Split:
    """The official split; text is unchanged, with `?` for gaps."""
    tables = [
        pd.read_csv(data / f"adult-{part}.csv.gz", header=None, skipinitialspace=True)
        for part in ("train", "test")
    ]
    columns = [f"x{i}" for i in range(14)]
    xs = [table.iloc[:, :14].set_axis(columns, axis=1) for table in tables]
    ys = [table.iloc[:, 14].str.rstrip(".").to_numpy() for table in tables]
    return Split(xs[0], ys[0], xs[1], ys[1])


def uci(path: Path, seed: int) -> Split:
    """The official split with this number."""
    archive = np.load(path)
    rows = int(archive["n_rows"])
    masks = np.unpackbits(archive["test_mask"], axis=1)[:, :rows].astype(bool)
    test = masks[seed % len(masks)]
    x, y = archive["X"], archive["y"].ravel()
    x = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    return Split(x[~test], y[~test], x[test], y[test])
