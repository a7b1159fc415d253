"""Assignment of options: checked by the constructor, and announced to all users."""

from __future__ import annotations

import inspect
import pickle
import threading
import weakref
from typing import Any, Protocol

import numpy as np

from mlpgrad._core.calls import is_function, is_own
from mlpgrad._core.changes import same


class Option:
    """One argument of a constructor, as a descriptor that handles every assignment.

    It does not define `__get__`, so that reading the attribute costs nothing.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __set__(self, thing: Any, value: Any) -> None:
        own, value = vars(thing), unchangeable(value)
        if self.name not in own or _is_being_made(thing):
            own[self.name] = value
        elif not same(own[self.name], value):
            thing._reassign(self.name, value)


class ArrayName:
    """The name of an array of the library's layers: assigned to a layer, it would do nothing.

    Parameters
    ----------
    place : str
        The attribute of the layer that holds the array: `params` or `state`.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        if self.name not in vars(layer):
            kind, place = type(layer).__name__, f"layer.{self.place}.{self.name}"
            raise AttributeError(f"{kind} has no attribute {self.name!r}; write {place}")
        return vars(layer)[self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        if is_own(type(layer)):
            raise AttributeError(
                f"{type(layer).__name__}.{self.name} = ... would have no effect; "
                f"write layer.{self.place}.{self.name}[...] = value"
            )
        vars(layer)[self.name] = value  # a user's class may use the name


class _Trial(threading.local):
    """Whether this thread makes an object only to run its constructor."""

    running = False


_trial = _Trial()


def _is_being_made(thing: Any) -> bool:
    """Return whether the constructor still runs, or the object is a twin."""
    own = vars(thing)
    if _trial.running or "_twin" in own:
        return True
    # not sufficient, since a class may not keep all of its arguments
    return any(name not in own for name in type(thing)._options) and _is_in_constructor(thing)


def _is_in_constructor(thing: Any) -> bool:
    """Return whether an `__init__` of this object is on the call stack."""
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        named = code.co_name == "__init__" and code.co_argcount > 0
        if named and frame.f_locals.get(code.co_varnames[0]) is thing:
            return True
        frame = frame.f_back
    return False


def equip(cls: Any) -> None:
    """Give a class an `Option` for each argument of its own constructor."""
    init = vars(cls).get("__init__")
    init = getattr(init, "__wrapped__", init)
    code = getattr(init, "__code__", None)
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount] if code else ()
    for name in names:
        found = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
        # a method or property of that name handles assignments itself
        if not hasattr(found, "__get__") or isinstance(found, ArrayName):
            setattr(cls, name, Option(name))
            cls._options = (*cls._options, name)


def unchangeable(value: Any) -> Any:
    """Return an array as a read-only copy; anything else unchanged."""
    if not isinstance(value, np.ndarray) or (value.base is None and not value.flags.writeable):
        return value
    kept = np.array(value, subok=True)
    kept.flags.writeable = False
    return kept


def made(cls: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return an object made with these options, for comparison only."""
    before, _trial.running = _trial.running, True
    try:
        return cls(**config)  # type: ignore[no-any-return]
    finally:
        _trial.running = before


def renew(thing: Any, before: Any, after: Any) -> None:
    """Update in `thing` what differs between two new objects."""
    own, old, new = vars(thing), vars(before), vars(after)
    for name, value in new.items():
        if name not in old or not _alike(old[name], value):
            own[name] = value
    for name in old.keys() - new.keys():
        own.pop(name, None)


def _alike(a: Any, b: Any) -> bool:
    """Return whether two attributes are equal, comparing objects by pickle."""
    if same(a, b):
        return True
    if type(a) is not type(b) or is_function(a):
        return False
    try:
        return pickle.dumps(a) == pickle.dumps(b)
    except Exception:  # cannot be pickled: treated as different
        return False


class Listener(Protocol):
    """An object that is notified when an option of another object is assigned."""

    def _notice(self, thing: Any) -> None: ...


class Followers:
    """The listeners of one object, kept in its attributes but not copied with it."""

    def __init__(self) -> None:
        self.first: weakref.ref[Any] | None = None
        """The listener that uses the object itself, while others use twins."""
        self._others: set[weakref.ref[Any]] = set()

    def add(self, listener: Listener) -> None:
        """Add a listener, whose `_notice(thing)` is called."""
        self._others.add(weakref.ref(listener, self._others.discard))

    def all(self) -> list[Listener]:
        """Return the listeners that still exist."""
        return [listener for ref in [*self._others] if (listener := ref()) is not None]

    def __reduce__(self) -> Any:
        return Followers, ()


class Assignments:
    """Notify listeners that an option has been assigned."""

    def __init__(self) -> None:
        self.count = 0
        """Number of assignments so far, to any objects."""
        self.lock = threading.RLock()

    def followers(self, thing: Any) -> Followers:
        """Return the listeners of an object."""
        return vars(thing).setdefault("_followers", Followers())  # type: ignore[no-any-return]

    def listen(self, thing: Any, listener: Listener) -> None:
        """Call `listener._notice(thing)` whenever an option of `thing` is assigned."""
        with self.lock:
            self.followers(thing).add(listener)

    def announce(self, thing: Any) -> None:
        """Announce that an option of `thing` has been assigned."""
        with self.lock:
            self.count += 1
            listeners = self.followers(thing).all()
        for listener in listeners:
            listener._notice(thing)


assignments = Assignments()
