"""A trained model in a file, with a description of the table that it was trained on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import Decided
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.text import check_file

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential

MEMBER = "table.json"
"""A member of the model's archive that `mg.load` ignores."""


class About(NamedTuple):
    """The training data and the scores of a model."""

    file: str
    target: str
    unit: str
    """The sign or unit of the target's amounts."""
    classes: bool
    """Whether the target is a class; otherwise it is a quantity."""
    columns: dict[str, Decided]
    """The kind of each column; empty if the inputs were an array."""
    missing: str
    """The texts for missing values, separated by commas."""
    baseline: Any
    """The mean, or the most frequent class, of the training rows."""
    figures: str
    """Its scores and those of the baseline, as printed."""
    decimal: str = ""
    """The decimal sign of the table; empty if no number showed it."""
    noise_rows: int = 0
    """The rows that showed the noise in `model.uncertainty`; 0 if it is not known."""


def predicted(model: Sequential, x: Any) -> Array:
    """Return the predicted label or number of each row, `(n,)`; combined for an ensemble."""
    if model.loss.classifies:
        found: Array = labels_of(model)[probabilities(model, x).argmax(axis=-1)]
        return found
    return numbers(model, x)[:, 0]


def numbers(model: Sequential, x: Any) -> Array:
    """Return the predicted numbers, `(n, targets)`; for an ensemble the mean of its members."""
    found = np.asarray(model.loss.numbers(np.asarray(model.predict(x))), np.float64)
    return found if found.ndim == 2 else found.mean(axis=0)


def probabilities(model: Sequential, x: Any) -> Array:
    """Return the probability of each class, `(n, K)`; for an ensemble the mean of its members."""
    shares = np.asarray(model.predict_proba(x))
    shares = shares.mean(axis=0) if shares.ndim == 3 else shares
    return np.hstack([1 - shares, shares]) if shares.shape[1] == 1 else shares


def labels_of(model: Sequential) -> Array:
    """Return the labels of a model's classes."""
    known = model.classes_
    return np.arange(max(model.out_features or 0, 2)) if known is None else known


def save_model(model: Sequential, about: About, path: Path) -> None:
    """Write a model and the description of its table to one file."""
    model.save(path)
    kept = about._asdict()
    kept["columns"] = {name: list(column) for name, column in about.columns.items()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, json.dumps(kept))


def load_model(path: Path) -> tuple[Sequential, About | None]:
    """Read a model from its file; the description is None if it is missing."""
    import mlpgrad as mg

    check_file(path)
    if not zipfile.is_zipfile(path):
        raise CommandError(
            f"{path} is not a model: name a model.npz that `mlpgrad train` has written, and then "
            f"the file"
        )
    model = mg.load(path)
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return model, None
        kept = json.loads(archive.read(MEMBER))
    columns = {name: Decided(*column) for name, column in kept["columns"].items()}
    return model, About(**kept | {"columns": columns})


def load_trained(path: Path, in_python: str) -> tuple[Sequential, About]:
    """Read a model that `mlpgrad train` has written; raise CommandError for any other."""
    model, about = load_model(path)
    if about is None:
        raise CommandError(
            f"{path} was not written by `mlpgrad train`, so its target is not known; in Python: "
            f"{in_python}"
        )
    return model, about
