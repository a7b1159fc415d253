"""The kinds of the columns of a table, decided once, and the columns read accordingly."""

from __future__ import annotations

import argparse
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.text import TextTable, split
from mlpgrad.datasets.amounts import Amounts, amounts_in, how_to_write, odd_among, unit_of
from mlpgrad.datasets.files import COMPOSED
from mlpgrad.datasets.table import PLAINLY
from mlpgrad.tables.columns import Column, as_categories, as_numbers
from mlpgrad.tables.frames import RawColumn
from mlpgrad.tables.kinds import different_integers, recognised

MOST_LINES = 20  # lines for columns of one kind in a row
THOUSANDS = "thousands separated by"
NUMBERS, CATEGORIES, LEFT_OUT = "numbers", "categories", "left out"
OPTIONS = {"without": LEFT_OUT, "categories": CATEGORIES, "numbers": NUMBERS}
ID = re.compile(  # user_id, Row, customerId; not paid
    r"(.*[\W_])?(?i:id|ids|index|idx|key|nr|no|number|uuid|guid|row|rownames?)|.*[a-z](Id|ID)"
)

INDEX = re.compile(r"column 1|Unnamed: 0(\.\d+)?")
"""Names of a first column whose header is empty, here and in pandas: a frame's kept index."""


class Decided(NamedTuple):
    """The decision about a column."""

    kind: str
    """`numbers`, `categories` or `left out`."""
    reason: str = ""
    unit: str = ""
    """The sign or unit of its amounts, such as `$`."""

    def __str__(self) -> str:
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.kind}{unit}" + (f": {self.reason}" if self.reason else "")


def listing(columns: Mapping[Any, Decided]) -> list[str]:
    """Return a line for each column; many columns of one kind in a row share a line."""
    found: list[str] = []
    for told, run in groupby(columns.items(), key=lambda item: str(item[1])):
        names = [repr(name) for name, _ in run]
        if len(names) > MOST_LINES:
            names = [f"{names[0]}, {names[1]} ... {names[-1]} ({len(names):,} columns)"]
        found.extend(f"  {name}: {told}" for name in names)
    return found


def decide(
    table: TextTable, names: Sequence[str], options: argparse.Namespace
) -> dict[str, Decided]:
    """Decide the kinds of columns; raise an error with line and column if one is not clear."""
    wanted = _wanted(table, options)
    if target := next((name for name in wanted if name not in names), None):
        raise CommandError(
            f"--without, --categories and --numbers are about the other columns, got the target "
            f"{target!r}; --target names another one, and --task says what it is"
        )
    decided = {}
    for name in names:
        if name in wanted:
            decided[name] = _as_wanted(table, name, wanted[name])
        else:
            decided[name] = _decided(table, name)
    if all(column.kind == LEFT_OUT for column in decided.values()):
        decided |= {  # use an id rather than no column
            name: Decided(NUMBERS)
            for name, column in decided.items()
            if column.reason.startswith("an id") and name not in wanted
        }
    if all(column.kind == LEFT_OUT for column in decided.values()):
        told = "; ".join(f"{name!r} is {column}" for name, column in decided.items())
        raise ValueError(f"{table.path} has no column to learn from: {told[:300]}")
    return decided


def _wanted(table: TextTable, options: argparse.Namespace) -> dict[str, str]:
    """Return the kinds that options give to columns; each column may be in one of them."""
    wanted: dict[str, str] = {}
    for option, kind in OPTIONS.items():
        for name in listed(getattr(options, option), table.names, f"--{option}"):
            if wanted.setdefault(name, kind) != kind:
                both = [other for other in OPTIONS if OPTIONS[other] in (kind, wanted[name])]
                raise CommandError(
                    f"column {name!r} is in --{both[0]} and in --{both[1]}; leave it in one"
                )
    return wanted


def listed(texts: Sequence[str] | None, names: Sequence[str], option: str) -> list[str]:
    """Return the columns that the uses of an option name, separated by commas, or quoted."""
    found: list[str] = []
    for text in map(COMPOSED, filter(None, texts or ())):
        found += [text] if text in names else [name.strip() for name in split(text)]
    for name in found:
        if name not in names:
            raise CommandError(f"{option}: the table has no column {name!r}{nearest(name, names)}")
    return found


