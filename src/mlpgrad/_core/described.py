"""Objects described by their constructor's arguments: `repr`, configuration, helpful errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from mlpgrad._core.advice import advice
from mlpgrad._core.habits import OPTIONS
from mlpgrad._core.synonyms import meant_by

Function = TypeVar("Function", bound=Callable[..., Any])
FEW = 16  # names that an error lists


class Described:
    """Base of layers, losses, optimizers ...: keeps each constructor argument as an attribute.

    From that one rule follow a `repr` that can be pasted back, `config()` for saving, and an
    error that names the nearest option when an argument is misspelt.
    """

    def __new__(cls, *_args: Any, **options: Any) -> Any:
        """Refuse unknown options before `__init__` runs."""
        if options:
            reject_unknown_options(cls.__name__, options, _parameters(cls))
        return super().__new__(cls)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name.

        Returns
        -------
        dict
            `type(self)(**config)` makes an equal object.
        """
        cls = type(self)
        for name in _parameters(cls):
            if not hasattr(self, name):
                raise TypeError(
                    f"{cls.__name__} expects its constructor's argument {name!r} as an attribute "
                    f"of that name, to be shown, copied and saved; in __init__ write "
                    f"self.{name} = {name}"
                )
        return {name: getattr(self, name) for name in _parameters(cls)}

    def __repr__(self) -> str:
        try:
            config = self.config()
        except TypeError:  # an argument was not kept: still to be shown, as in that very error
            config = vars(self)
        shown = []
        for name, default in _parameters(type(self)).items():
            value = config.get(name, _MISSING)
            if value is _MISSING:
                shown.append(f"{name}=...")
            elif default is _REQUIRED:
                shown.append(_show(value))
            elif type(value) is not type(default) or value != default:
                shown.append(f"{name}={_show(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def suggesting(function: Function) -> Function:
    """Decorate `function` so that an unknown keyword names the nearest known one."""

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        # co_varnames instead of a signature: this runs at every call
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not options.keys() <= set(known):
            reject_unknown_options(function.__name__, options, dict.fromkeys(known))
        return function(*args, **options)

    return checked  # type: ignore[return-value]  # wraps keeps the signature


def reject_unknown_options(owner: str, options: dict[str, Any], known: dict[str, Any]) -> None:
    """Raise TypeError for the first of `options` that is not `known`, with what to write."""
    for name in options:
        if name not in known:
            habit = advice(name, OPTIONS.get(owner, {})) or meant_by(name, known)
            raise TypeError(f"{owner} has no option {name!r}{habit or nearest(name, known)}")


def nearest(name: str, known: Any) -> str:
    """Advice for an unknown name: the nearest of `known`, else all of them where they are few.

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


_REQUIRED, _MISSING = object(), object()


def _parameters(cls: Any) -> dict[str, Any]:
    return _read_parameters(cls)


@functools.cache
def _read_parameters(cls: Any) -> dict[str, Any]:
    """Each constructor argument's default, by name, in order (`_REQUIRED` where it has none)."""
    import inspect

    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
        for p in named:
            found.setdefault(p.name, _REQUIRED if p.default is p.empty else p.default)
        if named == parameters:  # else **options of this class are those of the next
            break
    return found


def _show(value: Any) -> str:
    """A value as a person would type it: `np.float32(0.1)` as `0.1`, a class by its name."""
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    return getattr(value, "__name__", None) or repr(value)
