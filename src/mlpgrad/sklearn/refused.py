"""A fit that is refused leaves the estimator as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def put_back_if_refused(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Restore the attributes of an estimator if its fit raises before the end of the first epoch.

    Otherwise an estimator would predict with the weights of one fit and the classes of another.
    """

    @wraps(fit)
    def put_back(estimator: Any, *args: Any, **options: Any) -> Any:
        before = vars(estimator).copy()
        try:
            return fit(estimator, *args, **options)
        except BaseException:
            record = vars(estimator).get("history_")
            if record is before.get("history_") or not len(record.get("loss", ())):
                vars(estimator).clear()
                vars(estimator).update(before)
            raise

    return put_back