def _as_wanted(table: TextTable, name: str, kind: str) -> Decided:
    """Return the decision of an option; the column is read once to detect mistakes."""
    reason = "as the options say"
    if kind != NUMBERS:
        return Decided(kind, reason)
    amounts = amounts_of(table, name, names=False)
    if amounts and amounts.separator:
        reason = f"{reason}, {_thousands(amounts.separator)}"
    decided = Decided(kind, reason, amounts.unit if amounts else "")
    read(table, {name: decided})
    return decided


def _thousands(separator: str) -> str:
    """Return which separator thousands have; a blank that looks like others is named."""
    visible = separator.isprintable()
    shown = repr(separator) if visible else f"a {unicodedata.name(separator).lower()}"
    return f"{THOUSANDS} {shown}"


def _decided(table: TextTable, name: str) -> Decided:
    amounts = amounts_of(table, name)
    if amounts is not None:
        what = _thousands(amounts.separator) if amounts.separator else "amounts"
        return Decided(NUMBERS, what, amounts.unit)
    _refuse_odd_numbers(table, name)
    refuse_among_amounts(
        table, name, f"; if the column holds categories, pass --categories {name!r}"
    )
    try:
        kind = recognised(_raw(table, name), table.fields)
    except (TypeError, ValueError) as error:
        raise table.refused(error) from error
    few = amounts_of(table, name, names=False)
    option = f" (--numbers {name!r} for amounts in {few.unit})" if few else ""
    if not kind.used:
        return Decided(LEFT_OUT, kind.reason + option)
    if kind.column.categorical:
        levels = len(kind.column.levels)
        reason = f"{levels} different texts" if kind.reason == "text" else kind.reason
        return Decided(CATEGORIES, reason + _gaps(kind.column) + option)
    kept_index = INDEX.fullmatch(name) is not None and name == table.names[0]
    distinct = different_integers(table.columns[name]) or len(np.unique(kind.column.numbers))
    if _is_id(kind.column.numbers, distinct, kept_index or ID.fullmatch(name) is not None):
        return Decided(LEFT_OUT, f"an id, all integers are different (--numbers {name!r})")
    return Decided(NUMBERS, _gaps(kind.column)[2:])


def _refuse_odd_numbers(table: TextTable, name: str) -> None:
    """Raise ValueError for Python number formats that are unusual in tables."""
    fields = table.fields
    for row, text in enumerate(table.columns[name]):
        if not fields.is_plain(text) and fields.is_float(text):
            raise ValueError(
                f"{table.place(row, name)}: expects a number, got {text!r}; {PLAINLY}, or pass "
                f"--categories {name!r} if the texts are names"
            )


def refuse_among_amounts(table: TextTable, name: str, otherwise: str) -> None:
    """Raise ValueError for the first text that is not an amount, if most rows hold amounts."""
    odd = _odd(table, name)
    known = [text for text in table.columns[name] if not table.fields.is_missing(text)]
    if 2 * sum(text in odd for text in known) < len(known):
        _refuse_odd(table, table, name, odd, otherwise)


def _odd(table: TextTable, name: str) -> set[str]:
    """Return the texts of a column of amounts that are not amounts."""
    known = (text for text in table.columns[name] if not table.fields.is_missing(text))
    return odd_among(known, table.fields.decimal, table.decimal_is_known)


def _refuse_odd(
    given: TextTable, table: TextTable, name: str, odd: set[str], otherwise: str = ""
) -> None:
    """Raise ValueError for the first of some texts, as it was given."""
    for row, text in enumerate(table.columns[name]):
        if text in odd:
            fix = how_to_write(text, table.fields.decimal)
            missing = f"--missing {table.gaps_and(given.columns[name][row])!r}"
            fix = fix or f"correct it, or mark it as missing with {missing}"
            raise ValueError(
                f"{table.place(row, name)}: expects an amount, as in the other rows, got "
                f"{given.columns[name][row]!r}; {table.agreed(fix)}{otherwise}"
            )


