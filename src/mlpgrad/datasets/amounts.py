"""Numbers in disguise: what a person reads as an amount, and `float` does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

MOST_AMOUNTS = 20  # more different texts with a unit than this are quantities, not classes
MOST_UNITS = 3  # such as g, kg and t
CURRENCY = "$€£¥₹"
_BLANK = " \u00a0\u202f"
_DIGITS = rf"\d(?:[\d.,'’{_BLANK}]*\d)?"
_UNIT = re.compile(
    rf"[+-]?{_DIGITS}[{_BLANK}]*((?:[^\W\d_]|[{CURRENCY}%]/)(?:[^\d.,;]{{0,8}}[23²³]?)?)"
    rf"|([A-Z]{{3}})[{_BLANK}]+[+-]?{_DIGITS}"
)
_SIGN = re.compile(
    rf"[+-]?[{_BLANK}]*([A-Z]{{0,3}}[{CURRENCY}]|%)[{_BLANK}]*[+-]?{_DIGITS}"
    rf"|[+-]?[{_BLANK}]*{_DIGITS}[{_BLANK}]*([{CURRENCY}%])"
)
_IN_BRACKETS = re.compile(rf"\([{_BLANK}{CURRENCY}]*{_DIGITS}[{_BLANK}{CURRENCY}]*\)")
_GROUPED = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:([,.'’{_BLANK}])\d{{3}})(?:\1\d{{3}})*([.,]\d+)?")
_OTHER_DECIMAL = {
    ".": re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?"),
}


def is_grouped(text: str) -> bool:
    """Whether thousands are separated in this number, as in `1,200`; it may be a decimal, too."""
    return _GROUPED.fullmatch(text) is not None


def how_to_write(text: str, decimal: str) -> str | None:
    """What to do about a text that is an amount but not a plain number, or None.

    Parameters
    ----------
    text : str
        A field without blanks around it.
    decimal : str
        The decimal sign that the table is read with, "." or ",".
    """
    other = "," if decimal == "." else "."
    if found := _SIGN.fullmatch(text):
        return f"write the number without the sign {found[1] or found[2]!r}"
    if grouped := _GROUPED.fullmatch(text):
        means = f", or pass decimal={other!r} if it is the decimal sign"
        plain = f"write thousands without the separator {grouped[1]!r}"
        once = text.count(other) == 1 and not grouped[2]
        return plain + (means if grouped[1] == other and once else "")
    if _IN_BRACKETS.fullmatch(text):
        return "write a negative number with a minus sign"
    if _OTHER_DECIMAL[decimal].fullmatch(text):
        return f"pass decimal={other!r} if {other!r} is the decimal sign"
    if found := _UNIT.fullmatch(text):
        return f"write the number without the unit {_unit(found)!r}"
    return None


def hidden_amounts(texts: Iterable[str], decimal: str) -> bool:
    """Whether the texts of a column are amounts, and not names of classes.

    Amounts with a sign, separated thousands or another decimal sign always are. With a unit they
    are if there are few units and many amounts: `4 cyl` and `6 cyl` may be classes.
    """
    counts = Counter(texts)
    if not all(how_to_write(text, decimal) for text in counts):
        return False
    units = {_unit(found) for text in counts if (found := _UNIT.fullmatch(text))}
    return not units or (len(units) <= MOST_UNITS and len(counts) > MOST_AMOUNTS)


def _unit(found: re.Match[str]) -> str:
    return (found[1] or found[2]).strip()
