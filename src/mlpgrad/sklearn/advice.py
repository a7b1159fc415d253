"""Errors of networks and their encoders, with the names of what the estimators have."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from mlpgrad._core.arguments import refuse_hidden
from mlpgrad._core.conversion import converted
from mlpgrad._core.frames import columns_of, is_frame
from mlpgrad.datasets.amounts import is_amount, unit_of
from mlpgrad.datasets.fields import Fields

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_ON_FRAMES = (
    (r"with columns=\{(.+?): None\}", r"with X.drop(columns=[\1])"),
    (r"write columns=\{(.+?): OneHot\(\)\}", r"write X[\1] = X[\1].astype('category')"),
    (r"mark it as missing with missing=\[.*?\]", "make it None, a missing value"),
    (r", or say how to encode one with columns=", ""),
    (r", or a dict of columns,", ""),
    (r"\btable(?=\[|\.)", "X"),
    (r", or make the model with dtype=['\"]float64['\"]", ""),
)
_ON_ARRAYS = (
    (r"\binterval(?==| expects)", "coverage"),
    (r"ensemble_size=", "n_members="),
    (r"train with GaussianNLL\(\)", "train with loss='gaussian_nll'"),
    (r"give samples=100", "call estimator.model_.predict(X, std=True, samples=100)"),
    (r"\bmodel\.(laplace|uncertainty)\b", r"estimator.model_.\1"),
    (r"\(model, x, y\)", "(estimator.model_, X, y)"),
    (r"\(x, y\)", "(X, y)"),
    (r"make the model with dtype=['\"]float64['\"]", "fit with X.astype('float64')"),
)


def advising_on_frames() -> AbstractContextManager[None]:
    """Rewrite advice about encoder options, which an estimator does not have, for data frames."""
    return _rewriting(_ON_FRAMES)


def advising_on_arrays() -> AbstractContextManager[None]:
    """Rewrite advice about a network, its uncertainty above all, for an estimator on arrays."""
    return _rewriting(_ON_ARRAYS)


@contextmanager
def _rewriting(rules: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Raise errors with messages in which patterns are replaced."""
    try:
        yield
    except (TypeError, ValueError) as error:
        message = str(error)
        for pattern, replacement in rules:
            message = re.sub(pattern, replacement, message)
        if message == str(error):
            raise
        raise type(error)(message) from error


def refuse_masks(**given: Any) -> None:
    """Raise ValueError for masked arrays that hide values, which scikit-learn would use."""
    for name, values in given.items():
        refuse_hidden(values, name)


def refuse_dates(y: Any) -> None:
    """Raise TypeError for targets that are dates or durations, as a network does.

    scikit-learn would take them for integers in the unit of their dtype, and NaT for -2**63.
    """
    for values in (column for _, column in columns_of(y)) if is_frame(y) else [y]:
        array = np.asarray(values)
        objects = array.flat if array.dtype.kind == "O" else ()
        if array.dtype.kind in "mM" or any(isinstance(value, _DATES) for value in objects):
            converted(array, "y")


def how_to_convert(y: Any) -> str:
    """Return advice with code that makes numbers of a target of text, such as amounts.

    Other texts in less than half of the rows are named, and are to be left out.
    """
    values = np.asarray(y).ravel().tolist()
    every = [text for text in values if isinstance(text, str)]
    texts = {text.strip() for text in every}
    point, comma = ({text for text in texts if _is_number(text, sign)} for sign in ".,")
    sign, other, amounts = (",", ".", comma) if comma - point else (".", ",", point)
    odd = sorted({text for text in every if text.strip() not in amounts})
    if 2 * sum(text in odd for text in every) >= len(values):
        return "give numbers"
    left = f"leave out the rows with {', '.join(map(repr, odd[:3]))}" + ", ..." * (len(odd) > 3)
    if odd and not amounts:
        return left
    text = "y" if len(every) == len(values) else "y.astype(str)"
    converted = _how_to_convert(amounts, sign, other, text)
    return f"{left}, and {converted.replace('them', 'the others', 1)}" if odd else converted


def _how_to_convert(amounts: set[str], sign: str, other: str, text: str) -> str:
    """Return advice for amounts with this decimal sign, as code for a Series of text."""
    units = {unit_of(amount) for amount in amounts}
    if len(units) > 1 and (len(units - {""}) > 1 or "%" in units):
        named = " and ".join(repr(unit) for unit in sorted(units - {""}))
        return f"convert them to one unit: they have {named}" + " and none" * ("" in units)
    unit = max(units, default="")
    plain = {each.replace(unit, "") for each in amounts if not Fields(sign).is_number(each)}
    apart = {character for each in plain for character in each if not character.isdigit()}
    removed = "".join(sorted(apart - {*"+-", sign} | {other}))
    pattern = f"{re.escape(unit)}|[{removed}]" if unit else f"[{removed}]"
    code = f"{text}.str.replace({pattern!r}, '', regex=True)"
    code += ".str.replace(',', '.')" * (sign == ",") + ".astype(float)"
    return f"convert them, such as {code}"


def _is_number(text: str, decimal: str) -> bool:
    return Fields(decimal).is_number(text) or is_amount(text, decimal)
