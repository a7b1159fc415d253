"""Reading the values of a column as numbers or as categories; errors name row and column."""

from __future__ import annotations

import datetime
import math
import numbers
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad.datasets.amounts import how_to_unify
from mlpgrad.datasets.fields import Fields
from mlpgrad.tables.frames import RawColumn

NO_VALUE = {"NoneType", "NAType", "NaTType"}
"""Types whose values are all missing."""
_TIME = re.compile(r"(-?\d+ days?,? [+-]?)?\d{1,3}:\d{2}")
_OPTION = re.compile(r"pass decimal='(.)'")


class Column(NamedTuple):
    """A column that has been read: as numbers, or as categories."""

    name: str | int
    numbers: Array = np.empty(0)
    """`(n,)`, float64; NaN where it is missing."""
    codes: Array = np.empty(0, np.intp)
    """`(n,)`: the index of each value in `levels`; -1 where it is missing."""
    levels: Sequence[str] = ()
    """The distinct levels, sorted."""
    categorical: bool = False
    """Whether the column has codes and levels; otherwise it has numbers."""
    first: int = 0
    """The place of its first row in the table."""

    @property
    def missing(self) -> Array:
        """Return whether each value is missing, `(n,)`."""
        missing: Array = self.codes < 0 if self.categorical else np.isnan(self.numbers)
        return missing

    def part(self, rows: range) -> Column:
        """Return neighbouring rows, which know their places."""
        return self.take(slice(rows.start, rows.stop))._replace(first=self.first + rows.start)

    def take(self, rows: Array | slice) -> Column:
        """Return some of its rows."""
        if self.categorical:
            return self._replace(codes=self.codes[rows])
        return self._replace(numbers=self.numbers[rows])


def as_numbers(raw: RawColumn, fields: Fields) -> Column:
    """Read a column as numbers; text is accepted if it consists of plain numbers.

    Raises
    ------
    ValueError
        If a value is not a finite number, with its row.
    """
    array = raw.values
    if array.dtype.kind in "mMc":
        refuse_type(raw)
    if array.dtype.kind in "biuf":
        values = array.astype(np.float64)
    else:
        table = {value: _number(value, fields) for value in distinct(raw)}
        if None in table.values():
            row = raw.row_of(lambda value: table[value] is None)
            text = str(raw.objects[row])
            texts = {decoded(value) for value in table if isinstance(value, (str, bytes))}
            refuse_text(raw.name, row, text, fields, texts)
        values = np.array([table[value] for value in raw.objects], np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(
            f"column {raw.name!r}, row {row}: expects a finite number, got {values[row]}; correct "
            f"it, or write NaN if it is missing"
        )
    return Column(raw.name, values)


def as_categories(raw: RawColumn, fields: Fields) -> Column:
    """Read a column as categories: each distinct value is a level."""
    if raw.values.dtype.kind in "mMc":
        refuse_type(raw)
    texts = {value: _text(value, fields) for value in distinct(raw)}
    levels = sorted({text for text in texts.values() if text is not None})
    places = {text: place for place, text in enumerate(levels)}
    table = {value: -1 if text is None else places[text] for value, text in texts.items()}
    codes = np.array([table[value] for value in raw.objects], np.intp)
    return Column(raw.name, codes=codes, levels=levels, categorical=True)


def distinct(raw: RawColumn) -> Iterable[Any]:
    """Return the distinct values of a column; raise TypeError unless text or numbers."""
    wrong = {cls for cls in set(map(type, raw.objects)) if not _is_known(cls)}
    if not wrong:
        return raw.counts
    row = raw.row_of(lambda value: type(value) in wrong)
    value = raw.objects[row]
    if isinstance(value, (datetime.date, datetime.timedelta, datetime.time)):
        refuse_dates(raw.name, value, row)
    raise TypeError(
        f"column {raw.name!r}, row {row}: expects a number or text, got "
        f"{type(value).__name__} {shown(value)}; convert it, or leave the column out with "
        f"columns={{{raw.name!r}: None}}"
    )


def is_gap(value: Any) -> bool:
    """Return whether a value is missing in any kind of column: None, NaN, pandas.NA."""
    return type(value).__name__ in NO_VALUE or bool(value != value)


def _is_known(cls: type) -> bool:
    known = (str, bytes, numbers.Real, np.bool_)
    return cls.__name__ in NO_VALUE or issubclass(cls, known) or cls.__name__ == "Decimal"


def _number(value: Any, fields: Fields) -> float | None:
    """Return a value as a number; NaN if it is missing, None if it is something else."""
    if is_gap(value):
        return math.nan
    if isinstance(value, (str, bytes)):
        text = decoded(value)
        if fields.is_missing(text):
            return math.nan
        return fields.value(text) if fields.is_number(text) else None
    return _as_float(value)


def _text(value: Any, fields: Fields) -> str | None:
    """Return a value as the name of a level, None if it is missing."""
    if is_gap(value):
        return None
    if isinstance(value, (str, bytes)):
        text = decoded(value)
        return None if fields.is_missing(text) else text
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))  # all digits, of which a float has 16
    return number_as_level(_as_float(value))


