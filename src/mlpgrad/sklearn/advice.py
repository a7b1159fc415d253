"""Errors of networks and their encoders, with the names of what the estimators have."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlpgrad._core.conversion import converted
from mlpgrad._core.frames import columns_of, is_frame

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_LEFT_OUT = re.compile(r"with columns=\{(.+?): None\}")
_CATEGORIES = re.compile(r"write columns=\{(.+?): OneHot\(\)\}")
_INTERVAL = re.compile(r"\binterval(?==| expects)")
_GAP = re.compile(r"mark it as missing with missing=\[.*?\]")


@contextmanager
def advising_on_frames() -> Iterator[None]:
    """Rewrite advice about encoder options, which an estimator does not have, for data frames."""
    try:
        yield
    except (TypeError, ValueError) as error:
        given = str(error)
        message = _LEFT_OUT.sub(r"with X.drop(columns=[\1])", given)
        message = _CATEGORIES.sub(r"write X[\1] = X[\1].astype('category')", message)
        message = _GAP.sub("make it None, a missing value", message)
        if message == given:
            raise
        raise type(error)(message) from error


@contextmanager
def advising_on_coverage() -> Iterator[None]:
    """Rewrite errors about the `interval` of a network's `predict` for `predict_interval`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        message = _INTERVAL.sub("coverage", str(error))
        if message == str(error):
            raise
        raise type(error)(message) from error


def refuse_dates(y: Any) -> None:
    """Raise TypeError for targets that are dates or durations, as a network does.

    scikit-learn would take them for integers in the unit of their dtype, and NaT for -2**63.
    """
    for values in (column for _, column in columns_of(y)) if is_frame(y) else [y]:
        array = np.asarray(values)
        objects = array.flat if array.dtype.kind == "O" else ()
        if array.dtype.kind in "mM" or any(isinstance(value, _DATES) for value in objects):
            converted(array, "y")
