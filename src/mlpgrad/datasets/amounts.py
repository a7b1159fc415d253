"""Amounts that a reader recognizes as numbers but `float` does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

MOST_NAMES = 20  # up to this many different numbers with a word, such as 4 cyl, may be names
MOST_UNITS = 3  # such as g, kg and t
MULTIPLES = {"k", "K", "M", "mn", "bn", "Tsd", "Mio", "Mrd"}
CURRENCY = "$¢£¥฿" + "".join(map(chr, range(0x20A0, 0x20C1)))  # the block with €, ₹ and ₺
CODES = (
    "EUR USD GBP CHF INR JPY CNY CAD AUD NZD SEK NOK DKK PLN CZK HUF BRL MXN ZAR RUB TRY KRW ILS "
    "THB SGD HKD TWD UAH RON BGN ISK IDR MYR PHP VND AED SAR EGP NGN KES CLP COP ARS PEN"
)
CURRENCIES = {*CODES.split(), "Fr", "Fr.", "SFr.", "Rs", "Rs.", "kr", "kr.", "Kr", "zł", "Kč", "Ft"}
CURRENCIES |= {"руб", "руб.", "р."}
_BLANK = " \u00a0\u2007\u2009\u202f"
_DIGITS = rf"\d(?:[\d.,'’{_BLANK}]*\d)?"
_UNIT = re.compile(
    rf"[+-]?{_DIGITS}[{_BLANK}]*((?:[^\W\d_]|[{CURRENCY}%]/)(?:[^\d.,;]{{0,8}}[23²³]?)?\.?)"
    rf"|((?:[A-Z]{{3}}|S?Fr|Rs|[Kk]r)(?=[{_BLANK}])|(?:S?Fr|Rs|[Kk]r)\.)[{_BLANK}]*[+-]?{_DIGITS}"
)
_SIGN = re.compile(
    rf"[+-]?[{_BLANK}]*([A-Z]{{0,3}}[{CURRENCY}]|%)[{_BLANK}]*[+-]?{_DIGITS}"
    rf"|[+-]?[{_BLANK}]*{_DIGITS}[{_BLANK}]*([{CURRENCY}%‰])"
)
_MULTIPLE = re.compile(  # $1.2M
    rf"[+-]?([A-Z]{{0,3}}[{CURRENCY}])[{_BLANK}]*[+-]?{_DIGITS}[{_BLANK}]*"
    r"([kKmMbB]|mn|mln|bn|Tsd\.?|Mio\.?|Mrd\.?|thousand|million|billion)"
)
_WITHOUT_CENTS = re.compile(  # 12,- as in German and Swiss prices
    rf"(?:[A-Z]{{0,3}}[{CURRENCY}]|[A-Z]{{3}}|S?Fr\.?)?[{_BLANK}]*"
    rf"{_DIGITS}([.,](?:--?|[–—]))[{_BLANK}]*(?:[{CURRENCY}]|[A-Z]{{3}})?"
)
_IN_BRACKETS = re.compile(
    rf"[{_BLANK}{CURRENCY}]*\([{_BLANK}{CURRENCY}]*{_DIGITS}[{_BLANK}{CURRENCY}%]*\)"
    rf"[{_BLANK}{CURRENCY}%]*"
)
_GROUPED = re.compile(  # also 12,34,567 as in India
    rf"[+-]?[1-9]\d{{0,2}}(?=([,.'’{_BLANK}]))(?:(?:\1\d{{3}})+|(?:,\d{{2}})+,\d{{3}})([.,]\d+)?"
)
_SIGNED = re.compile(rf"[\u2212\u2013]{_DIGITS}")  # a minus sign, or a dash in its place
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_DECIMALS = re.compile(r"[+-]?(?:\d+([.,])\d*|([.,])\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_OTHER_SIGN = re.compile(r"pass decimal='.'(?: if (?:it|'.') is the decimal sign)?")
_SIGNS = {".": ",", ",": "."}  # of decimals, each with the other one


def is_grouped(text: str) -> bool:
    """Return whether a number has separated thousands, as in `1,200`, which may be a decimal."""
    return _GROUPED.fullmatch(text) is not None


def decimal_shown(text: str) -> str:
    """Return the decimal sign that a number or an amount shows; empty if it shows none.

    Examples
    --------
    >>> [decimal_shown(text) for text in ("1,5", "1.234,50 EUR", "1.234.567", "1,200", "12")]
    [',', ',', ',', '', '']
    """
    digits = _without_unit(text)[1]
    if grouped := _GROUPED.fullmatch(digits):
        separator, decimals = grouped[1], grouped[2] or ""
        if decimals:
            return decimals[0] * (decimals[0] != separator)
        return _SIGNS.get(separator, "") * (digits.count(separator) > 1)
    found = _DECIMALS.fullmatch(digits)
    return (found[1] or found[2]) if found else ""


def may_be_grouped(text: str) -> bool:
    """Return whether a number or an amount such as `1.200 kg` has decimals or thousands.

    Money has thousands: prices with three decimals are rare.
    """
    unit, digits = _without_unit(text)
    grouped = _GROUPED.fullmatch(digits)
    if grouped is None or grouped[2] or _is_money(unit):
        return False
    return grouped[1] in _SIGNS and digits.count(grouped[1]) == 1


def with_one_sign(advice: str, decimal: str) -> str:
    """Return advice for a table in which other numbers show the decimal sign.

    Examples
    --------
    >>> with_one_sign("pass decimal=',' if ',' is the decimal sign", ".")
    "write decimals with '.', as in the rest of the table: no option reads both signs"
    """
    said = (
        f"write decimals with {decimal!r}, as in the rest of the table: no option reads both signs"
    )
    return _OTHER_SIGN.sub(said, advice)


def is_amount(text: str, decimal: str) -> bool:
    """Return whether a text is a number, perhaps with a sign, a unit or separated thousands.

    Examples
    --------
    >>> is_amount("1.234,50 EUR", ","), is_amount("1.234,50 EUR", ".")
    (True, False)
    """
    return _amount(text, decimal) is not None


def how_to_write(text: str, decimal: str) -> str | None:
    """Return advice for a text that is an amount but not a plain number, or None.

    Parameters
    ----------
    text : str
        A field without surrounding blanks.
    decimal : str
        The decimal sign of the table, "." or ",".
    """
    other = _SIGNS[decimal]
    point = f" and with the decimal sign {decimal!r}" * (decimal_shown(text) == other)
    if found := _SIGN.fullmatch(text):
        return f"write the number without the sign {found[1] or found[2]!r}{point}"
    grouped = _GROUPED.fullmatch(text)
    if decimal_shown(text) == other and (_DECIMALS.fullmatch(text) or (grouped and grouped[2])):
        return f"pass decimal={other!r} if {other!r} is the decimal sign"
    if grouped:
        means = f", or pass decimal={other!r} if it is the decimal sign"
        plain = f"write thousands without the separator {grouped[1]!r}"
        once = text.count(other) == 1 and not grouped[2]
        return plain + (means if grouped[1] == other and once else "")
    if _IN_BRACKETS.fullmatch(text):
        return "write a negative number with a minus sign"
    if _SIGNED.fullmatch(text):
        return f"write the minus sign {text[0]!r} as '-'"
    if found := _MULTIPLE.fullmatch(text):
        return f"write the number in full, without {found[1]!r} and {found[2]!r}"
    if found := _WITHOUT_CENTS.fullmatch(text):
        return f"write the number without {found[1]!r}"
    if text[-1:] == "-" and _PLAIN.fullmatch(text[:-1].replace(decimal, ".")):
        return "write the minus sign before the number"
    if text[:1] == "'" and _PLAIN.fullmatch(text[1:].replace(decimal, ".")):
        return "write the number without the apostrophe before it"
    if found := _UNIT.fullmatch(text):
        full = "in full, " if _unit(found) in MULTIPLES else ""
        return f"write the number {full}without the unit {_unit(found)!r}{point}"
    return None


def how_to_unify(text: str, texts: Iterable[str], decimal: str) -> str | None:
    """Return advice as `how_to_write` does, in view of all texts of the column.

    Examples
    --------
    >>> how_to_unify("5 kg", ["5 kg", "200 g"], ".")
    "convert the amounts in 'g' and in 'kg' to one unit"
    """
    others = [other for other in texts if other != text]
    units = {unit for other in (text, *others) if (unit := unit_of(other))}
    if len(units) > 1 and unit_of(text):
        return f"convert the amounts in {' and in '.join(map(repr, sorted(units)[:3]))} to one unit"
    plain = [other.replace(decimal, ".") for other in others]
    if unit_of(text) == "%" and any(map(_PLAIN.fullmatch, plain)):
        return (
            "divide it by 100 if the other numbers are fractions, or write all numbers of the "
            "column in percent, without the sign"
        )
    others = [number for number, other in zip(plain, others, strict=True) if decimal in other]
    if decimal_shown(text) == _SIGNS[decimal] and any(map(_PLAIN.fullmatch, others)):
        return f"write all numbers of the column with the decimal sign {decimal!r}"
    return how_to_write(text, decimal)


def unit_of(text: str) -> str:
    """Return the sign or unit of an amount; empty if it has none."""
    found = _SIGN.fullmatch(text) or _UNIT.fullmatch(text)
    return _unit(found) if found else ""


def hidden_amounts(texts: Iterable[str], decimal: str) -> bool:
    """Return whether the texts of a column are amounts rather than names of classes.

    Amounts with a sign, separated thousands or another decimal sign always are. With a unit they
    are if there are few units and many amounts: `4 cyl` and `6 cyl` may be classes. They remain
    amounts if less than half of the rows hold other text, such as `unknown` among prices.

    Parameters
    ----------
    texts : iterable of str
        Fields that are not missing, without surrounding blanks, one for each row.
    decimal : str
        The decimal sign of the table, "." or ",".
    """
    counts = Counter(texts)
    amounts = [text for text in counts if any(is_amount(text, sign) for sign in _SIGNS)]
    if all(how_to_write(text, decimal) for text in counts.keys() - set(amounts)):
        amounts = list(counts)
    with_unit = {text: _unit(found) for text in amounts if (found := _UNIT.fullmatch(text))}
    few = len(set(with_unit.values())) <= MOST_UNITS and len(with_unit) > MOST_NAMES
    rows = sum(counts[text] for text in amounts if few or text not in with_unit)
    return 2 * rows > counts.total()


def odd_among(texts: Iterable[str], decimal: str, decimal_is_known: bool) -> set[str]:
    """Return the texts that are not amounts in a column that `amounts_in` reads without them.

    Examples
    --------
    >>> odd_among(["$5", "$7", "free"], ".", True), odd_among(["low", "high"], ".", True)
    ({'free'}, set())
    """
    different = set(texts)
    odd = {text for text in different if not is_amount(text, decimal)}
    return odd if odd and amounts_in(different - odd, decimal, decimal_is_known) else set()


class Amounts(NamedTuple):
    """A column of amounts as numbers."""

    numbers: dict[str, float]
    """The number for each text."""
    unit: str
    """The common sign or unit, such as `$`; empty if they only have separated thousands."""
    separator: str
    """The thousands separator; empty if there is none."""


def amounts_in(
    texts: Iterable[str], decimal: str, decimal_is_known: bool, names: bool = True
) -> Amounts | None:
    """Return the numbers of a column of amounts if they are unambiguous, else None.

    All amounts must have the same sign or unit, or none, and the same thousands separator. `1,200`
    is 1200 if the decimal sign is known to be a point, or if other amounts of the column show it:
    `$1,200`, `1,234,567` and `1,234.50` are unambiguous. `1.200 kg` has decimals only if other
    amounts of the column show a decimal point. A few distinct numbers followed by a word, such as
    `4 cyl`, are names of classes.

    Parameters
    ----------
    texts : iterable of str
        Fields that are not missing, without surrounding blanks.
    decimal : str
        The decimal sign of the table, "." or ",".
    decimal_is_known : bool
        Whether it was given, or occurs in a number of the table.
    names : bool, default True
        Whether a few distinct numbers followed by a word may be names.

    Examples
    --------
    >>> amounts_in(["$1,200", "$950.50"], ".", False)
    Amounts(numbers={'$1,200': 1200.0, '$950.50': 950.5}, unit='$', separator=',')
    >>> amounts_in(["1,200", "1,450"], ".", False)  # 1.2 and 1.45 are as likely
    >>> amounts_in(["5 kg", "200 g"], ".", True)
    """
    found = {text: _amount(text, decimal) for text in dict.fromkeys(texts)}
    amounts = [amount for amount in found.values() if amount is not None]
    if len(amounts) < len(found) or not found:
        return None
    units = {amount.unit for amount in amounts}
    separators = {amount.separator for amount in amounts} - {""}
    unit = min(units)
    word = len(unit) > 1 and unit.removesuffix(".")[-1].isalpha()
    named = names and word and len(found) <= MOST_NAMES
    if len(units) > 1 or len(separators) > 1 or named:
        return None
    shown = decimal in map(decimal_shown, found)
    clear = decimal_is_known or shown or any(amount.clear for amount in amounts)
    if not (separators or unit) or (separators and not clear):
        return None
    if not shown and any(amount.doubtful for amount in amounts):
        return None
    numbers = {text: amount.number for text, amount in found.items() if amount is not None}
    return Amounts(numbers, unit, "".join(separators))


class _Amount(NamedTuple):
    number: float
    unit: str
    separator: str
    clear: bool
    """Whether its thousands separator cannot be a decimal sign."""
    doubtful: bool
    """Whether its decimal sign may be a thousands separator, as in `1.200 kg`."""


def _amount(text: str, decimal: str) -> _Amount | None:
    """Parse a number with a sign or unit and separated thousands; None if it is something else."""
    unit, plain = _without_unit(text)
    grouped = _GROUPED.fullmatch(plain)
    separator, decimals = (grouped[1], grouped[2] or "") if grouped else ("", "")
    doubtful = separator == decimal and may_be_grouped(text)
    if doubtful:
        separator = ""
    if separator == decimal or (decimals and decimals[0] != decimal):
        return None
    digits = plain.replace(separator, "") if separator else plain
    number = digits.replace(decimal, "#").replace(",", "?").replace(".", "?").replace("#", ".")
    if not _PLAIN.fullmatch(number):
        return None
    clear = _is_money(unit) or bool(decimals) or plain.count(separator) > 1 or separator not in ".,"
    return _Amount(float(number), unit, separator, bool(separator) and clear, doubtful)


def _is_money(unit: str) -> bool:
    return bool(set(unit) & set(CURRENCY)) or unit in CURRENCIES


def _without_unit(text: str) -> tuple[str, str]:
    """Return the sign or unit of an amount, if it has one, and the number without it."""
    found = _SIGN.fullmatch(text) or _UNIT.fullmatch(text)
    if found is None:
        return "", text
    unit = _unit(found)
    return unit, text.replace(unit, "").strip(_BLANK).replace("- ", "-").replace("+ ", "+")


def _unit(found: re.Match[str]) -> str:
    return str(found[1] or found[2]).strip()
