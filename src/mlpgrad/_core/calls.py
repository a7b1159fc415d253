"""Calls that do not fit: objects that are not functions, missing arguments and too many of them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mlpgrad._core.documented import STARS
from mlpgrad._core.habits import ARGUMENTS, CALLED, NOUNS

APART = ("datasets", "plotting", "sklearn", "tables")
"""Modules whose names the package itself does not have: `mg.tables.OneHot`."""

PLACED = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


class NotCalled:
    """Base class of objects that other libraries call: models, layers, losses, metrics ..."""

    if not TYPE_CHECKING:

        def __call__(self, *_args: Any, **_options: Any) -> Any:
            """Raise TypeError, which says what to write."""
            for cls in type(self).__mro__:
                if cls.__name__ in CALLED:
                    what, instead = CALLED[cls.__name__]
                    raise TypeError(f"{what} is not called; write {instead}")
            raise TypeError(f"{type(self).__name__!r} object is not callable")


def is_function(value: Any) -> bool:
    """Return whether a value can be called; classes do not count, nor models, layers ..."""
    if isinstance(value, type) or not callable(value):
        return False
    return type(value).__call__ is not NotCalled.__call__


def is_own(part: Any) -> bool:
    """Return whether a class or function is the library's own; `exec` makes some without module."""
    return str(getattr(part, "__module__", None)).startswith("mlpgrad.")


def check_takes(function: Any, name: str, expected: tuple[str, ...], fix: str) -> None:
    """Raise TypeError unless a function of a user takes these arguments by position.

    Examples
    --------
    >>> check_takes(lambda steps, floor=0.0: 0.1, "rate", ("steps",), "lambda steps: ...")
    >>> check_takes(lambda epoch, rate: 0.1, "rate", ("steps",), "lambda steps: ...")
    Traceback (most recent call last):
    TypeError: rate expects a function of (steps), got one of (epoch, rate); write lambda steps: ...
    """
    if inspect.ismethod(function):
        function, expected = function.__func__, ("self", *expected)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions of C do not tell
        return
    try:
        signature.bind(*expected)
    except TypeError:
        raise TypeError(
            f"{name} expects a function of ({', '.join(expected)}), got one of "
            f"({', '.join(signature.parameters)}); write {fix}"
        ) from None


def is_misfit(error: TypeError) -> bool:
    """Return whether Python refused a call before the first line of the called function.

    Parameters
    ----------
    error : TypeError
        The error, in the `except` of the function that made the call.
    """
    at = error.__traceback__
    return at is not None and at.tb_next is None


def noun(cls: type) -> str:
    """Return the name of a variable for an object of this class, such as "model"."""
    return next((NOUNS[base.__name__] for base in cls.__mro__ if base.__name__ in NOUNS), "thing")


def misfit(function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> TypeError:
    """Return the error for missing arguments, or for too many by position.

    Parameters
    ----------
    function : callable
        A class, a function or a method, which is not bound.
    args, options
        The arguments of the call; of a method, with the object.
    """
    name, of = function.__name__, _place(function.__module__)
    signature, keys = inspect.signature(function), [name]
    if _is_method(function, args):
        if not args:
            variable = NOUNS.get(function.__qualname__.split(".")[0], "model")
            return TypeError(f"{name} is called on an object; write {variable}.{name}(...)")
        keys = [f"{cls.__name__}.{name}" for cls in type(args[0]).__mro__]
        of, args = f"{noun(type(args[0]))}.", args[1:]
        signature = signature.replace(parameters=[*signature.parameters.values()][1:])
    parameters = signature.parameters.values()
    by_place = [p.name for p in parameters if p.kind in PLACED]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in STARS]
    given = {*by_place[: len(args)], *options}
    if len(args) > len(by_place):
        wrong = f"takes {_listed(by_place)} by position, got {len(args)} values"
    elif lacking := [each for each in needed if each not in given]:
        wrong = f"needs {_listed(lacking)}"
    elif twice := [each for each in by_place[: len(args)] if each in options]:
        wrong = f"got {_listed(twice)} twice, by position and by name"
    else:
        wrong = f"has no option {_listed([each for each in options if each not in needed])}"
    instead = next((ARGUMENTS[key] for key in keys if key in ARGUMENTS), None)
    if instead is None:
        written = [each if each in by_place else f"{each}={each}" for each in needed]
        instead = f"{of}{name}({', '.join(written)})"
    return TypeError(f"{name} {wrong}; write {instead}")


def _place(module: str) -> str:
    """Return what stands in code before the name of a function or class of this module."""
    if not module.startswith("mlpgrad."):
        return ""
    family = module.split(".")[1]
    return f"mg.{family}." if family in APART else "mg."


def _is_method(function: Any, args: tuple[Any, ...]) -> bool:
    """Return whether this is a method, or a function that a class has made its method."""
    if isinstance(function, type):
        return False
    own = getattr(type(args[0]), function.__name__, None) if args else None
    taken_over = own is not None and inspect.unwrap(own) is inspect.unwrap(function)
    return taken_over or "self" in inspect.signature(function).parameters


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
