"""`TrainingWarning`: the warning about networks and trainings that cannot work."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep

_unwanted: ContextVar[bool] = ContextVar("_unwanted", default=False)


class TrainingWarning(UserWarning):
    """The network or its training can hardly learn; the message says what to change.

    It is given once: when the network is made, after the first epoch, or at the end of `fit`. Turn
    it off with `warnings.simplefilter("ignore", mg.TrainingWarning)`.

    Examples
    --------
    >>> import warnings
    >>> import mlpgrad as mg
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = mg.Sequential([mg.Dense(2, 1), mg.ReLU()], loss=mg.SigmoidCrossEntropy())
    >>> caught[0].category.__name__
    'TrainingWarning'
    """


def warn(message: str) -> None:
    """Give a TrainingWarning at the line of the caller of mlpgrad."""
    if _unwanted.get():
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    try:
        warnings.warn(message, TrainingWarning, stacklevel=level)
    except (ValueError, AttributeError):  # Python also writes to a stderr that is closed or odd
        if hasattr(sys.stderr, "write") and not getattr(sys.stderr, "closed", False):
            raise


@contextmanager
def without_warnings() -> Iterator[None]:
    """Context manager in which this thread gives no TrainingWarning.

    `warnings.catch_warnings` changes the filters of all threads, and two threads that use it at the
    same time can leave theirs behind.
    """
    token = _unwanted.set(True)
    try:
        yield
    finally:
        _unwanted.reset(token)