def _as_float(value: Any) -> float:
    """Return a number as a float, infinite if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number_as_level(number: float) -> str:
    """Return a number as the name of a level; integers with gaps are 1.0, but their level is 1."""
    return str(int(number)) if number.is_integer() else str(number)


def same_number(level: str) -> str:
    """Return the name of the level whose number a text is, as tables of floats are written.

    Examples
    --------
    >>> same_number("1.0"), same_number("2,0"), same_number("1.50"), same_number("01")
    ('1', '2', '1.50', '01')
    """
    plain = level.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        return level
    return number_as_level(number) if str(number) == plain else level


def decoded(value: str | bytes) -> str:
    """Return a text without surrounding blanks, each letter with its accents as one character."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return unicodedata.normalize("NFC", text.strip())


def refuse_type(raw: RawColumn) -> NoReturn:
    """Raise an error for dates, time differences and complex numbers."""
    if raw.values.dtype.kind == "c":
        raise TypeError(f"column {raw.name!r} expects real numbers, got complex ones; take .real")
    refuse_dates(raw.name, raw.values[0], 0)


def refuse_dates(name: str | int, value: Any, row: int) -> NoReturn:
    """Raise TypeError for a column of dates, with a fix."""
    column = f"table[{name!r}]"
    if isinstance(value, (np.timedelta64, datetime.timedelta)):
        fix = f"give days, {column} / numpy.timedelta64(1, 'D')"
    elif isinstance(value, datetime.time) or (isinstance(value, str) and _TIME.match(value)):
        fix = "give numbers made of them, such as minutes"
    else:
        date = f"pandas.to_datetime({column})" if isinstance(value, str) else column
        fix = f"give numbers made of them, such as {date}.dt.year or .dt.day_of_week"
    raise TypeError(
        f"column {name!r} holds dates or times ({shown(str(value))} in row {row}); {fix}, or "
        f"leave the column out with columns={{{name!r}: None}}"
    )


def refuse_text(
    name: str | int, row: int, text: str, fields: Fields, texts: Collection[str]
) -> NoReturn:
    """Raise ValueError for one of the texts in a column of numbers, with a fix if one is known."""
    fix = how_to_unify(text.strip(), texts, fields.decimal)
    thousands = any(fields.decimal in other for other in texts)
    missing = [*fields.missing, text]
    fix = _OPTION.sub(
        lambda option: _without_option(name, option[1], fields.decimal, thousands), fix or ""
    )
    fix = fix or f"correct it, or mark it as missing with missing={missing!r}"
    raise ValueError(
        f"column {name!r}, row {row}: expects a number, got {shown(text)}; {fix}; if the column "
        f"holds categories, write columns={{{name!r}: OneHot()}}"
    )


def _without_option(name: str | int, sign: str, decimal: str, thousands: bool) -> str:
    """Return what to write in Python for another decimal sign, which an encoder does not take."""
    code = f"table[{name!r}]" + f".str.replace({decimal!r}, '')" * thousands
    code += f".str.replace({sign!r}, {decimal!r}).astype(float)"
    option = f"decimal={sign!r}" + f", thousands={decimal!r}" * thousands
    return f"write {code} (or pandas.read_csv({option}))"
