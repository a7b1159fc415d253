"""Whether a target is a class or a quantity, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import amounts_of, refuse_among_amounts
from mlpgrad.cli.text import TextTable
from mlpgrad.datasets.amounts import MOST_NAMES, Amounts, hidden_amounts, how_to_unify
from mlpgrad.datasets.dates import DATE
from mlpgrad.datasets.table import PLAINLY, SEVERAL
from mlpgrad.tables.kinds import LEADING_ZERO, TOO_LONG, different_integers

MOST_CLASSES = 20  # more distinct integers than this are a quantity
RULE = f"""\
how the target is read:
  text, true or false   classes, never a quantity
  whole numbers         classes where there are at most {MOST_CLASSES} different ones and each has
                        {SEVERAL} or more rows; otherwise a quantity
  00715, 01067          classes: numbers with leading zeros are codes, unless --task regression
  other numbers         a quantity
  $1,200, 12 %, 30 kg   a quantity where all have one sign or unit; else refused by line and column
  4 cyl, 6 cyl          at most {MOST_NAMES} different numbers with the same word are classes,
                        unless --task regression
  dates, times          refused by line and column
  --task classification and --task regression decide otherwise, but text is never a quantity
"""


class Target(NamedTuple):
    """The target in the form that the network takes."""

    y: Array
    """A label for each row, or numbers."""
    classes: tuple[Any, ...]
    """The labels, sorted; empty for a quantity."""
    reason: str
    unit: str = ""
    """The sign or unit of amounts."""


def read_target(table: TextTable, name: str, task: str) -> Target:
    """Return the target, of the kind given by `task` or by the rule above."""
    texts, fields = table.columns[name], table.fields
    numeric = [fields.is_number(text) for text in texts]
    codes = all(numeric) and any(map(LEADING_ZERO.match, texts)) and task != "regression"
    if codes:
        return _words(table, name, task, "numbers with leading zeros are codes, such as postcodes")
    if task == "classification" and not all(numeric):
        return _words(table, name, task)
    amounts = amounts_of(table, name, names=task != "regression")
    if amounts is not None:
        y = np.array([amounts.numbers[text] for text in texts])
        what = f"amounts in {amounts.unit}" if amounts.unit else "numbers with separated thousands"
        return _varied(Target(y, (), f"the target is {what}", amounts.unit), name)
    refuse_among_amounts(table, name, _or_classes(texts))
    _refuse_odd(table, name, numeric)
    _refuse_dates(table, name)
    if not all(numeric):
        few = amounts_of(table, name, names=False)
        return _words(table, name, task, *([] if few is None else _may_be_names(few)))
    try:
        y = np.array([int(text) for text in texts], np.int64)
    except (ValueError, OverflowError):
        y = np.array([fields.value(text) for text in texts])
    return numbers_target(y, name, task, differ=different_integers(texts) > 1)


def numbers_target(
    y: Array, name: str, task: str, labels: bool = False, differ: bool = False
) -> Target:
    """Return a target of plain numbers.

    Parameters
    ----------
    labels : bool
        Whether they are known to be classes.
    differ : bool
        Whether they are different integers, which float64 may not tell apart.
    """
    values, counts = np.unique(y, return_counts=True)
    why_quantity = "" if labels else _why_quantity(values, counts)
    if task == "regression" or (task == "auto" and why_quantity):
        reason = why_quantity if task == "auto" else "--task regression"
        return _varied(Target(y.astype(float), (), reason), name, differ)
    if len(values) < 2:
        why = f" {TOO_LONG}" * differ
        raise ValueError(
            f"{name!r} expects two or more different values, got {values[0]} only{why}"
        )
    if len(values) * SEVERAL > len(y):
        raise ValueError(
            f"{name!r} has {len(values)} different values in {len(y)} rows, too few rows to learn "
            f"each as a class; use --task regression"
        )
    if (values == np.floor(values)).all() and np.abs(values).max() < 2**53:
        y, values = y.astype(np.int64), values.astype(np.int64)
    reason = f"{len(values)} different whole numbers, each in {counts.min()} or more rows"
    return Target(y, tuple(values.tolist()), reason if task == "auto" else "--task classification")


def _varied(target: Target, name: str, differ: bool = False) -> Target:
    """Return the target; raise ValueError if all its values are equal."""
    first = target.y[0]
    if (target.y == first).all():
        why = f" {TOO_LONG}" * differ
        raise ValueError(f"{name!r} expects two or more different values, got {first:g} only{why}")
    return target


def _why_quantity(values: Array, counts: Array) -> str:
    """Return why these numbers are a quantity; empty if they may be classes."""
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        return "the target has fractions"
    if len(values) > MOST_CLASSES:
        return f"{len(values)} different values are too many to be classes"
    rare = int((counts < SEVERAL).sum())
    if rare:
        have = "have" if rare > 1 else "has"
        return f"{rare} of {len(values)} different values {have} fewer than {SEVERAL} rows"
    return ""


def _refuse_odd(table: TextTable, name: str, numeric: Sequence[bool]) -> None:
    """Raise ValueError for text among numbers, or for amounts of different kinds."""
    texts, fields = table.columns[name], table.fields
    some = any(numeric)
    amounts = not some and hidden_amounts(texts, fields.decimal)
    for row, (text, is_number) in enumerate(zip(texts, numeric, strict=True)):
        odd = not fields.is_plain(text) and fields.is_float(text)
        if is_number or not (odd or some or amounts):
            continue
        fix = PLAINLY if odd else _as_option(table, how_to_unify(text, texts, fields.decimal))
        among = " among numbers" if some and not odd else ""
        leave_out = f"correct it, or leave such rows out with --missing {table.gaps_and(text)!r}"
        raise ValueError(
            f"{table.place(row, name)}: expects a target, got {text!r}{among}; "
            f"{fix or leave_out + _or_classes(texts)}"
        )


def _or_classes(texts: Sequence[str]) -> str:
    """Return the option that takes texts for classes, if they have enough rows to be classes."""
    several = len(set(texts)) * SEVERAL <= len(texts)
    return ", or pass --task classification if the texts name classes" if several else ""


def _refuse_dates(table: TextTable, name: str) -> None:
    """Raise ValueError if most targets are dates, which are neither class names nor numbers."""
    dates = [row for row, text in enumerate(table.columns[name]) if DATE.fullmatch(text)]
    if 2 * len(dates) > len(table.lines):
        text = table.columns[name][dates[0]]
        raise ValueError(
            f"{table.place(dates[0], name)}: expects a target, got the date or time {text!r}; "
            f"write it as a number, such as the number of days since a fixed date, or pass --task "
            f"classification if the dates name classes"
        )


def _as_option(table: TextTable, advice: str | None) -> str | None:
    """Return advice about an amount of a table that names the command line's option."""
    return advice and table.agreed(advice).replace("pass decimal=", "pass --decimal ")


