"""The lines and fields of a file that form the table; all others are left out, and reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlpgrad.datasets.amounts import how_to_write
from mlpgrad.datasets.fields import Fields

LOOK = 200  # rows that show which columns hold numbers, and whether there is a header
Row = tuple[int, list[str]]
"""The line of a row, and its fields."""

MOST_LINES = 30  # above a header
SHOWN = 40  # characters of a line that is left out
_STATED = re.compile(r"sep=.?", re.IGNORECASE)


class Layout(NamedTuple):
    """The rows of a table, and what was left out around them."""

    rows: list[Row]
    notes: list[str]


def without_blank(rows: list[Row]) -> list[Row]:
    """The rows without blank lines; in a file of one column, one between two rows is a gap."""
    if any(len(fields) > 1 for _, fields in rows):
        return [(line, fields) for line, fields in rows if len(fields) > 1 or any(fields)]
    first = next((i for i, (_, fields) in enumerate(rows) if any(fields)), 0)
    while rows and not rows[-1][1]:
        rows = rows[:-1]
    return [(line, fields or [""]) for line, fields in rows[first:]]


def laid_out(
    rows: list[Row], is_number: Callable[[str], bool], headed: bool, every: bool = False
) -> Layout:
    """The rows of the table in a file.

    A first line `sep=;` is left out, as are comments after `#`, rows of empty fields, and titles
    above the table, which differ from the table in their number of fields, and empty fields at the
    end of rows. So are lines such as `Account;1234;;` above a header that names every column. If
    the first line has no name for row names or row numbers, as R writes it, they get one. If the
    table has no header (`headed` is false), a row with one text and empty fields is not a title.
    For predictions, `every` row below the header stays, since a row of gaps is one.
    """
    notes: list[str] = []
    if rows and _STATED.fullmatch(rows[0][1][0]) and not any(rows[0][1][1:]):
        rows = rows[1:]
    usual = Counter(len(fields) for _, fields in rows).most_common(1)[0][0] if rows else 0
    rows = _without_comments(rows, usual, notes)
    rows = _without_titles(rows, usual, is_number, headed, notes)
    rows = _without_head(rows, usual, is_number, notes) if headed else rows
    rows = _with_gaps(rows, usual, headed, notes) if every else _without_empty(rows, notes)
    rows = _without_ends(rows, notes)
    rows = _with_row_names(rows, is_number, notes)
    return Layout(rows, notes)


def _without_comments(rows: list[Row], usual: int, notes: list[str]) -> list[Row]:
    marked = [(line, len(row) != usual) for line, row in rows if row[0].startswith("#")]
    comments = [line for line, other in marked if other]
    if not comments or len(marked) - len(comments) > 1:
        return rows  # besides a header, rows of the table begin with #
    notes.append(f"left out, since it begins with #: {numbered(comments)}")
    gone = set(comments)
    return [(line, row) for line, row in rows if line not in gone]


def _without_titles(
    rows: list[Row],
    usual: int,
    is_number: Callable[[str], bool],
    headed: bool,
    notes: list[str],
) -> list[Row]:
    """Leave out lines above the table that have one field of text only."""
    start = 0
    for line, row in rows:
        texts = [text for text in row if text]
        alone = len(texts) == 1 and usual > 1 and (len(row) != usual or (headed and usual > 2))
        if not alone or is_number(texts[0]) or start + 1 == len(rows):
            break
        notes.append(f"left out, since it has one field only: line {line}, {texts[0][:SHOWN]!r}")
        start += 1
    return rows[start:]


def _without_head(
    rows: list[Row], usual: int, is_number: Callable[[str], bool], notes: list[str]
) -> list[Row]:
    """Leave out lines with few fields above a header that names every column."""
    place = 0
    for _, row in rows[:MOST_LINES]:
        if len(row) == usual and all(row):
            break
        if 2 * sum(map(bool, row)) > usual:
            return rows
        place += 1
    else:
        return rows
    if not 0 < place < len(rows) - 1 or any(map(is_number, rows[place][1])):
        return rows
    lines = [line for line, _ in rows[:place]]
    notes.append(f"left out, since the header is below: {numbered(lines)}")
    return rows[place:]


def _without_empty(rows: list[Row], notes: list[str]) -> list[Row]:
    """Leave out rows whose fields are all empty, as spreadsheets write below a table."""
    empty = [line for line, row in rows if not any(row)]
    if not empty or len(empty) == len(rows):
        return rows
    notes.append(f"left out, since every field is empty: {numbered(empty)}")
    return [(line, row) for line, row in rows if any(row)]


def _with_gaps(rows: list[Row], usual: int, headed: bool, notes: list[str]) -> list[Row]:
    """Give rows whose fields are all empty the usual width; leave out those above a header."""
    start = next((i for i, (_, row) in enumerate(rows) if any(row)), 0) if headed else 0
    if start:
        lines = [line for line, _ in rows[:start]]
        notes.append(f"left out, since every field is empty: {numbered(lines)}")
    rows = [(line, row if any(row) else [""] * usual) for line, row in rows[start:]]
    if empty := [line for line, row in rows if not any(row)]:
        notes.append(f"every field is empty, and taken for a gap: {numbered(empty)}")
    return rows


def numbered(lines: Sequence[int]) -> str:
    """Return line numbers as text: `line 3`, `lines 3, 5`."""
    shown = ", ".join(map(str, lines[:5])) + (", ..." * (len(lines) > 5))
    return f"line{'s' * (len(lines) > 1)} {shown}"


def _without_ends(rows: list[Row], notes: list[str]) -> list[Row]:
    """Leave out last fields that are empty in every row and have no name."""
    before = rows
    while len(rows) > 1:
        head, length = rows[0][1], len(rows[1][1])
        same = all(len(row) == length and not row[-1] for _, row in rows[1:])
        named = len(head) == length and bool(head[-1])
        if not same or named or length < 2 or len(head) not in (length, length - 1):
            break
        rows = [(line, row[: length - 1]) for line, row in rows]
    if lost := len(before[-1][1]) - len(rows[-1][1]) if rows else 0:
        notes.append(f"left out: {lost} empty field{'s' * (lost > 1)} at the end of every row")
    width = len(rows[0][1]) if rows else 0
    longer = [line for line, row in rows if len(row) > width and not any(row[width:])]
    if longer and len(longer) < len(rows) - 1:
        notes.append(f"left out: empty fields at the end of {numbered(longer)}")
        rows = [(line, row if any(row[width:]) else row[:width]) for line, row in rows]
    return rows


def _with_row_names(
    rows: list[Row], is_number: Callable[[str], bool], notes: list[str]
) -> list[Row]:
    """Name a first column that the header does not name: distinct texts or row numbers."""
    if len(rows) < 3 or any(len(row) != len(rows[0][1]) + 1 for _, row in rows[1:]):
        return rows
    firsts = [row[0] for _, row in rows[1:] if any(row)]
    numbered = firsts in ([str(i + start) for i in range(len(firsts))] for start in (0, 1))
    texts = len(set(firsts)) == len(firsts) and not any(map(is_number, firsts))
    if not numbered and not texts:
        return rows  # a comma inside an amount makes one field too many, too
    notes.append("the first line has no name for the first column, which names the rows")
    line, head = rows[0]
    return [(line, ["", *head]), *rows[1:]]


def below_header(
    names: list[str], lines: list[int], rows: list[list[str]], fields: Fields, notes: list[str]
) -> tuple[list[int], list[list[str]]]:
    """Return the rows below a header, without a first row of units and without repeated headers.

    The first row holds units if all columns of numbers begin with a text, and several of these are
    not missing.
    """
    if rows and (units := _units(rows, fields)):
        ruled = not any(any(map(str.isalnum, unit)) for unit in units) and "-" in units[0]
        what = "is a rule" if ruled else "holds units"
        notes.append(f"left out, since it {what}: line {lines[0]}, {', '.join(units)}")
        lines, rows = lines[1:], rows[1:]
    again = [line for line, row in zip(lines, rows, strict=True) if row == names]
    if again and len(again) < len(rows):
        notes.append(f"left out, since it repeats the header: {numbered(again)}")
        kept = [(line, row) for line, row in zip(lines, rows, strict=True) if row != names]
        lines, rows = [line for line, _ in kept], [row for _, row in kept]
    return lines, rows


def _units(rows: list[list[str]], fields: Fields) -> list[str]:
    """Return the units in the first row; none if it is an ordinary row."""
    first, others = rows[0], [row for row in rows[1:LOOK] if len(row) == len(rows[0])]
    found = []
    for place, text in enumerate(first):
        below = [row[place] for row in others if not fields.is_missing(row[place])]
        if not below or not all(map(fields.is_number, below)):
            continue
        if fields.is_number(text) or how_to_write(text, fields.decimal):
            return []
        if not fields.is_missing(text):
            found.append(repr(text))
    return found if len(found) > 1 and all(len(text) < SHOWN for text in found) else []
