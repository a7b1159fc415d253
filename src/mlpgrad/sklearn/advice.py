"""The errors of a table's encoder, with advice for estimators, which have no encoder options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_LEFT_OUT = re.compile(r"with columns=\{(.+?): None\}")
_CATEGORIES = re.compile(r"write columns=\{(.+?): OneHot\(\)\}")
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
