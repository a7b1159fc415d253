"""The lines and fields of a file that form the table; all others are left out, and reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

Row = tuple[int, list[str]]
"""The line of a row, and its fields."""

SHOWN = 40  # characters of a line that is left out
_STATED = re.compile(r"sep=.?", re.IGNORECASE)


class Layout(NamedTuple):
    """The rows of a table, and what was left out around them."""

    rows: list[Row]
    notes: list[str]


def laid_out(rows: list[Row], is_number: Callable[[str], bool], headed: bool) -> Layout:
    """The rows of the table in a file.

    A first line `sep=;` is left out, as are comments after `#` and titles above the table, which
    differ from the table in their number of fields, and empty fields at the end of every row. If
    the first line has no name for row names or row numbers, as R writes it, they get one. If the
    table has no header (`headed` is false), a row with one text and empty fields is not a title.
    """
    notes: list[str] = []
    if rows and _STATED.fullmatch(rows[0][1][0]) and not any(rows[0][1][1:]):
        rows = rows[1:]
    usual = Counter(len(fields) for _, fields in rows).most_common(1)[0][0] if rows else 0
    rows = _without_comments(rows, usual, notes)
    rows = _without_titles(rows, usual, is_number, headed, notes)
    rows = _without_ends(rows, notes)
    rows = _with_row_names(rows, is_number, notes)
    return Layout(rows, notes)


def _without_comments(rows: list[Row], usual: int, notes: list[str]) -> list[Row]:
    marked = [(line, len(row) != usual) for line, row in rows if row[0].startswith("#")]
    comments = [line for line, other in marked if other]
    if not comments or len(marked) - len(comments) > 1:
        return rows  # besides a header, rows of the table begin with #
    lines = ", ".join(map(str, comments[:5])) + (", ..." * (len(comments) > 5))
    notes.append(f"left out, since it begins with #: line{'s' * (len(comments) > 1)} {lines}")
    return [(line, row) for line, row in rows if line not in set(comments)]


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
    return rows


def _with_row_names(
    rows: list[Row], is_number: Callable[[str], bool], notes: list[str]
) -> list[Row]:
    """Name a first column that the header does not name: distinct texts or row numbers."""
    if len(rows) < 3 or any(len(row) != len(rows[0][1]) + 1 for _, row in rows[1:]):
        return rows
    firsts = [row[0] for _, row in rows[1:]]
    numbered = firsts in ([str(i + start) for i in range(len(firsts))] for start in (0, 1))
    texts = len(set(firsts)) == len(firsts) and not any(map(is_number, firsts))
    if not numbered and not texts:
        return rows  # a comma inside an amount makes one field too many, too
    notes.append("the first line has no name for the first column, which names the rows")
    line, head = rows[0]
    return [(line, ["", *head]), *rows[1:]]
