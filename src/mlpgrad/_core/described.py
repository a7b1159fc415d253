"""Objects described by their constructor's arguments: `repr`, configuration, helpful errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from mlpgrad._core import options as assigned

Function = TypeVar("Function", bound=Callable[..., Any])


class Described:
    """Base of layers, losses, optimizers ...: keeps each constructor argument as an attribute.

    From that one rule follow a `repr` that can be pasted back, `config()` for saving, and an
    error that names the nearest option when an argument is misspelt.

    A family of which `_options_act` is true notices when an option is assigned later: its
    constructor checks the value, what it derives from it follows, and whoever uses the object is
    told. Arrays are copied and read-only: `thing.levels[0] = 0.5` raises an error.
    """

    _options_act = False
    _options: tuple[str, ...] = ()  # those whose assignment is noticed

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls._options_act:
            assigned.equip(cls)

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
            if not _has(self, name):
                raise TypeError(
                    f"{cls.__name__} expects its constructor's argument {name!r} as an attribute "
                    f"of that name, to be shown, copied and saved; in __init__ write "
                    f"self.{name} = {name}"
                )
        return {name: getattr(self, name) for name in _parameters(cls)}

    def _reassign(self, name: str, value: Any) -> None:
        """Give an option another value, with all that the constructor derives from it."""
        config = self.config() if name in _parameters(type(self)) else {}
        if name in config:
            config = self._for_trial(config)
            before = assigned.made(type(self), config)
            given = config[name] = self._for_trial({name: value})[name]
            after = assigned.made(type(self), config)
            self._check_change(name, before, after)
            assigned.renew(self, before, after)
            if vars(after).get(name) is not given:  # the constructor keeps it in another form
                value = vars(self).get(name, value)
        if name in self._options:
            vars(self)[name] = value
        self._option_changed()
        assigned.assignments.announce(self)

    def _for_trial(self, config: dict[str, Any]) -> dict[str, Any]:
        """Options for an object that is made only to see what its constructor does."""
        return config.copy()

    def _check_change(self, name: str, before: Any, after: Any) -> None:
        """Raise AttributeError if an option cannot be changed any more."""

    def _option_changed(self) -> None:
        """Forget what was prepared with the options as they were."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As `copy` and `pickle` do, with arrays that are options read-only as before."""
        self.__dict__.update(state)
        for name in self._options:
            if name in state:
                self.__dict__[name] = assigned.unchangeable(state[name])

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
    """Raise TypeError for the first of `options` that is not `known`, with the nearest name."""
    for name in options:
        if name not in known:
            raise TypeError(f"{owner} has no option {name!r}{nearest(name, known)}")


def nearest(name: str, known: Any) -> str:
    """Advice for an unknown name: the nearest of `known`, else all of them.

    Examples
    --------
    >>> nearest("epoch", ["epochs", "batch_size"])
    "; did you mean 'epochs'?"
    """
    import difflib

    names = [k for k in known if k != "self"]
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if names else "; it takes none"


_REQUIRED, _MISSING = object(), object()


def _has(thing: Any, name: str) -> bool:
    """Whether an object has an attribute of this name, not only its class an `Option`."""
    return not isinstance(getattr(thing, name, None), assigned.Option) and hasattr(thing, name)


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
    if isinstance(value, list) or (isinstance(value, tuple) and _holds_objects(value)):
        return f"[{', '.join(map(_show, value))}]"
    return getattr(value, "__name__", None) or repr(value)


def _holds_objects(value: tuple[Any, ...]) -> bool:
    return bool(value) and all(isinstance(item, Described) for item in value)
