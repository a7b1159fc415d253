"""The NumPy calls of an optimizer's update, recorded if they are the same at every step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.prepared import VIEWS, Prepared
from mlpgrad.training.tape import Call, NotRepeatableError, Tape, replay, twin


def recorded_update(
    rule: Optimizer, prepared: Prepared, arrays: Sequence[Array], reset: Callable[[], None]
) -> list[Call]:
    """Return the calls of an update, whose replay equals the optimizer's, bit for bit.

    Parameters
    ----------
    rule : Optimizer
        An optimizer that may make further updates: a copy.
    prepared : Prepared
        What it updates.
    arrays : sequence of array
        What the update writes: the parameters, and the optimizer's arrays.
    reset : callable
        Gives these arrays and the gradient the values from which each update starts.

    Raises
    ------
    NotRepeatableError
        If the update depends on values, or makes other calls at other steps.
    """
    from zlib import crc32  # not when the package is imported

    tape, found = Tape(), set()
    apply = functools.partial(rule.apply, prepared)

    def record() -> None:
        twin(rule, tape).apply(Prepared(*map(tape.recorded, prepared)))

    again = functools.partial(replay, tape.calls)
    for update in (record, again, apply, apply):  # the optimizer may change by itself
        reset()
        with np.errstate(all="ignore"):
            update()
        found.add(tuple(crc32(np.ascontiguousarray(array).data) for array in arrays))
    if len(found) > 1:
        raise NotRepeatableError("an update that makes other calls at other steps")
    return tape.calls


# arrays that an optimizer keeps in attributes, outside its state


def own_names(rule: Optimizer) -> list[str]:
    """Return the attributes that hold such arrays, also in lists, tuples and dicts.

    Raises
    ------
    NotRepeatableError
        If there are arrays in another object, whose calls a tape does not see.
    """
    others = {name: v for name, v in vars(rule).copy().items() if name not in (*VIEWS, "state")}
    inside = (getattr(value, "__dict__", None) for value in others.values())
    if any(any(pairs(attributes, attributes)) for attributes in inside):
        raise NotRepeatableError("arrays of the optimizer in an object")
    return [name for name, value in others.items() if any(pairs(value, value))]


def copied(value: Any) -> Any:
    """Return a copy of an array that can be changed, or of those in a list, tuple or dict."""
    if isinstance(value, np.ndarray) and value.flags.writeable:
        return value.copy()
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def pairs(known: Any, value: Any) -> Iterator[tuple[Array, Any]]:
    """Yield the arrays in a value that can be changed, with what is in their place in another."""
    if isinstance(known, np.ndarray) and known.flags.writeable:
        yield known, value
    elif isinstance(known, dict):
        for key, one in known.items():
            yield from pairs(one, value.get(key) if isinstance(value, dict) else None)
    elif type(known) in (list, tuple):
        others = value if type(value) in (list, tuple) else ()
        for one, other in zip_longest(known, others[: len(known)]):
            yield from pairs(one, other)
