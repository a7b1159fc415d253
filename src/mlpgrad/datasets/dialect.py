"""The dialect of a table, detected from its first lines: delimiter and decimal sign."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from mlpgrad._core.arguments import shown
from mlpgrad.datasets.amounts import decimal_shown, is_amount
from mlpgrad.datasets.fields import DECIMALS, Fields

DELIMITERS = (",", ";", "\t", "|")
_STATED = re.compile(r"sep=(.)\s*", re.IGNORECASE)


class Dialect(NamedTuple):
    """The delimiter of columns and the decimal sign of a table."""

    delimiter: str
    decimal: str

    def rows(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """Return the csv module's reader of lines; raise ValueError if the delimiter is none.

        Versions of Python differ in which delimiters the module itself refuses.
        """
        if len(self.delimiter) != 1 or self.delimiter in '\r\n"':
            got = shown(self.delimiter)
            raise ValueError(f"delimiter expects one character, no quotation mark, got {got}")
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=strict)


def dialect_of(
    lines: list[str], delimiter: str | None = None, decimal: str | None = None
) -> Dialect:
    """Return the dialect in which most fields are numbers or amounts, in rows of the same length.

    Parameters
    ----------
    lines : list of str
        The first lines of the file.
    delimiter, decimal : str, optional
        The known values. By default they are detected: the delimiter among comma, semicolon, tab
        and `|`, the decimal sign among point and comma.

    Returns
    -------
    Dialect
        A comma and a point unless something else fits better. Both are commas only if the decimal
        sign is given, and then such numbers are quoted. A comma that is always followed by exactly
        three digits is not assumed to be a decimal sign, since it may separate thousands, unless
        `1.234.567` shows that points do.
        Blanks are the delimiter if there is no other, unless the first line is one word. A first
        line `sep=;`, as written for Excel, is used.
    """
    if delimiter is None and lines and (stated := _STATED.fullmatch(lines[0].lstrip("\ufeff"))):
        delimiter, lines = stated[1], lines[1:]
    candidates = [
        Dialect(separator, sign)
        for separator in (DELIMITERS if delimiter is None else (delimiter,))
        for sign in (DECIMALS if decimal is None else (decimal,))
        if separator != sign or decimal is not None
    ]
    scores = {dialect: _score(lines, dialect, decimal is None) for dialect in candidates}
    first = next((line.split() for line in lines if line.strip()), [])
    if delimiter is None and len(first) > 1 and not any(map(any, scores.values())):
        blanks = dialect_of(lines, " ", decimal)
        return blanks if any(_score(lines, blanks, decimal is None)) else candidates[0]
    return max(candidates, key=scores.__getitem__)  # the first of equals


def _score(lines: list[str], dialect: Dialect, guessed: bool) -> tuple[float, float]:
    """Return the fraction of rows of the most common length, and of numbers in them."""
    try:
        rows = list(dialect.rows(lines))
    except csv.Error:
        return 0.0, -1.0  # worse than none
    rows = [row for row in rows if any(map(str.strip, row))]
    lengths = Counter(map(len, rows))
    length, count = lengths.most_common(1)[0] if lengths else (0, 0)
    if length < 2:
        return 0.0, 0.0
    texts = [field.strip() for row in rows for field in row if len(row) == length]
    if guessed and dialect.decimal == "," and "," not in map(decimal_shown, texts):
        return count / len(rows), 0.0
    fields = Fields(dialect.decimal)
    numbers = sum(fields.is_number(text) or is_amount(text, dialect.decimal) for text in texts)
    return count / len(rows), numbers / len(texts)
