"""The fields of a table: numbers, missing values, and number formats."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mlpgrad._core.arguments import shown

DECIMALS = (".", ",")
MISSING = ("", "?", "NA", "N/A", "NaN", "null")
_EXCHANGED = {ord("."): ",", ord(","): "."}


class Fields:
    """Read the fields of a table with its decimal sign and its texts for missing values.

    Parameters
    ----------
    decimal : str
        "." or ",".
    missing : iterable of str
        The texts that mean a missing value, regardless of case.
    """

    def __init__(self, decimal: str = ".", missing: Iterable[Any] = MISSING) -> None:
        if not isinstance(decimal, str) or decimal not in DECIMALS:
            raise ValueError(f"decimal expects '.' or ',', got {shown(decimal)}")
        texts: list[Any] = (
            list(missing) if isinstance(missing, (list, tuple, set, frozenset)) else [None]
        )
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(
                f"missing expects the texts for missing values, such as ['', 'NA'], "
                f"got {shown(missing)}"
            )
        self.decimal, self.missing = decimal, tuple(texts)
        self._missing = {text.strip().lower() for text in texts}
        self._missing_numbers = {text for text in self._missing if self.is_number(text)}

    def is_missing(self, text: str) -> bool:
        """Return whether this text, without surrounding blanks, means a missing value."""
        return text.lower() in self._missing

    def is_number(self, text: str) -> bool:
        """Whether this is a finite number."""
        return self.is_plain(text) and self.is_float(text) and math.isfinite(self.value(text))

    def is_plain(self, text: str) -> bool:
        """Return whether this uses none of Python's number formats that are unusual in tables."""
        return "_" not in text and text.strip().isascii()

    def is_float(self, text: str) -> bool:
        """Return whether Python reads this as a number."""
        try:
            self.value(text)
        except ValueError:
            return False
        return True

    def value(self, text: str) -> float:
        """Return the number in this text; raise ValueError for anything else, such as `1,200`."""
        return float(text if self.decimal == "." else text.translate(_EXCHANGED))

    def numbers(self, row: list[str]) -> list[float] | None:
        """Return the finite numbers of a row, or None if a field is missing or not a number."""
        try:
            numbers = [*map(self.value, row)] if self.decimal == "," else [*map(float, row)]
        except ValueError:
            return None
        # a check of the whole row is faster, but the sum may overflow
        plain = self.is_plain("".join(row)) and math.isfinite(sum(numbers))
        if not plain and not all(map(self.is_number, row)):
            return None
        if self._missing_numbers and any(self.is_missing(field.strip()) for field in row):
            return None
        return numbers
