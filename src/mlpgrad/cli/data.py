"""The data set of a command, read and split 64 : 16 : 20."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import Decided, amounts_of, decide, listing, read
from mlpgrad.cli.doubts import copies, doubts
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.layout import numbered
from mlpgrad.cli.target import Target, numbers_target, read_target
from mlpgrad.cli.text import TextTable, check_file, read_text
from mlpgrad.datasets.files import COMPOSED, is_idx, load_idx
from mlpgrad.datasets.splitting import split_indices
from mlpgrad.datasets.table import SEVERAL

TOY_DATA = ("circles", "digits", "moons", "regression", "spirals", "xor")
PARTS = ("train", "validation", "test")


class Data(NamedTuple):
    """A data set in its own units."""

    name: str
    x: Any
    """An array, or the columns of a table by name."""
    target: Target
    target_name: str
    rows: dict[str, Array]
    """The rows for training, validation and testing."""
    columns: dict[str, Decided]
    """The kinds of the columns of a table, by name; empty for arrays."""
    notes: list[str]
    """Notes on decisions, and on what to check."""
    scaled: bool
    """Whether to standardize the inputs of an array: not if they are in 0 to 1."""
    decimal: str = ""
    """The decimal sign of a table; empty if no number shows it."""

    def part(self, name: str) -> tuple[Any, Array]:
        """Return inputs and targets of a part."""
        rows = self.rows[name]
        return take(self.x, rows), self.target.y[rows]


def take(x: Any, rows: Any) -> Any:
    """Return some rows of an array, or of the columns of a table."""
    return {name: column[rows] for name, column in x.items()} if isinstance(x, dict) else x[rows]


def load_data(options: argparse.Namespace) -> Data:
    """Return the data set or file that the user names."""
    name = options.data
    if name in TOY_DATA:
        return _bundled(name, options.task)
    path = Path(name)
    if not path.exists():
        raise CommandError(f"found no data set or file {name!r}{nearest(name, TOY_DATA)}")
    check_file(path)
    if is_images(path, options):
        return _images(path, options)
    return _table(path, options)


def is_images(path: Path, options: argparse.Namespace) -> bool:
    """Return whether a file holds images in MNIST's format."""
    if is_idx(path):
        return True
    if options.labels is not None:
        raise CommandError(
            f"--labels is for images in IDX files, which {path} is not; --target names the column "
            f"of a table"
        )
    return False


def _data(
    name: str,
    x: Any,
    target: Target,
    target_name: str,
    columns: dict[str, Decided] | None = None,
    notes: tuple[str, ...] = (),
    scaled: bool = True,
) -> Data:
    """Return the data with its split, and notes on both."""
    rows = _split(target.y, bool(target.classes))
    kind = f"{len(target.classes)} classes" if target.classes else "a quantity"
    features = len(x) if isinstance(x, dict) else x.shape[1]
    counts = ", ".join(
        f"{len(rows[part]):,} to {verb}"
        for part, verb in zip(PARTS, ("train", "validate", "test"), strict=True)
    )
    what = ("column" if isinstance(x, dict) else "feature") + "s" * (features != 1)
    head = [
        f"{len(target.y):,} samples, {features:,} {what}; {counts}",
        f"{target_name!r} is {kind}, because: {target.reason}" + _how_to_turn(target),
    ]
    return Data(name, x, target, target_name, rows, columns or {}, [*notes, *head], scaled)


def _how_to_turn(target: Target) -> str:
    """Return the option that overrides the decision, if there is one."""
    if target.classes:
        return "" if target.y.dtype.kind == "U" else " (--task regression for a quantity)"
    few = len(np.unique(target.y)) * SEVERAL <= len(target.y)
    return " (--task classification for classes)" if few else ""


def _split(y: Array, classes: bool) -> dict[str, Array]:
    """Return the rows of each part, stratified by class; all to train if there are one or two."""
    if len(y) < len(PARTS):
        return {part: np.arange(len(y) * (part == "train")) for part in PARTS}
    labels = y if classes else None
    rng = np.random.default_rng(0)  # the split is fixed; --seed changes only the training
    rest, test = split_indices(len(y), 0.2, labels=labels, rng=rng, shuffle=True)
    inner = None if labels is None else labels[rest]
    kept, held = split_indices(len(rest), 0.2, labels=inner, rng=rng, shuffle=True)
    return dict(zip(PARTS, (rest[kept], rest[held], test), strict=True))


