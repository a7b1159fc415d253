"""Numbers that may have decimals or separated thousands, read as in the training."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlpgrad.cli.columns import NUMBERS
from mlpgrad.cli.models import About
from mlpgrad.cli.text import TextTable, parsed, read_text
from mlpgrad.datasets.amounts import is_grouped


class Ambiguous(NamedTuple):
    """A number such as `1,200`, which is 1200 or 1.2."""

    row: int
    name: str
    digits: str
    """The text without its unit."""


def read_as_trained(
    path: Path, options: argparse.Namespace, about: About, every: bool
) -> TextTable:
    """Read a table for a model; the decimal sign of the training decides on ambiguous numbers.

    It then holds for the whole file, so that a row has the same meaning alone and among others: a
    number with the other decimal sign is refused later. Without ambiguous numbers, or if the
    training did not show its decimal sign, the file decides.
    """
    table, sign = parsed(path, options, every), about.decimal
    if options.decimal is not None or not sign or sign == table.delimiter:
        return read_text(path, options, every)
    found = list(_ambiguous(table, about))
    shown = table.decimal_is_known and table.fields.decimal == sign
    if not found or shown:
        return table
    given = vars(options) | {"delimiter": table.delimiter, "decimal": sign}
    table = parsed(path, argparse.Namespace(**given), every)
    return table._replace(left_out=[*table.left_out, _note(table, found, sign)])


def _ambiguous(table: TextTable, about: About) -> Iterator[Ambiguous]:
    """Return the ambiguous numbers in the columns that the model takes for numbers."""
    units = {name: each.unit for name, each in about.columns.items() if each.kind == NUMBERS}
    if not about.classes:
        units[about.target] = about.unit
    for name, unit in units.items():
        for row, text in enumerate(table.columns.get(name, [])):
            digits = text.replace(unit, "").strip() if unit else text
            digits = digits.replace("\u2212", "-").replace("- ", "-").replace("+ ", "+")
            once = digits.count(".") + digits.count(",") == 1
            if once and is_grouped(digits) and (table.delimiter != "," or "," in digits):
                yield Ambiguous(row, name, digits)


def _note(table: TextTable, found: list[Ambiguous], sign: str) -> str:
    """Say how the first of some ambiguous numbers is read, and what decides otherwise."""
    row, name, digits = found[0]
    other = "," if sign == "." else "."
    number, otherwise = (
        f"{float(digits.replace(thousands, '').replace(decimal, '.')):g}"
        for decimal, thousands in ((sign, other), (other, sign))
    )
    text, more = table.columns[name][row], len(found) - 1
    others = f", as are {more} more such numbers" if more > 1 else ", as is one more" * more
    return (
        f"column {name!r}, line {table.lines[row]}: {text!r} is read as {number}{others}, with the "
        f"decimal sign {sign!r} of the training; --decimal {other!r} reads it as {otherwise}"
    )
