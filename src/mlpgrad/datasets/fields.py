"""The fields of a table: which are numbers, which are missing, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mlpgrad._core.arguments import shown

DECIMALS = (".", ",")
MISSING = ("", "?", "NA", "N/A", "NaN", "null")
_EXCHANGED = {ord("."): ",", ord(","): "."}


class Fields:
    """Reads the fields of a table by its decimal sign and its texts for missing values.

    Parameters
    ----------
    decimal : str
        "." or ",".
    missing : iterable of str
        The texts that stand for a missing value, in upper or lower case.
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
        self.decimal = decimal
        self._missing = {text.strip().lower() for text in texts}
        self._missing_numbers = {text for text in self._missing if self.is_number(text)}

    def is_missing(self, text: str) -> bool:
        """Whether this text, without blanks around it, stands for a missing value."""
        return text.lower() in self._missing

    def is_number(self, text: str) -> bool:
        """Whether this is a finite number."""
        return self.is_plain(text) and self.is_float(text) and math.isfinite(self.value(text))

    def is_plain(self, text: str) -> bool:
        """Whether this has none of what Python takes in numbers and tables do not mean by them."""
        return "_" not in text and text.strip().isascii()

    def is_float(self, text: str) -> bool:
        """Whether Python reads this as a number."""
        try:
            self.value(text)
        except ValueError:
            return False
        return True

    def value(self, text: str) -> float:
        """The number that is written here, or ValueError; a sign for thousands is not a number."""
        return float(text if self.decimal == "." else text.translate(_EXCHANGED))

    def numbers(self, row: list[str]) -> list[float] | None:
        """The finite numbers of a row, or None if a field is missing or not a number."""
        try:
            numbers = [*map(self.value, row)] if self.decimal == "," else [*map(float, row)]
        except ValueError:
            return None
        # a look at the whole row is quicker, but the sum may overflow
        plain = self.is_plain("".join(row)) and math.isfinite(sum(numbers))
        if not plain and not all(map(self.is_number, row)):
            return None
        if self._missing_numbers and any(self.is_missing(field.strip()) for field in row):
            return None
        return numbers
