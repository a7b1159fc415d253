"""Advice for an unknown name or a wrong object: what to write instead, from tables of habits."""

from __future__ import annotations

import functools
import opcode
import sys
from collections.abc import Callable, Iterable
from typing import Any

from mlpgrad._core.calls import APART, is_own
from mlpgrad._core.families import classes_below
from mlpgrad._core.habits import FAMILIES, NAMES
from mlpgrad._core.hooks import DIRECT

FEW = 16  # names that an error lists


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
        code = table[name]
        return f"; leave it out: {code[2:]}" if code.startswith("# ") else f"; write {code}"
    meant = folded(name)
    same = [f"{prefix}{other}" for other in known if folded(other) == meant]
    same += [code for other, code in table.items() if folded(other) == meant]
    return f"; write {same[0]}" if same else ""


def nearest(name: str, known: Any) -> str:
    """Return advice for an unknown name: the nearest of `known`, else all of them if few.

    Examples
    --------
    >>> nearest("epoch", ["epochs", "batch_size"])
    "; did you mean 'epochs'?"
    """
    import difflib

    names = [k for k in known if isinstance(k, str) and k != "self"]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(names) > FEW:
        return ""
    return f"; known: {', '.join(names)}" if names else "; it takes none"


def members(module: str, known: Iterable[str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module, which says what to write for an unknown name.

    Parameters
    ----------
    module : str
        The `__name__` of the module.
    known : iterable of str
        Its public names.
    """

    def unknown(name: str) -> Any:
        raise unknown_member(module, name, known)

    return unknown


def unknown_member(
    module: str, name: str, known: Iterable[str], elsewhere: Iterable[str] = ()
) -> Exception:
    """Return the error for a name that a module of the package does not have.

    It is to be called by the `__getattr__` of the module, whose caller it looks at.

    Parameters
    ----------
    module, name : str
        The `__name__` of the module, and what was asked for.
    known : iterable of str
        The module's public names.
    elsewhere : iterable of str
        Names that other modules have, as they are written: `mg.datasets.moons`.
    """
    if name.startswith("__"):  # Python asks for those itself
        return AttributeError(f"{module} has no {name!r}")
    family = module.rpartition(".")[2]
    prefix = f"mg.{family}." if family in APART else "mg."
    table = NAMES.get(family, NAMES["mlpgrad"])
    there = {written.rpartition(".")[2]: written for written in elsewhere}
    instead = advice(name, there | table, known, prefix) or nearest(name, known)
    message = f"{module} has no {name!r}{instead}"
    asking = sys._getframe(2)  # Python replaces an AttributeError in `from mlpgrad import name`
    imports = opcode.opname[asking.f_code.co_code[asking.f_lasti]] == "IMPORT_FROM"
    return ImportError(message, name=module) if imports else AttributeError(message)


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
        close = get_close_matches(value, [cls.__name__ for cls in classes_below(family)], n=1)
        return f"; did you mean {close[0]!r}?" if close else ""
    return f"; write {f'[{written}]' if in_list else written}"


def left_out(cls: Any) -> str:
    """Return the name of a method that a base class of mlpgrad leaves to its subclasses, or ""."""
    below: list[Any] = cls.__subclasses__()
    own = is_own(cls)
    is_base = own and any(map(is_own, below))
    return _left_to_subclasses(cls) if is_base else ""


@functools.cache  # asked for every object that is made
def _left_to_subclasses(cls: type) -> str:
    for name in dir(cls):
        if name != "__doc__" and not name.startswith(DIRECT):  # which would be written first
            method = getattr(cls, f"{DIRECT}{name}", None) or getattr(cls, name, None)
            code = getattr(method, "__code__", None)
            if code is not None and "NotImplementedError" in code.co_names:
                return name
    return ""


def _object_called(text: str, family: type) -> str:
    """Return the code for the object of `family` that is called `text`; empty if there is none."""
    meant = folded(text)
    named = {folded(name): code for name, code in FAMILIES.get(family.__name__, {}).items()}
    if meant in named:
        return named[meant]
    for cls in classes_below(family):
        if folded(cls.__name__) == meant:
            return f"mg.{cls.__name__}()"
    return ""
