"""Methods that subclasses implement: checked where users call them, direct in the inner loops.

`layer.apply(z, out)` raises a clear error for arguments that do not fit. `layer._direct_apply` is
the same method without the Python call that this takes; the library's own loops call that one.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import reprlib
import types
from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mlpgrad._core.calls import is_misfit, is_own, misfit
from mlpgrad._core.documented import split_docstring

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
STANDARD = os.path.dirname(os.__file__) + os.sep
LIBRARIES = tuple(f"{os.sep}{name}{os.sep}" for name in ("numpy", "scipy", "pandas"))
AS_THEY_ARE = (Warning, FloatingPointError, MemoryError, RecursionError)
DIRECT = "_direct_"


class Hooked(ABCMeta):
    # The class of classes with hooks: the public methods of the library's classes that set
    # `_calls_checked`, and what overrides them. It makes both forms of each, again when a method is
    # assigned to the class. It is an ABCMeta, so that a class of the user may also inherit from an
    # abstract class; `isinstance` costs no Python call.

    __doc__ = vars(type)["__doc__"]  # as without a metaclass: `help` shows completed docstrings
    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__
    _calls_checked: bool
    _hooks: frozenset[str]

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any
    ) -> None:
        super().__init__(name, bases, namespace)
        hooks = set(cls._hooks)
        for base in cls.__mro__ if cls._calls_checked else ():
            if is_own(base):
                hooks |= {name for name, value in vars(base).items() if _is_public(name, value)}
        type.__setattr__(cls, "_hooks", frozenset(hooks))
        for hook in hooks:
            cls._equip(hook)

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **options: Any) -> Any:
            """Make an object; the error for arguments that do not fit says what to write."""
            try:
                return super().__call__(*args, **options)
            except TypeError as error:
                if not is_misfit(error):
                    raise
                raise misfit(cls, args, options) from None

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in cls._hooks:
            cls._equip(name)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        if name in cls._hooks:
            type.__delattr__(cls, DIRECT + name)
            cls._equip(name)

    def _equip(cls, name: str) -> None:
        """Make the two forms of a hook, unless a base class has made them."""
        found = _first(cls, name)
        method = found.direct if isinstance(found, Hook) else found
        if isinstance(found, types.FunctionType):
            method = vars(found).get(DIRECT, found)  # perhaps the checked form of another class
            type.__setattr__(cls, name, Hook(name, method))
        if getattr(cls, DIRECT + name, None) is not method:
            type.__setattr__(cls, DIRECT + name, method)


def _is_public(name: str, value: Any) -> bool:
    return isinstance(value, types.FunctionType) and not name.startswith("_")


class Hook:
    """A method with a checked form, for users, and a direct form, for the library's loops."""

    def __init__(self, name: str, direct: Callable[..., Any]) -> None:
        self.name, self.direct = name, direct
        # errors of users reach them as they are
        self.checked = checked(direct) if is_own(direct) else direct

    def __get__(self, thing: Any, owner: Any = None) -> Any:
        if thing is None:
            return self.checked
        if self.name in vars(thing) and _first(type(thing), self.name) is self:
            return vars(thing)[self.name]  # assigned to the object; `super()` asks for others
        return types.MethodType(self.checked, thing)

    def __set__(self, thing: Any, method: Any) -> None:
        assign(thing, self.name, method)

    def __delete__(self, thing: Any) -> None:
        if self.name not in vars(thing):
            raise AttributeError(f"{type(thing).__name__!r} object has no own {self.name!r}")
        del vars(thing)[self.name], vars(thing)[DIRECT + self.name]


def assign(thing: Any, name: str, method: Callable[..., Any]) -> None:
    """Use another method for this object, in the loops, too."""
    vars(thing)[name] = vars(thing)[DIRECT + name] = method


@contextlib.contextmanager
def replaced(thing: Any, **methods: Callable[..., Any]) -> Iterator[None]:
    """Use other methods for this object within `with`; afterwards those that it had."""
    own = vars(thing)
    before = {name: own[name] for name in methods if name in own}
    for name, method in methods.items():
        assign(thing, name, method)
    try:
        yield
    finally:
        for name in methods:
            del own[name], own[DIRECT + name]
        for name, method in before.items():
            assign(thing, name, method)


def _first(cls: type, name: str) -> Any:
    return next(vars(base)[name] for base in cls.__mro__ if name in vars(base))


def checked(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that raises an error of the library for arguments that do not fit."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except AS_THEY_ARE:
            raise
        except Exception as error:
            if isinstance(error, TypeError) and is_misfit(error):
                raise misfit(method, (self, *args), options) from None
            if not _is_raw(error):
                raise
            raise _unfit(self, method, args, options, error) from error

    vars(call)[DIRECT] = method
    return call


def _is_raw(error: Exception) -> bool:
    """Return whether a line of the library has met an error of NumPy or Python.

    An error that a line of the library raises says what to do, and one that arises in a function
    of the user belongs to the user.
    """
    import dis

    at, codes = error.__traceback__, []
    while at is not None:
        codes.append((at.tb_frame.f_code, at.tb_lasti))
        at = at.tb_next
    inside = [c for c in codes if not _is_of_library(c[0].co_filename)]
    code, instruction = inside[-1]
    if not code.co_filename.startswith(PACKAGE):
        return False
    raises = dis.opname[code.co_code[instruction]] in ("RAISE_VARARGS", "RERAISE")
    return inside[-1] != codes[-1] or not raises


def _is_of_library(file: str) -> bool:
    """Return whether a file belongs to Python or to a library that mlpgrad calls."""
    if file.startswith(PACKAGE):
        return False
    standard = file.startswith(STANDARD) and "site-packages" not in file
    return standard or any(part in file for part in LIBRARIES)


def _unfit(
    thing: Any, method: Any, args: tuple[Any, ...], options: dict[str, Any], error: Exception
) -> Exception:
    """Return the error for arguments with which a method cannot work."""
    name, cls = method.__name__, type(thing).__name__
    names = [p for p in inspect.signature(method).parameters if p != "self"]
    given = {**dict(zip(names, args, strict=False)), **options}
    got = ", ".join(f"{key}: {_shown(value)}" for key, value in given.items()) or "nothing"
    kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
    return kind(
        f"{cls}.{name} expects {_expected(type(thing), name, names)}, with floating numbers such "
        f"as float64 in arrays; got {got}; compare shapes and dtypes ({error})"
    )


def _expected(cls: type, name: str, names: list[str]) -> str:
    """Return what the documentation says about each parameter of a method."""
    documented: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        doc = getattr(vars(base).get(name), "direct", None).__doc__ if name in vars(base) else None
        entries = split_docstring(doc or "")[1]
        documented |= {key.strip("*"): entry.kind for key, entry in entries.items()}
    return ", ".join(f"{key}: {documented.get(key) or 'a value'}" for key in names)


def _shown(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return reprlib.repr(value) if dtype is None else f"an array of shape {shape} of {dtype}"
