"""Advice for an unknown name or a wrong object: what to write instead, from tables of habits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlpgrad._core.habits import FAMILIES
from mlpgrad._core.hooks import DIRECT


def folded(name: str) -> str:
    """Return a name in lower case without separators, in which libraries differ.

    Examples
    --------
    >>> folded("leaky_relu") == folded("LeakyReLU")
    True
    """
    return "".join(letter for letter in name if letter.isalnum()).lower()


def advice(name: str, table: dict[str, str], known: Iterable[str] = (), prefix: str = "") -> str:
    """Return what to write instead of `name`, by the table or if only case differs; or "".

    Examples
    --------
    >>> advice("Linear", {"Linear": "mg.Dense(in_features, out_features)"})
    '; write mg.Dense(in_features, out_features)'
    >>> advice("relu", {}, ["ReLU"], "mg.")
    '; write mg.ReLU'
    """
    if name in table:
        return f"; write {table[name]}"
    same = [other for other in known if folded(other) == folded(name)]
    return f"; write {prefix}{same[0]}" if same else ""


def instead_of(value: Any, family: type, *, in_list: bool = False) -> str:
    """Return what to write if a class or a text is given instead of an object of `family`.

    Parameters
    ----------
    value : object
        The given value.
    family : class
        The expected class.
    in_list : bool
        Whether a list of objects was expected.
    """
    from difflib import get_close_matches

    if isinstance(value, type) and issubclass(value, family):
        written = f"{value.__name__}(...)"
    elif isinstance(value, str):
        written = _object_called(value, family)
    else:
        return ""
    if not written:
        close = get_close_matches(value, [cls.__name__ for cls in _classes_below(family)], n=1)
        return f"; did you mean {close[0]!r}?" if close else ""
    return f"; write {f'[{written}]' if in_list else written}"


def left_out(cls: Any) -> str:
    """Return the name of a method that a base class of mlpgrad leaves to its subclasses, or ""."""
    below: list[Any] = cls.__subclasses__()
    own = cls.__module__.startswith("mlpgrad.")
    is_base = own and any(child.__module__.startswith("mlpgrad.") for child in below)
    for name in dir(cls) if is_base else ():
        if not name.startswith(DIRECT):
            method = getattr(cls, f"{DIRECT}{name}", None) or getattr(cls, name, None)
            code = getattr(method, "__code__", None)
            if code is not None and code.co_names == ("NotImplementedError",):
                return name
    return ""


def _object_called(text: str, family: type) -> str:
    """Return the code for the object of `family` that is called `text`; empty if there is none."""
    meant = folded(text)
    named = {folded(name): code for name, code in FAMILIES.get(family.__name__, {}).items()}
    if meant in named:
        return named[meant]
    for cls in _classes_below(family):
        if folded(cls.__name__) == meant:
            return f"mg.{cls.__name__}()"
    return ""


def _classes_below(family: type) -> list[type]:
    """Return every class of mlpgrad below `family`."""
    found: list[type] = []
    subclasses: list[type] = family.__subclasses__()
    for cls in subclasses:
        if cls.__module__.startswith("mlpgrad.") and not cls.__name__.startswith("_"):
            found.append(cls)
        found += _classes_below(cls)
    return found
