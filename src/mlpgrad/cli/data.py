"""The data set of a command: read, split 64 : 16 : 20, and scaled by its training rows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import nearest
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.kinds import kind_of
from mlpgrad.cli.tables import Source, read_images, read_table
from mlpgrad.datasets.splitting import Scaling, split_indices

TOY_DATA = ("circles", "digits", "moons", "regression", "spirals", "xor")


class Data(NamedTuple):
    """A data set in its own units, and how its parts are scaled for training."""

    name: str
    x: Array
    y: Array
    """Class indices, or numbers."""
    rows: dict[str, Array]
    """The rows to train on, to validate on and to test on."""
    classes: tuple[str, ...]
    """The names of the classes; none for regression."""
    target: str
    """The name of what is predicted."""
    note: str
    inputs: Scaling | None
    """How the inputs are scaled; None where they are from 0 to 1 already."""
    outputs: Scaling | None
    """How a quantity is scaled; None for classes."""

    def part(self, name: str) -> tuple[Array, Array]:
        """Inputs and targets of a part, in their own units."""
        rows = self.rows[name]
        return self.x[rows], self.y[rows]

    def scaled(self, name: str) -> tuple[Array, Array]:
        """Inputs and targets of a part, as they are trained on."""
        y = self.y if self.outputs is None else self.outputs(self.y[:, None])[:, 0]
        rows = self.rows[name]
        return self.scaled_inputs(rows), y[rows]

    def scaled_inputs(self, rows: Array | slice = slice(None)) -> Array:
        """Inputs as they are trained on."""
        x = self.x[rows]
        return x if self.inputs is None else self.inputs(x)


def load_data(options: argparse.Namespace) -> Data:
    """The data set or file that the user names."""
    name = options.data
    source = _bundled(name) if name in TOY_DATA else _read_file(Path(name), options)
    y, classes, reason = kind_of(source, options.task)
    rows = _split(y, len(classes))
    train = rows["train"]
    unscaled = name in ("digits", "xor")  # their values are already from 0 to 1
    inputs = None if unscaled else Scaling(source.x[train])
    outputs = None if classes else Scaling(y[train, None])
    kind = f"{len(classes)} classes" if classes else "regression"
    train_rows, validation, test = (f"{len(part):,}" for part in rows.values())
    note = (
        f"{len(y):,} samples, {source.x.shape[1]} features, {kind}; {train_rows} to train, "
        f"{validation} to validate, {test} to test\n{kind}, because: {reason}"
    )
    note = f"{note}\n{source.note}" if source.note else note
    return Data(Path(name).name, source.x, y, rows, classes, source.target, note, inputs, outputs)


def _split(y: Array, classes: int) -> dict[str, Array]:
    """The rows of each part; classes in proportion."""
    labels = y if classes else None
    rng = np.random.default_rng(0)  # the split is fixed: --seed changes only the training
    rest, test = split_indices(len(y), 0.2, labels=labels, rng=rng, shuffle=True)
    inner = None if labels is None else labels[rest]
    kept, held = split_indices(len(rest), 0.2, labels=inner, rng=rng, shuffle=True)
    return {"train": rest[kept], "validation": rest[held], "test": test}


def _bundled(name: str) -> Source:
    """A data set that comes with the package."""
    from mlpgrad import datasets

    drawn = () if name in ("digits", "xor", "spirals") else (1000,)
    noise = {"moons": 0.2, "circles": 0.1, "regression": 1.0}.get(name)
    choice = {} if noise is None else {"noise": noise, "random_state": 0}
    x, y = getattr(datasets, name)(*drawn, **choice)
    if name == "xor":
        x, y = np.tile(x, (250, 1)), np.tile(y, 250)
    return Source(x, y, "y")


def _read_file(path: Path, options: argparse.Namespace) -> Source:
    if not path.exists():
        raise CommandError(f"found no data set or file {str(path)!r}{nearest(str(path), TOY_DATA)}")
    if "idx" in path.name or options.labels is not None:
        return read_images(path, options.labels)
    return read_table(path, options)
