"""From the fields of a table to numbers: names, features, target."""

from __future__ import annotations

import array
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.advice import nearest
from mlpgrad._core.arrays import Array
from mlpgrad.datasets.amounts import (
    decimal_shown,
    hidden_amounts,
    how_to_unify,
    how_to_write,
    with_one_sign,
)
from mlpgrad.datasets.dates import DATE
from mlpgrad.datasets.fields import Fields

SEVERAL = 3  # rows of a class: one for training, one for validation and one for testing
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
    """The text of each class index, in alphabetical order; None for numbers."""


def table_from(
    rows: Iterator[tuple[int, list[str]]],
    path: str | Path,
    target: int | str,
    header: bool,
    fields: Fields,
) -> Table:
    """Return the table made of these rows.

    `rows` yields the fields of each row with its line number.
    """
    line, first = next(rows, (1, []))
    if not first:
        raise ValueError(f"{path} has no rows; at least one sample is needed")
    first = [field.strip() for field in first]
    if not header:
        rows = itertools.chain([(line, first)], rows)
    names = _names(first, path, fields) if header else [str(i) for i in range(len(first))]
    if len(names) < 2:
        raise ValueError(
            f"{path} expects at least two columns, a feature and the target, got {names}; is "
            f"another delimiter used? pass delimiter="
        )
    chosen = _position(target, names, path)
    target_name = names.pop(chosen)
    values, texts = _columns(rows, names, chosen, path, fields)
    if not texts:
        raise ValueError(f"{path} has no rows below the header; at least one sample is needed")
    x = np.array(values).reshape(len(texts), len(names))
    y, classes = _target(texts, path, target_name, fields, x)
    return Table(x, y, tuple(names), target_name, classes)


def _columns(
    rows: Iterator[tuple[int, list[str]]],
    names: list[str],
    chosen: int,
    path: str | Path,
    fields: Fields,
) -> tuple[array.array[float], dict[int, str]]:
    """Return the features, row by row, and the target's text by line."""
    values, texts = array.array("d"), {}
    for line, row in rows:
        if len(row) != len(names) + 1:
            raise ValueError(
                f"{path}, line {line}: expects {len(names) + 1} fields as in the first line, "
                f"got {len(row)}; correct the line, or remove it if it is not a row of the table"
            )
        texts[line] = row.pop(chosen).strip()
        numbers = fields.numbers(row)
        if numbers is None:
            others = fields.decimal in map(decimal_shown, [texts[line], *row])
            _refuse(path, line, row, names, fields, others or _fractions(values))
        values.extend(numbers)
    return values, texts


def _fractions(values: Any) -> bool:
    """Return whether numbers have decimals, whose sign is then that of the table."""
    return bool(np.mod(values, 1).any())


def _names(first: list[str], path: str | Path, fields: Fields) -> list[str]:
    """The column names; raise ValueError if the first line is not a header."""
    if any(map(fields.is_number, first)) and first != [str(i) for i in range(len(first))]:
        raise ValueError(
            f"{path}, line 1: expects column names, got {first[:5]}; for a file without them "
            f"pass header=False"
        )
    for position, name in enumerate(first):
        if name and name in first[:position]:
            raise ValueError(
                f"{path}, line 1: columns {first.index(name)} and {position} are both named "
                f"{name!r}; give each column a different name"
            )
    if "" in first:
        raise ValueError(
            f"{path}, line 1: column {first.index('')} has no name; name it, or remove it "
            f"(a row index? pandas: to_csv(index=False))"
        )
    return first


def _position(target: int | str, names: list[str], path: str | Path) -> int:
    """Return the index of the target's column, from its position or name."""
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


def _refuse(
    path: str | Path, line: int, row: list[str], names: list[str], fields: Fields, shown: bool
) -> NoReturn:
    """Raise ValueError for the first feature of a row that is missing or not a finite number.

    `shown` is whether other numbers of the table show its decimal sign.
    """
    texts = [field.strip() for field in row]
    column = next(
        i for i, text in enumerate(texts) if fields.is_missing(text) or not fields.is_number(row[i])
    )
    text, name = texts[column], names[column]
    if fields.is_missing(text):
        problem, fix = f"missing value {text!r}", "remove the row or fill the value in"
    else:
        problem = f"expects a finite number, got {text!r}"
        plain = PLAINLY if not fields.is_plain(text) else "encode it as numbers or drop it"
        fix = how_to_write(text, fields.decimal) or plain
        fix = with_one_sign(fix, fields.decimal) if shown else fix
    raise ValueError(f"{path}, line {line}, column {name!r}: {problem}; {fix}")


def _target(
    texts: dict[int, str], path: str | Path, name: str, fields: Fields, x: Array
) -> tuple[Array, tuple[str, ...] | None]:
    """Return the target as numbers, and the classes if it is text; `texts` are by line."""
    numeric = [fields.is_number(text) for text in texts.values()]
    amounts = not any(numeric) and hidden_amounts(texts.values(), fields.decimal)
    for (line, text), is_number in zip(texts.items(), numeric, strict=True):
        fix = _fix_of_target(text, is_number, amounts or any(numeric), fields, texts.values())
        if fix is not None:
            fix = with_one_sign(fix, fields.decimal) if _fractions(x) else fix
            odd = any(numeric) and not is_number and fix != PLAINLY
            among = " among numbers" if odd else ""
            raise ValueError(
                f"{path}, line {line}, column {name!r}: expects a target, got {text!r}{among}; "
                f"{fix}"
            )
    if not any(numeric):
        classes, y = np.unique(list(texts.values()), return_inverse=True)
        dates = {line: text for line, text in texts.items() if DATE.fullmatch(text)}
        if 2 * len(dates) > len(texts) < SEVERAL * len(classes):
            line, text = next(iter(dates.items()))
            raise ValueError(
                f"{path}, line {line}, column {name!r}: expects a target, got the date or time "
                f"{text!r}, one of {len(classes)} in {len(texts)} rows; write it as a number, such "
                f"as the number of days since a fixed date"
            )
        return y, tuple(classes.tolist())
    try:
        return np.array([int(text) for text in texts.values()], np.int64), None
    except (ValueError, OverflowError):
        return np.array([fields.value(text) for text in texts.values()]), None


def _fix_of_target(
    text: str, is_number: bool, numbers: bool, fields: Fields, texts: Iterable[str]
) -> str | None:
    """Return advice for an unusable target, or None; `numbers` if it should be numeric."""
    if fields.is_missing(text):
        if numbers or not text:
            return "remove the row or correct it"
        return (
            "remove the row or correct it; if it is the name of a class, pass missing= without it"
        )
    if not fields.is_plain(text) and fields.is_float(text):
        return PLAINLY
    if not numbers or is_number:
        return None
    return how_to_unify(text, texts, fields.decimal) or "remove the row or correct it"