def _gaps(column: Column) -> str:
    gaps = int(column.missing.sum())
    return f", {gaps} missing" if gaps else ""


def _is_id(numbers: Any, distinct: int, named: bool) -> bool:
    """Return whether a column numbers the rows: distinct integers, without gaps or `named` so."""
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        return False
    if distinct < len(numbers) or len(numbers) < 3:
        return False
    return named or bool(np.ptp(numbers) == len(numbers) - 1)


def amounts_of(table: TextTable, name: str, names: bool = True) -> Amounts | None:
    """Return a column of amounts that are not plain numbers, such as `$1,200`, or None.

    A few of them with a word, such as `4 cyl`, are taken for `names` unless that is excluded.
    """
    texts = [text for text in set(table.columns[name]) if not table.fields.is_missing(text)]
    if all(map(table.fields.is_number, texts)):
        return None
    return amounts_in(texts, table.fields.decimal, table.decimal_is_known, names)


def read(table: TextTable, decided: dict[str, Decided]) -> dict[str, Any]:
    """Return the columns that are used, by name: numbers, or texts, with NaN or None for missing.

    Raises
    ------
    ValueError
        If a column is missing, or does not hold what was decided (with line and column).
    """
    needed = {name: column for name, column in decided.items() if column.kind != LEFT_OUT}
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        names = ", ".join(map(repr, lacking))
        headless = table.names == [str(i) for i in range(len(table.names))]
        fix = "; write a first line with the names of its columns" if headless else ""
        if not headless and all(map(str.isdigit, lacking)):  # as columns without names are called
            fix = "; if its first line is a row, pass --no-header"
        raise ValueError(
            f"{table.path} lacks the column{'s' * (len(lacking) > 1)} {names}; it has "
            f"{', '.join(map(repr, table.names[:20]))}{fix}"
        )
    return {name: _values(table, name, column) for name, column in needed.items()}


def _values(table: TextTable, name: str, decided: Decided) -> Any:
    """Return one column as the encoder takes it."""
    if decided.kind == CATEGORIES:
        column = as_categories(_raw(table, name), table.fields)
        levels = np.array([*column.levels, None], object)
        return levels[column.codes]
    given, table = table, _without_unit(table, name, decided.unit)
    amounts = amounts_of(table, name)
    if decided.unit or amounts:
        _refuse_other_unit(given, table, name, decided.unit)
    if amounts is None:
        _refuse_odd(given, table, name, _odd(table, name))
        try:
            return as_numbers(_raw(table, name), table.fields).numbers
        except (TypeError, ValueError) as error:
            raise table.refused(error) from error
    return np.array([amounts.numbers.get(text, math.nan) for text in table.columns[name]])


def _refuse_other_unit(given: TextTable, table: TextTable, name: str, unit: str) -> None:
    """Raise ValueError for an amount that still has a unit, without that of the training."""
    others = {text for text in set(table.columns[name]) if unit_of(text)}
    if others:
        row = next(row for row, text in enumerate(table.columns[name]) if text in others)
        expected = f"amounts in {unit!r}" if unit else "plain numbers"
        raise ValueError(
            f"{given.place(row, name)}: expects {expected} as in training, "
            f"got {given.columns[name][row]!r}; convert the column"
        )


def _without_unit(table: TextTable, name: str, unit: str) -> TextTable:
    """Return the table without a column's unit, which some rows and gaps such as `$-`, may lack."""
    if not unit:
        return table

    def plain(text: str) -> str:
        if table.fields.is_missing(text):
            return text
        bare = text.removeprefix(unit).removesuffix(unit).strip()
        return bare.replace(unit, "", 1) if bare[:1] in ("+", "-") else bare

    columns = table.columns | {name: list(map(plain, table.columns[name]))}
    return table._replace(columns=columns, decimal_is_known=True)


def _raw(table: TextTable, name: str) -> RawColumn:
    return RawColumn(name, np.array(table.columns[name], object), categorical=False)