def _bundled(name: str, task: str) -> Data:
    """Return a data set that is bundled with the package."""
    from mlpgrad import datasets

    drawn = () if name in ("digits", "xor", "spirals") else (1000,)
    noise = {"moons": 0.2, "circles": 0.1, "regression": 1.0}.get(name)
    choice = {} if noise is None else {"noise": noise, "random_state": 0}
    x, y = getattr(datasets, name)(*drawn, **choice)
    if name == "xor":
        x, y = np.tile(x, (250, 1)), np.tile(y, 250)
    target = numbers_target(y, "y", task)
    return _data(name, x, target, "y", scaled=name not in ("digits", "xor"))


def _images(path: Path, options: argparse.Namespace) -> Data:
    """Return images and labels in MNIST's format; pixels keep the range of the file."""
    if options.labels is None:
        raise CommandError(f"{path.name} holds images; name the file of labels with --labels")
    check_file(options.labels)
    x, y = read_images(path), load_idx(options.labels)
    if y.shape != x.shape[:1]:
        raise ValueError(
            f"{options.labels} expects a label for each of the {len(x):,} images of {path.name}, "
            f"got shape {y.shape}"
        )
    target = numbers_target(y.astype(np.int64), "label", options.task, labels=True)
    return _data(path.name, x, target, "label")


def read_images(path: Path) -> Array:
    """Return images in MNIST's format as rows of pixels."""
    images = load_idx(path)
    x = images.reshape(len(images), -1)
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def _table(path: Path, options: argparse.Namespace) -> Data:
    table = read_text(path, options)
    name = target_of(table, options.target)
    table, left_out = without_gaps(table, name)
    target = read_target(table, name, options.task)
    columns = decide(table, [other for other in table.names if other != name], options)
    others = "the others (--numbers, --categories and --without decide otherwise):"
    notes = (
        table.note,
        *table.left_out,
        *left_out,
        f"the target is column {name!r}; {others}",
        *listing(columns),
    )
    x = read(table, columns)
    data = _data(path.name, x, target, name, columns, notes)
    found = [*doubts(table, name, target, columns, x), *copies(x, target.y, data.rows)]
    data.notes.extend(f"warning: {doubt}" for doubt in found)
    return data._replace(decimal=table.fields.decimal if table.decimal_is_known else "")


def target_of(table: TextTable, wanted: str | None) -> str:
    """Return the name of the target's column: by default, or for -1, the last column."""
    if len(table.names) < 2:
        raise ValueError(
            f"{table.path} expects at least two columns, a feature and the target, got "
            f"{table.names}; is another delimiter used? pass --delimiter"
        )
    if wanted is None:
        return table.names[-1]
    wanted = COMPOSED(wanted)
    if wanted in table.columns:
        return wanted
    if re.fullmatch(r"-\d+", wanted) and int(wanted) >= -len(table.names):
        return table.names[int(wanted)]
    raise CommandError(f"{table.path} has no column {wanted!r}{nearest(wanted, table.names)}")


def without_gaps(table: TextTable, name: str) -> tuple[TextTable, list[str]]:
    """Return the rows with a target, and a note on those without."""
    texts, fields = table.columns[name], table.fields
    gaps = [row for row, text in enumerate(texts) if fields.is_missing(text)]
    if not gaps:
        return table, []
    if len(gaps) == len(texts):
        raise ValueError(f"{table.path} has no target in any row of column {name!r}")
    named = next((row for row in gaps if texts[row]), None)
    others = (text for text in texts if not fields.is_missing(text))
    quantity = any(map(fields.is_number, others)) or amounts_of(table, name) is not None
    if named is not None and not quantity:
        raise ValueError(
            f"{table.place(named, name)}: expects a target, got {texts[named]!r}; remove the row "
            f"or correct it; if it is the name of a class, pass --missing without it"
        )
    gone = set(gaps)
    kept = [row for row in range(len(texts)) if row not in gone]
    columns = {key: [values[row] for row in kept] for key, values in table.columns.items()}
    lines = [table.lines[row] for row in kept]
    where = numbered([table.lines[row] for row in gaps])
    rows = "1 row" if len(gaps) == 1 else f"{len(gaps):,} rows"
    note = f"left out, since the target is missing: {rows}, {where}"
    return table._replace(columns=columns, lines=lines), [note]
