"""From the fields of a table to numbers: names, features, target."""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import nearest

MISSING = {"", "?", "na", "n/a", "nan", "null"}
PLAINLY = "write numbers with the digits 0 to 9, without underscores"


class Table(NamedTuple):
    """A numeric table with one column set apart as the target: what `load_csv` returns.

    Examples
    --------
    >>> import numpy as np
    >>> table = Table(np.ones((2, 1)), np.array([0, 1]), ("height",), "kind", ("cat", "dog"))
    >>> x, y, *names = table
    >>> table.classes[y[1]]
    'dog'
    """

    x: Array
    """`(n, features)`, float64."""
    y: Array
    """`(n,)`: class indices if the column is text, int64 if whole numbers, else float64."""
    feature_names: tuple[str, ...]
    """The names of the columns of `x`."""
    target_name: str
    """The name of the column `y`."""
    classes: tuple[str, ...] | None
    """The text that each class index stands for, in alphabetical order; None for numbers."""


def table_from(
    rows: Iterator[tuple[int, list[str]]], path: str | Path, target: int | str, header: bool
) -> Table:
    """The table that these fields make; `rows` gives each with its line number."""
    line, first = next(rows, (1, []))
    first = [field.strip() for field in first]
    if not header:
        rows = itertools.chain([(line, first)], rows)
    names = _names(first, path) if header else [str(i) for i in range(len(first))]
    if len(names) < 2:
        raise ValueError(
            f"{path} expects at least two columns, a feature and the target, got {names}; does it "
            f"use another delimiter than a comma? pass delimiter="
        )
    chosen = _position(target, names, path)
    target_name = names.pop(chosen)
    values, texts = _columns(rows, names, chosen, path)
    if not texts:
        raise ValueError(f"{path} has no rows below the header; at least one sample is needed")
    y, classes = _target(texts, path, target_name)
    x = np.array(values).reshape(len(texts), len(names))
    return Table(x, y, tuple(names), target_name, classes)


def _columns(
    rows: Iterator[tuple[int, list[str]]], names: list[str], chosen: int, path: str | Path
) -> tuple[array.array[float], dict[int, str]]:
    """The features, row after row, and the target's text by line."""
    values, texts = array.array("d"), {}
    for line, row in rows:
        if len(row) != len(names) + 1:
            raise ValueError(
                f"{path}, line {line}: expects {len(names) + 1} fields as in the first line, "
                f"got {len(row)}"
            )
        texts[line] = row.pop(chosen).strip()
        try:
            numbers = [float(field) for field in row]
        except ValueError:
            numbers = [math.nan]
        # a look at the whole row is quicker, but the sum may overflow
        plain = _is_plain("".join(row)) and math.isfinite(sum(numbers))
        if not plain and not all(map(_is_number, row)):
            _refuse(path, line, row, names)
        values.extend(numbers)
    return values, texts


def _names(first: list[str], path: str | Path) -> list[str]:
    """The column names; raise ValueError if the first line is not a header."""
    if any(map(_is_number, first)) and first != [str(i) for i in range(len(first))]:
        raise ValueError(
            f"{path}, line 1: expects column names, got {first[:5]}; for a file without them "
            f"pass header=False"
        )
    for position, name in enumerate(first):
        if name and name in first[:position]:
            raise ValueError(
                f"{path}, line 1: columns {first.index(name)} and {position} are both named "
                f"{name!r}; give each column a name of its own"
            )
    if "" in first:
        raise ValueError(
            f"{path}, line 1: column {first.index('')} has no name; name it, or remove it "
            f"(a row index? pandas: to_csv(index=False))"
        )
    return first


def _position(target: int | str, names: list[str], path: str | Path) -> int:
    """The target's column, from its position or name."""
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"{path} has no column {target!r}{nearest(target, names)}")
        return names.index(target)
    if not arguments.is_integer(target) or not -len(names) <= target < len(names):
        raise ValueError(
            f"target expects a column from 0 to {len(names) - 1}, got {arguments.shown(target)}; "
            f"a position or a name"
        )
    return int(target) % len(names)


def _refuse(path: str | Path, line: int, row: list[str], names: list[str]) -> NoReturn:
    """Raise ValueError for the first feature of a row that is not a finite number."""
    column = next(i for i, field in enumerate(row) if not _is_number(field))
    field, name = row[column].strip(), names[column]
    if field.lower() in MISSING:
        problem, fix = f"missing value {field!r}", "remove the row or fill the value in"
    else:
        problem = f"expects a finite number, got {field!r}"
        fix = PLAINLY if not _is_plain(field) else "encode it as numbers or drop it"
    raise ValueError(f"{path}, line {line}, column {name!r}: {problem}; {fix}")


def _target(
    texts: dict[int, str], path: str | Path, name: str
) -> tuple[Array, tuple[str, ...] | None]:
    """The target as numbers, and the classes where it is text; `texts` are by line."""
    for line, text in texts.items():
        if not _is_plain(text) and _is_float(text):
            raise ValueError(
                f"{path}, line {line}, column {name!r}: expects a target, got {text!r}; {PLAINLY}"
            )
    numeric = [_is_number(text) for text in texts.values()]
    for (line, text), is_number in zip(texts.items(), numeric, strict=True):
        if text.lower() in MISSING or (any(numeric) and not is_number):
            raise ValueError(
                f"{path}, line {line}, column {name!r}: expects a target, got {text!r}"
                f"{' among numbers' if any(numeric) else ''}; remove the row or correct it"
            )
    if not any(numeric):
        classes, y = np.unique(list(texts.values()), return_inverse=True)
        return y, tuple(classes.tolist())
    try:
        return np.array([int(text) for text in texts.values()], np.int64), None
    except (ValueError, OverflowError):
        return np.array([float(text) for text in texts.values()]), None


def _is_number(text: str) -> bool:
    """Whether this is a finite number."""
    return _is_plain(text) and _is_float(text) and math.isfinite(float(text))


def _is_plain(text: str) -> bool:
    """Whether this has none of what Python takes in numbers, and tables do not mean by them."""
    return "_" not in text and text.strip().isascii()


def _is_float(text: str) -> bool:
    """Whether Python reads this as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
