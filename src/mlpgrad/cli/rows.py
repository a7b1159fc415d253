"""The rows of a file for a model, with the columns of its training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import NUMBERS, Decided, amounts_of, listed, read
from mlpgrad.cli.data import TOY_DATA, is_images, read_images, without_gaps
from mlpgrad.cli.decimals import read_as_trained
from mlpgrad.cli.encoding import columns_of, strange_values
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.models import About, labels_of
from mlpgrad.cli.text import TextTable, check_file, one_text, read_text
from mlpgrad.datasets.amounts import unit_of
from mlpgrad.datasets.fields import Fields
from mlpgrad.datasets.files import load_idx

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential
    from mlpgrad.tables import TableEncoder


class Rows(NamedTuple):
    """The inputs of a file, and its text if it is a table."""

    x: Any
    table: TextTable | None


def read_rows(
    model: Sequential,
    about: About | None,
    options: argparse.Namespace,
    with_target: bool = False,
) -> Rows:
    """Return the inputs of the file that the options name, as the model takes them.

    Parameters
    ----------
    with_target : bool
        Whether to leave out rows without a target.
    """
    path = Path(options.file)
    if options.file not in TOY_DATA:
        check_file(path)
    if about is None and model.encoder is not None:
        return _encoded_rows(model.encoder, path, options)
    if about is None or not about.columns:
        return _array_rows(model, path, options)
    if options.missing is None:
        options.missing = about.missing
    every = not with_target
    table = read_as_trained(path, options, about, every)._replace(decided=True)
    _tell(table.left_out)
    if with_target:
        target_column(table, about)
        table, notes = without_gaps(table, about.target)
        _tell(notes)
    _tell_unused(table, {*about.columns, about.target}, options)
    x = _encodable(model, read(table, about.columns), table)
    _tell(_without_units(table, about, with_target))
    _tell(strange_values(model.encoder, x) if model.encoder is not None else ())
    return Rows(x, table)


def _encodable(model: Sequential, x: Any, table: TextTable) -> Any:
    """Return the columns; raise an error with the line if the model cannot encode them."""
    try:
        model.checked_inputs(x)
    except ValueError as error:
        raise table.refused(error) from error
    return x


def _encoded_rows(encoder: TableEncoder, path: Path, options: argparse.Namespace) -> Rows:
    """The columns that a model's own encoder takes: by name, or by place if it saw an array."""
    if options.missing is None:
        options.missing = one_text(encoder.missing)
    table = read_text(path, options, every=True)._replace(decided=True)
    _tell(table.left_out)
    columns = columns_of(encoder)
    by_place = all(isinstance(name, int) for name in columns)
    if by_place:
        _check_width(table, len(encoder.snapshot()["plan"]))
        renamed = zip(range(len(table.names)), table.columns.values(), strict=True)
        table = table._replace(columns={str(place): texts for place, texts in renamed})
    known = {str(name): column for name, column in columns.items()}
    table = _with_numbers_for_truth(table, known)
    if not by_place:
        _tell_unused(table, {*known}, options)
    found = read(table, known)
    x = {name: found[str(name)] for name in columns}
    _tell(strange_values(encoder, x))
    return Rows(x, table)


def _with_numbers_for_truth(table: TextTable, columns: dict[str, Decided]) -> TextTable:
    """The table with 1 and 0 for true and false, in columns that were true or false in a frame."""
    truth = {"true": "1", "false": "0"}
    changed = dict(table.columns)
    for name, texts in table.columns.items():
        given = {text.lower() for text in texts if not table.fields.is_missing(text)}
        if name in columns and columns[name].kind == NUMBERS and given <= truth.keys():
            changed[name] = [truth.get(text.lower(), text) for text in texts]
    return table._replace(columns=changed)