def _may_be_names(amounts: Amounts) -> tuple[str, str]:
    """Return why a few amounts such as `4 cyl` are classes, and what makes them a quantity."""
    turn = "--task regression for a quantity"
    reason = f"at most {MOST_NAMES} different amounts in {amounts.unit} may be names ({turn})"
    return reason, f"pass {turn}"


def _words(
    table: TextTable,
    name: str,
    task: str,
    reason: str = "the target is text",
    fix: str = "write the target as numbers",
) -> Target:
    """Return a text target, in which each text is a class."""
    texts = table.columns[name]
    classes, y, counts = np.unique(texts, return_inverse=True, return_counts=True)
    if task == "regression":
        advice = _as_option(table, how_to_unify(texts[0], set(texts), table.fields.decimal))
        raise ValueError(
            f"{table.place(0, name)}: --task regression expects a number, got {texts[0]!r}; "
            f"{advice or fix}, or use --task classification"
        )
    if len(classes) < 2:
        raise ValueError(f"{name!r} expects two or more classes, got {texts[0]!r} only")
    if len(classes) * SEVERAL > len(y):
        row = int(np.argmin(counts[y]))
        raise ValueError(
            f"{table.place(row, name)}: {texts[row]!r} is one of {len(classes)} different "
            f"texts in {len(y)} rows, too few rows to learn each as a class; {fix}, or name "
            f"another column with --target"
        )
    return Target(np.array(texts), tuple(classes.tolist()), reason)
