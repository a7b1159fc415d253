"""Checks of arguments, one function for each kind, with errors: expected / got / fix.

Each function returns its argument in the form used internally: a NumPy integer becomes an `int`,
for instance, which cannot overflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mlpgrad._core.advice import instead_of, left_out
from mlpgrad._core.calls import is_function

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array

Object = TypeVar("Object")
LONGEST = 60  # characters of a value that a message shows


def shown(value: Any) -> str:
    """Return a value as short text on one line, for messages.

    Examples
    --------
    >>> shown("adam"), shown(int), shown(np.zeros((2, 3)))
    ("'adam'", 'the class int', 'an array of shape (2, 3)')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(getattr(value, "shape", None), tuple) and value.shape:
        return f"an array of shape {value.shape}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a user-defined object whose repr fails
        text = f"an object of the class {type(value).__name__}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def is_integer(value: Any) -> bool:
    """Return whether `value` is an int or a NumPy integer, but not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether `value` is a real number that fits a float, including NaN and infinity."""
    if is_integer(value):
        return abs(int(value)) < 1 << 1023
    return isinstance(value, (float, np.floating))


def unquoted(value: Any) -> str:
    """Return advice if a number is given as text; empty otherwise.

    Examples
    --------
    >>> unquoted("0.1")
    '; write 0.1 without quotes'
    """
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    return f"; write {value} without quotes"


def count(value: Any, name: str, least: int = 1, most: int | None = None, fix: str = "") -> int:
    """Return `value` as an int from `least` to `most`.

    Parameters
    ----------
    value : object
    name : str
        Its name in the message.
    least, most : int
        The bounds, both included; None means unbounded.
    fix : str, optional
        Advice for the message.

    Examples
    --------
    >>> count(np.uint8(200), "units") + 100
    300
    """
    whole = int(value) if is_integer(value) else least - 1
    too_many = most is not None and whole > most
    if whole >= least and not too_many:
        return whole
    expected = f"an int from {least} to {most}" if too_many else f"an int >= {least}"
    fix = unquoted(value) or (f"; {fix}" if fix else "")
    fix = (", which is too large" if too_many else "") + fix
    raise ValueError(f"{name} expects {expected}, got {shown(value)}{fix}")


def number(
    value: Any,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    ends: str = "[)",
    fix: str = "",
) -> float:
    """Return `value` as a float within bounds; NaN is never within.

    Parameters
    ----------
    value : object
    name : str
        Its name in the message.
    low, high : float
        The bounds.
    ends : str
        Whether each bound is included, "[" and "]", or not, "(" and ")".
    fix : str, optional
        Advice for the message.

    Examples
    --------
    >>> number(1, "share", 0, 1, ends="[]")
    1.0
    """
    found = float(value) if is_number(value) else math.nan
    above = low <= found if ends[0] == "[" else low < found
    below = found <= high if ends[1] == "]" else found < high
    if above and below:
        return found
    fix = unquoted(value) or (f"; {fix}" if fix else "")
    interval = f"{ends[0]}{low}, {high}{ends[1]}"
    bounded = " a finite number" if interval == "[-inf, inf)" else f" a number in {interval}"
    raise ValueError(f"{name} expects{bounded}, got {shown(value)}{fix}")


def flag(value: Any, name: str, fix: str = "") -> bool:
    """Return `value` as a bool; 0 and 1 are also accepted. `fix` is advice for the message."""
    if isinstance(value, (bool, np.bool_)) or (is_integer(value) and value in (0, 1)):
        return bool(value)
    fix = f"; {fix}" if fix else ""
    raise TypeError(f"{name} expects True or False, got {shown(value)}{fix}")


def text(value: Any, name: str, example: str) -> str:
    """`value` as a str that is not empty."""
    if isinstance(value, str) and value:
        return str(value)
    raise TypeError(f"{name} expects text such as {example!r}, got {shown(value)}")


def choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return `value`, which must be one of a few strings.

    Examples
    --------
    >>> choice("all", "layers", ("all", "last"))
    'all'
    """
    known = [*choices]
    if isinstance(value, str) and value in known:
        return value
    names = map(repr, known)
    expected = " or ".join(names) if len(known) == 2 else f"one of {', '.join(names)}"
    raise ValueError(f"{name} expects {expected}, got {shown(value)}; choose one")


def function(value: Any, name: str, example: str) -> Callable[..., Any]:
    """Return `value`, which must be callable."""
    if is_function(value):
        return value  # type: ignore[no-any-return]
    raise TypeError(f"{name} expects a function such as {example}, got {shown(value)}")


def instance(value: Any, name: str, family: type[Object], example: str, place: str = "") -> Object:
    """Return `value`, an object of the class `family`; names from other libraries get advice.

    Examples
    --------
    >>> instance(0.5, "share", float, "0.1")
    0.5
    """
    kind = family.__name__
    if isinstance(value, family):
        if method := left_out(type(value)):
            raise TypeError(
                f"{name} expects a subclass of {kind} such as {example}, got {shown(value)}{place}"
                f", whose class leaves {method} to its subclasses"
            )
        return value
    raise TypeError(
        f"{name} expects {'an' if kind[0] in 'AEIOU' else 'a'} {kind} such as {example}, "
        f"got {shown(value)}{place}{instead_of(value, family)}"
    )


def objects(values: Any, name: str, family: type[Object], example: str) -> list[Object]:
    """Return `values` as a list of objects of the class `family`.

    Examples
    --------
    >>> objects((1, 2), "sizes", int, "3")
    [1, 2]
    """
    kind = family.__name__
    if isinstance(values, family):
        raise TypeError(f"{name} expects a list, got one {kind}; write {name}=[{shown(values)}]")
    wrong = isinstance(values, (str, bytes, type, dict)) or not isinstance(values, Iterable)
    if wrong or getattr(values, "shape", None) == ():
        advice = instead_of(values, family, in_list=True)
        raise TypeError(
            f"{name} expects a list of {kind} objects such as [{example}], "
            f"got {shown(values)}{advice}"
        )
    return [
        instance(value, name, family, example, f" at {name}[{i}]") for i, value in enumerate(values)
    ]


def generator(seed: Any, name: str = "random_state") -> np.random.Generator:
    """Return a random generator from an int, a Generator (which is returned) or None."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(checked_seed(seed, name))


