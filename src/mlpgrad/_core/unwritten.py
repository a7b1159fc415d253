"""The message about a method that a subclass of a user lacks."""

from __future__ import annotations

from typing import Any

from mlpgrad._core.calls import is_own


def unwritten(part: Any, method: str) -> str:
    """Return what to write in the class of an object that lacks a method of its base class.

    Examples
    --------
    >>> class Described:
    ...     def value(self, x):
    ...         raise NotImplementedError(unwritten(self, "value"))
    >>> unwritten(Described(), "value")
    'Described expects a method value(self, x), which its class lacks; write it there'
    """
    import inspect  # only an error needs it

    cls = type(part)
    ours = list(filter(is_own, cls.__mro__))
    taken = inspect.signature(getattr(cls, method)).parameters.values()
    names = ["*" * (p.kind is p.VAR_POSITIONAL) + p.name for p in taken if p.name != "_"]
    shown = f"; help(mg.{ours[0].__name__}) has an example" if ours and ours[0] is not cls else ""
    return (
        f"{cls.__name__} expects a method {method}({', '.join(names)}), which its class lacks; "
        f"write it there{shown}"
    )
