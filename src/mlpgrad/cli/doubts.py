"""Warnings about parts of a table that may not mean what they seem to, with advice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import CATEGORIES, LEFT_OUT, NUMBERS, Decided
from mlpgrad.cli.layout import numbered
from mlpgrad.cli.leaks import MOST_LEVELS, leaks
from mlpgrad.cli.target import Target
from mlpgrad.cli.text import TextTable
from mlpgrad.datasets.table import SEVERAL
from mlpgrad.tables.kinds import ALL_DIFFERENT

FAR = 3.0  # at more than this many ranges from the others, a number like -999 may stand for a gap
COPIES = 0.1  # the fraction of copied test rows that causes a warning
MOST_SUBTOTALS = 0.5  # of all rows; a word in more of them is an ordinary value
MOST_FIELDS = 4_000_000  # larger tables are not searched for copies: each field takes some 30 bytes
SHOWN = 5
MOST_DIFFERENT = 0.8  # of all rows: a larger fraction of different texts names rows
TOTALS = re.compile(
    r"(grand |sub ?)?(totals?|sum)|average|mean|summe|(ins)?gesamt(summe)?|mittelwert|durchschnitt"
    r"|somme|moyenne|totale|suma|media|totaal",
    re.IGNORECASE,
)
SUBTOTALS = re.compile(  # also "Berlin Total" and "Berlin Ergebnis", as spreadsheets write them
    r"(.+ )?((grand |sub[ -]?)?totals?|(zwischen|gesamt)?(summe|ergebnis)|sous-total|subtotale?s?)",
    re.IGNORECASE,
)
FIRST_DAY, LAST_DAY = 19000101, 21001231
LEAST_CODES = 5
_PERSON = re.compile(
    r"(.*[\W_])?(?i:ids?|uuid|guid|patient|subject|participant|customer|client|user|person|student"
    r"|employee|player|kunde|kunden_?nr|patienten_?nr)|.*[a-z](Id|ID)"
)
_CODE = re.compile(r"(.*[\W_])?(zip|zip[ _]?code|post[ _]?code|postal[ _]?code|plz)", re.IGNORECASE)
_BEGINS = re.compile(r"\W*\d")
_NUMBER = re.compile(r"\d+")
_AMOUNT = re.compile(r"0 ?[a-z°'′]")


def doubts(
    table: TextTable,
    name: str,
    target: Target,
    columns: dict[str, Decided],
    x: dict[str, Any],
) -> Iterator[str]:
    """Warnings about the columns of a table and its target."""
    for column, decided in columns.items():
        if decided.kind == LEFT_OUT:
            yield from _measures_left_out(table, column, decided.reason)
            continue
        if told := leaks(table, column, name, x[column], target):
            yield f"column {column!r} {told}: --without {column!r} leaves it out"
        if decided.kind == CATEGORIES:
            texts = [t for t in table.columns[column] if not table.fields.is_missing(t)]
            yield from _spellings(texts, f"column {column!r}")
            yield from _measures(texts, column)
            if len(set(texts)) > MOST_DIFFERENT * len(table.lines):
                yield (
                    f"column {column!r}: {len(set(texts))} different texts in {len(table.lines)} "
                    f"rows tell next to nothing: --without {column!r} leaves them out"
                )
        if decided.kind == NUMBERS:
            yield from _stands_for_gaps(x[column], table, column)
            yield from _dates(x[column], column)
        yield from _codes(x[column], column, decided.kind == NUMBERS)
    yield from _sums(table, [*x.values(), *([] if target.classes else [target.y])])
    if not target.classes:
        yield from _stands_for_gaps(target.y, table, name)
        yield from _dates(target.y, name)
        return
    yield from _spellings(list(map(str, target.classes)), f"the target {name!r}")
    labels, counts = np.unique(target.y, return_counts=True)
    rare = [str(label) for label in labels[counts < SEVERAL]]
    if rare:
        classes = f"class {_some(rare)} has" if len(rare) == 1 else f"classes {_some(rare)} have"
        yield f"{classes} fewer than {SEVERAL} rows, too few to learn from and to test on"


def _measures(texts: Sequence[str], column: str) -> Iterator[str]:
    """Warn about many texts that begin with a number and differ in numbers only."""
    different = set(texts)
    patterns = _patterns(different)
    if len(different) > MOST_LEVELS and patterns and patterns != {"0"}:
        yield (
            f"column {column!r}: its {len(different)} texts, such as {min(texts)!r}, count as "
            f"categories that have nothing in common; if they are measurements, write each as one "
            f"number"
        )


def _measures_left_out(table: TextTable, column: str, reason: str) -> Iterator[str]:
    """Warn about texts that are all different and look like amounts, rather than like names."""
    texts = [text for text in table.columns[column] if not table.fields.is_missing(text)]
    patterns = _patterns(set(texts))
    if reason == ALL_DIFFERENT and patterns and all(map(_AMOUNT.search, patterns)):
        yield (
            f"column {column!r} is left out, since its texts, such as {min(texts)!r}, are all "
            f"different; if they are measurements, write each as one number"
        )


def _patterns(texts: set[str]) -> set[str]:
    """Return texts with 0 for each number; none if they are many, or begin otherwise."""
    patterns = {_NUMBER.sub("0", text) for text in texts}
    return patterns if len(patterns) < 5 and all(map(_BEGINS.match, texts)) else set()


def _codes(values: Array, column: str, numeric: bool) -> Iterator[str]:
    """Warn about codes that are read as amounts, and about several rows of one person."""
    known = values[np.isfinite(values)] if numeric else [v for v in values if v is not None]
    different = len(set(known))
    if different < LEAST_CODES or 2 * different > len(known):
        return
    if _PERSON.fullmatch(column):
        yield (
            f"column {column!r} seems to be an id, whose {different} values occur in "
            f"{len(known):,} rows, so that most rows to test on share theirs with rows to train "
            f"on; if predictions are for other ids, --without {column!r} leaves the column out, "
            f"and `mlpgrad evaluate` on a file of other ids judges the model"
        )
    elif numeric and _CODE.fullmatch(column) and not np.mod(known, 1).any():
        yield (
            f"column {column!r} is read as amounts, though its name says that the numbers are "
            f"codes: --categories {column!r} reads them as names"
        )


def _dates(numbers: Array, column: str) -> Iterator[str]:
    """Warn about whole numbers that are dates such as 20240131."""
    known = numbers[np.isfinite(numbers)]
    month, day = known // 100 % 100, known % 100
    dates = (known >= FIRST_DAY) & (known <= LAST_DAY) & (known == np.floor(known))
    dates &= (month > 0) & (month <= 12) & (day > 0) & (day <= 31)
    if dates.all() and len(set(known)) > 1:
        yield (
            f"column {column!r}: {known[0]:.0f} and all others look like dates, which are not "
            f"evenly spaced as numbers; write the number of days since a fixed date, or year, "
            f"month and day in columns of their own"
        )


def _sums(table: TextTable, columns: Sequence[Array]) -> Iterator[str]:
    """Warn about a last row of totals, which has such a word or the sums, and about subtotals."""
    yield from _subtotals(table)
    last = [texts[-1] for texts in table.columns.values()]
    word = next((text for text in last if TOTALS.fullmatch(text.strip(" :."))), None)
    once = word and sum(texts.count(word) for texts in table.columns.values()) == 1
    numbers = [column for column in columns if column.dtype.kind == "f" and len(column) > 3]
    sums = [_is_sum(column[:-1], column[-1]) for column in numbers]
    if once or (sums and 2 * sum(sums) > len(sums)):
        what = f"contains {word!r}" if once else "holds the sums of the rows above"
        yield (
            f"line {table.lines[-1]}, the last one, {what}; if it is not a sample, remove it from "
            f"the file"
        )


def _subtotals(table: TextTable) -> Iterator[str]:
    """Warn about rows of subtotals between the others, which a word names."""
    found: dict[int, str] = {}
    for texts in table.columns.values():
        words = set(filter(SUBTOTALS.fullmatch, set(texts)))
        found |= {row: text for row, text in enumerate(texts) if text in words}
    inner = sorted(row for row in found if row < len(table.lines) - 1)
    if inner and len(found) <= MOST_SUBTOTALS * len(table.lines):
        lines = numbered([table.lines[row] for row in inner])
        them = "them" if len(inner) > 1 else "it"
        yield (
            f"{lines} {'seem' if len(inner) > 1 else 'seems'} to hold sums of other rows, since "
            f"{found[inner[0]]!r} is in {them}; if so, remove {them} from the file"
        )


def _is_sum(column: Array, last: Any) -> bool:
    with np.errstate(all="ignore"):
        total = float(np.nansum(column))
        largest = float(np.nansum(np.abs(column)))
        return total != 0 and abs(total - last) <= 1e-9 * largest


def _spellings(texts: Sequence[str], what: str) -> Iterator[str]:
    """Warn about texts that differ in upper and lower case or in blanks only."""
    spellings: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        spellings.setdefault(" ".join(text.casefold().split()), []).append(text)
    if several := next((same for same in spellings.values() if len(same) > 1), None):
        case = len({" ".join(text.split()) for text in several}) > 1
        yield (
            f"{what}: {_some(several)} differ in {'upper and lower case' if case else 'blanks'} "
            f"only, and count as different; write them alike if they mean the same"
        )


def _stands_for_gaps(numbers: Array, table: TextTable, name: str) -> Iterator[str]:
    """Warn about a number such as -999, in several rows, far from all others."""
    values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    for place, neighbour in ((0, 1), (-1, -2)):
        if len(values) < 4:
            return
        odd, others = values[place], np.delete(values, place)
        gap = abs(odd - values[neighbour])
        digits = f"{abs(odd):.0f}"
        nines = set(digits) == {"9"} and len(digits) > 1
        if counts[place] > 1 and nines and odd.is_integer() and gap > FAR * np.ptp(others):
            row = int(np.argmax(numbers == odd))
            text = table.columns[name][row]
            yield (
                f"column {name!r}: {text} is in {counts[place]} rows, and the others are from "
                f"{others[0]:g} to {others[-1]:g}; if it stands for a gap, pass "
                f"--missing {table.gaps_and(text)!r}"
            )
            return


def copies(x: dict[str, Any], y: Array, rows: dict[str, Array]) -> Iterator[str]:
    """Warn about test rows that equal training rows, target included.

    Large tables are not searched, nor are those without a column that distinguishes rows: in a
    table of a few categories, equal rows are usual.
    """
    if len(y) * (len(x) + 1) > MOST_FIELDS:
        return
    columns = [[None if v != v else v for v in column.tolist()] for column in (*x.values(), y)]
    if max(len(set(column)) for column in columns) ** 2 <= len(y):
        return
    keys = list(zip(*columns, strict=True))
    known = Counter(keys[row] for row in rows["train"])
    test = rows["test"]
    found = sum(keys[row] in known for row in test)
    if found > COPIES * len(test):
        yield (
            f"{found} of the {len(test)} rows to test on are the same as rows to train on, target "
            f"included; if they are copies, the figures are too good for new rows: leave the "
            f"copies out of the file"
        )


def _some(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:SHOWN])) + (", ..." * (len(texts) > SHOWN))