def checked_seed(seed: Any, name: str = "random_state") -> int | None:
    """Return `seed` as an int >= 0, or None."""
    if seed is None:
        return None
    if not is_integer(seed):
        old = isinstance(seed, np.random.RandomState)
        fix = "numpy.random.default_rng(0)" if old else "the same int gives the same results"
        raise TypeError(
            f"{name} expects an int, a numpy Generator or None, "
            f"got {type(seed).__name__}{'; write ' if old else '; '}{fix}"
        )
    if seed < 0:
        raise ValueError(f"{name} expects an int >= 0, got {shown(seed)}; any such int will do")
    return int(seed)


def floating(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a real or complex floating type in native byte order."""
    fix = "float32 and float64 are usual"
    if not isinstance(dtype, (str, type, np.dtype)):
        raise TypeError(f"dtype expects a floating type, got {shown(dtype)}; {fix}")
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        message = f"dtype expects a floating type such as float32, got {shown(dtype)}; {fix}"
        raise TypeError(message) from error
    if found.kind not in "fc":
        raise TypeError(f"dtype expects a floating type such as float32, got {found}; {fix}")
    native: np.dtype[Any] = found.newbyteorder("=")
    return native


def refuse_hidden(values: Any, name: str, filling: str = "0") -> None:
    """Raise ValueError for a masked array with masked values, which NumPy would use.

    Parameters
    ----------
    values : object
        The value given for an array; lists are searched for masked arrays.
    name : str
        Its name in the message.
    filling : str
        What can stand for a masked value, as Python writes it.
    """
    if isinstance(values, (list, tuple)):
        for index, item in enumerate(values):
            if isinstance(item, (list, tuple)) or hasattr(item, "mask"):
                refuse_hidden(item, f"{name}[{index}]", filling)
        return
    if not hasattr(values, "mask") or not isinstance(values, np.ma.MaskedArray):
        return
    hidden = np.ma.getmaskarray(values)
    if hidden.any():
        place = np.argwhere(hidden)[0].tolist()
        raise ValueError(
            f"{name} is a masked array with a masked value at {name}{place}; remove such rows, or "
            f"fill them in with its method .filled({filling})"
        )


def as_array(values: Any, name: str) -> Array:
    """Return `values` as an array of any dtype; an array is not copied."""
    if type(values) is np.ndarray:  # the common case, without the slower checks below
        return values
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix; pass {name}.toarray()")
    refuse_hidden(values, name)
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} expects an array, got rows of different lengths or values of different "
            f"kinds ({type(values).__name__}); give all rows the same length"
        ) from error


def rows(values: Any, name: str) -> Array:
    """Return `values` as an array of any dtype with an axis of rows; an array is not copied."""
    array = as_array(values, name)
    if not array.ndim:
        raise ValueError(f"{name} expects rows, got {shown(values)}; an array of shape (n, ...)")
    return array


def numbers(values: Any, name: str, kinds: str = "biufc") -> Array:
    """Return `values` as an array of numbers of any shape; an array is not copied."""
    array = as_array(values, name)
    if array.dtype.kind not in kinds:
        real = "" if "c" in kinds else "real "
        raise TypeError(f"{name} expects {real}numbers, got {array.dtype} ({shown(values)})")
    return array


def copy_into(flat: Array, values: Any, name: str) -> None:
    """Copy `values`, which must be broadcastable to the shape of `flat`, into `flat`."""
    if type(values) is not np.ndarray or values.dtype != flat.dtype:
        values = numbers(values, name, "biuf" + flat.dtype.kind)
    if values.shape != flat.shape:
        try:
            values = np.broadcast_to(values, flat.shape)
        except ValueError:
            raise ValueError(f"{name} expects shape {flat.shape}, got {values.shape}") from None
    flat[...] = cast(values, flat.dtype, name)


def cast(values: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return numbers in a dtype; raise ValueError if it cannot hold one of them."""
    try:
        with np.errstate(over="raise"):
            return values.astype(dtype, copy=False)
    except FloatingPointError:
        raise ValueError(
            f"{name} expects numbers that {dtype} can hold, up to {np.finfo(dtype).max:.3g}, got "
            f"{np.abs(values[np.isfinite(values)]).max():.3g}; use smaller ones, or a model of "
            f"float64"
        ) from None