def _without_units(table: TextTable, about: About, with_target: bool) -> Iterator[str]:
    """Notes on numbers without the unit that their column had in training."""
    units = {name: column.unit for name, column in about.columns.items()}
    for name, unit in (units | {about.target: about.unit} if with_target else units).items():
        if not unit or name not in table.columns:
            continue
        texts = [text for text in table.columns[name] if not table.fields.is_missing(text)]
        bare = [text for text in texts if unit not in text and not unit_of(text)]
        if bare:
            count = f"{len(bare):,} of {len(table.lines):,} row{'s' * (len(table.lines) > 1)}"
            yield (
                f"column {name!r}: {bare[0]!r} is read as an amount in {unit}, as in "
                f"training ({count})"
            )


def _tell_unused(table: TextTable, used: set[str], options: argparse.Namespace) -> None:
    """Say which columns of a table make no difference."""
    used = used | {*listed(vars(options).get("id"), table.names, "--id")}
    unused = [name for name in table.names if name not in used]
    if unused:
        _tell([f"not used, since the model does not know them: {', '.join(unused)}"])


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def target_column(table: TextTable, about: About) -> list[str]:
    """Return the texts of the target; raise an error if the file does not have it."""
    if about.target not in table.columns:
        raise ValueError(
            f"{table.path} lacks the target, column {about.target!r}; to predict for rows without "
            "it, use `mlpgrad predict`"
        )
    return table.columns[about.target]


def targets(rows: Rows, model: Sequential, about: About, options: argparse.Namespace) -> Array:
    """Return the targets of the rows: labels or numbers."""
    if rows.table is None:
        if options.labels is None:
            raise CommandError("name the file of the images' labels with --labels")
        return load_idx(options.labels).astype(np.int64)
    table, name = rows.table, about.target
    if not about.classes:
        decided = {name: Decided(NUMBERS, unit=about.unit)}
        y = read(table, decided)[name]
        return np.asarray(y)
    labels = labels_of(model)
    known = {str(label): label for label in labels.tolist()}
    texts = given = table.columns[name]
    if labels.dtype.kind in "iu" and amounts_of(table, name) is None:
        texts = [_integer(text, table.fields) for text in given]
    for row, text in enumerate(texts):
        if text not in known:
            raise ValueError(
                f"{table.place(row, name)}: expects one of the classes {', '.join([*known][:10])}, "
                f"got {given[row]!r}; correct it, or train on rows with it"
            )
    return np.array([known[text] for text in texts])


def _integer(text: str, fields: Fields) -> str:
    """Return an integer in its usual form, whatever its size; any other text unchanged."""
    if not fields.is_number(text):
        return text
    try:
        return str(int(text))
    except ValueError:  # such as 2.0
        value = fields.value(text)
        return str(int(value)) if value.is_integer() else text


def _array_rows(model: Sequential, path: Path, options: argparse.Namespace) -> Rows:
    """Return images, or a table of numbers in the order of the model's features."""
    if options.file in TOY_DATA:
        raise CommandError("expects a file of rows, got the name of a bundled data set")
    if is_images(path, options):
        return Rows(read_images(path), None)
    if options.missing is None:
        options.missing = ""
    table = read_text(path, options, every=True)._replace(decided=True)
    _tell(table.left_out)
    if model.in_features is not None:
        _check_width(table, model.in_features)
    columns = read(table, {name: Decided(NUMBERS) for name in table.names})
    for name, column in columns.items():
        if np.isnan(column).any():
            raise ValueError(
                f"{table.place(int(np.isnan(column).argmax()), name)}: expects a number, since "
                f"this model has no place for gaps; fill the gap, or remove the row"
            )
    return Rows(np.column_stack(list(columns.values())), table)


def _check_width(table: TextTable, wanted: int) -> None:
    """Raise ValueError unless there are as many columns, taken by place, as in training."""
    if len(table.names) != wanted:
        raise ValueError(
            f"{table.path} expects {wanted} columns, as many as the model was trained on, got "
            f"{len(table.names)}"
        )
