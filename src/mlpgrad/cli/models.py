"""A trained model in a file, with what the commands know of the table that it was trained on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import Decided
from mlpgrad.cli.encoding import encoder_from, encoder_state
from mlpgrad.cli.text import check_file

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential
    from mlpgrad.tables import TableEncoder

MEMBER = "table.json"
"""A member of the model's archive, which `mg.load` does not look at."""


class About(NamedTuple):
    """What a model was trained on, and how well it did."""

    file: str
    target: str
    unit: str
    """The sign or unit of the target's amounts."""
    classes: list[Any]
    """The labels of the classes; none for a quantity."""
    columns: dict[str, Decided]
    """What each column was taken for; none where the inputs were an array."""
    missing: str
    """The texts for missing values, with commas between them."""
    baseline: Any
    """The mean, or the most frequent class, of the training rows."""
    figures: str
    """Its figures and the baseline's, as they were printed."""


class Trained(NamedTuple):
    """A model with the encoder of its columns; `about` is None where only a model was saved."""

    model: Sequential
    encoder: TableEncoder | None
    about: About | None

    def inputs(self, x: Any) -> Any:
        """The model's inputs, of columns by name or of an array."""
        return x if self.encoder is None else self.encoder.transform(x)

    def predicted(self, x: Any) -> Array:
        """The predicted label or number of each row, `(n,)`; of an ensemble together."""
        if self.model.loss.classifies:
            found: Array = np.array(self.labels())[self.probabilities(x).argmax(axis=-1)]
            return found
        prediction = np.asarray(self.model.predict(self.inputs(x)), np.float64)
        return prediction[..., 0] if prediction.ndim == 2 else prediction[..., 0].mean(axis=0)

    def probabilities(self, x: Any) -> Array:
        """The probability of each class, `(n, K)`; of an ensemble the mean of its members'."""
        shares = np.asarray(self.model.predict_proba(self.inputs(x)))
        shares = shares.mean(axis=0) if shares.ndim == 3 else shares
        return np.hstack([1 - shares, shares]) if shares.shape[1] == 1 else shares

    def labels(self) -> list[Any]:
        """The labels of the classes."""
        if self.about is not None:
            return self.about.classes
        return list(range(max(self.model.out_features or 0, 2)))


def save_model(trained: Trained, path: Path) -> None:
    """Write a model with what is known of its table: one file."""
    trained.model.save(path)
    assert trained.about is not None
    kept = trained.about._asdict()
    kept["columns"] = {name: list(column) for name, column in trained.about.columns.items()}
    kept["encoder"] = encoder_state(trained.encoder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, json.dumps(kept))


def load_model(path: Path) -> Trained:
    """A model from its file."""
    import mlpgrad as mg

    check_file(path)
    model = mg.load(path)
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return Trained(model, None, None)
        kept = json.loads(archive.read(MEMBER))
    columns = {name: Decided(*column) for name, column in kept["columns"].items()}
    encoder = encoder_from(columns, kept.pop("encoder"))
    return Trained(model, encoder, About(**kept | {"columns": columns}))
