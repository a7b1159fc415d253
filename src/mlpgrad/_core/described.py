"""Objects described by their constructor's arguments: `repr`, configuration, helpful errors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mlpgrad._core import options as assigned
from mlpgrad._core.advice import advice, nearest
from mlpgrad._core.calls import NotCalled, is_misfit, is_own, misfit, noun
from mlpgrad._core.documented import Documented
from mlpgrad._core.habits import ATTRIBUTES, OPTIONS
from mlpgrad._core.hooks import DIRECT, Hooked
from mlpgrad._core.synonyms import meant_by

Function = TypeVar("Function", bound=Callable[..., Any])


class Described(NotCalled, Documented, metaclass=Hooked):
    """Base class of layers, losses, optimizers ...: keeps constructor arguments as attributes.

    This rule makes possible a `repr` that can be evaluated, `config()` for saving, and an error
    that names the nearest option for a misspelled argument.

    A subclass may take `**options` and pass them on: it then also has the options of the base
    class. A subclass that uses some of them itself keeps the dict as an attribute of the same
    name.

    Later assignments of options take effect: the constructor checks the value, derived attributes
    are updated, and users of the object are notified. Arrays are copied and read-only:
    `thing.levels[0] = 0.5` raises an error. In user-defined classes this applies where
    `_options_act` is true and `_made_once` is not: the constructor of a callback, for instance, may
    open a file, or name its arguments after attributes that count.

    Examples
    --------
    >>> class Scaled(Described):
    ...     def __init__(self, scale=1.0, **options):
    ...         self.scale, self.options = scale, options
    >>> Scaled(2.0, unit="cm")
    Scaled(scale=2.0, unit='cm')
    >>> Scaled(2.0, unit="cm").config()
    {'scale': 2.0, 'unit': 'cm'}
    """

    _calls_checked = False
    _hooks: frozenset[str] = frozenset()  # methods with a checked and a direct form
    _made_by = ""  # when attributes are made that the constructor does not make
    _options_act = False
    _made_once = False  # constructors of users' classes may act, so they run only once
    _options: tuple[str, ...] = ()  # options whose assignment takes effect

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._options_act = is_own(cls) or (cls._options_act and not cls._made_once)
        if cls._options_act:
            assigned.equip(cls)

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Raise TypeError for an unknown option before `__init__` runs."""
        if args and cls.__init__ is object.__init__:  # which would ignore them
            raise misfit(cls, args, options)
        if options and not _signature(cls).takes_any:
            families = [base.__name__ for base in cls.__mro__]
            reject_unknown_options(cls.__name__, options, _signature(cls).named, families)
        return super().__new__(cls)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError, which says what to write for a name of another library."""
            if hasattr(type(self), name):  # a property, whose own error says more
                return object.__getattribute__(self, name)
            raise AttributeError(unknown(type(self), name))

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name.

        Returns
        -------
        dict
            `type(self)(**config)` makes an equal object.

        Raises
        ------
        TypeError
            If an argument was not kept as an attribute, or has no name (`*args`).
        """
        signature = _signature(type(self))
        for name in (*signature.named, *signature.own):
            if not _has(self, name):
                raise TypeError(
                    f"{type(self).__name__} expects its constructor's argument {name!r} as an "
                    f"attribute of that name, to be shown, copied and saved; in __init__ write "
                    f"self.{name} = {name}"
                )
        if vars(self).get(signature.positional):
            raise TypeError(
                f"{type(self).__name__} takes *{signature.positional}, which cannot be shown, "
                f"copied and saved by name; give each argument a name in __init__"
            )
        return {name: getattr(self, name) for name in signature.named} | self._further_options()

    def _further_options(self) -> dict[str, Any]:
        """Return what the constructors kept of their `**options`, except named arguments."""
        signature = _signature(type(self))
        kept = [vars(self).get(name) for name in signature.keywords]
        options = {k: v for each in kept if isinstance(each, dict) for k, v in each.items()}
        return {k: v for k, v in options.items() if k not in signature.named}

    def _reassign(self, name: str, value: Any) -> None:
        """Assign an option, and update all that the constructor derives from it."""
        config: dict[str, Any] = {}
        with suppress(TypeError):  # an argument was not kept, so the constructor cannot check
            known = self._options_act and name in _signature(type(self)).named
            config = self.config() if known else {}
        if name in config:
            config = self._for_trial(config)
            before = assigned.made(type(self), config)
            given = config[name] = self._for_trial({name: value})[name]
            after = assigned.made(type(self), config)
            self._check_change(name, before, after)
            assigned.renew(self, before, after)
            if vars(after).get(name) is not given:  # the constructor converts it
                value = vars(self).get(name, value)
        if name in self._options:
            vars(self)[name] = value
        self._option_changed()
        assigned.assignments.announce(self)

    def _for_trial(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return options for an object that is made only to run its constructor."""
        return config.copy()

    def _check_change(self, name: str, before: Any, after: Any) -> None:
        """Raise AttributeError if an option can no longer be changed."""

    def _option_changed(self) -> None:
        """Discard what was prepared with the earlier options."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, in a dict that no other thread changes while it is copied."""
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state as usual, and make arrays that are options read-only again."""
        self.__dict__.update(state)
        for name in type(self)._hooks:
            if name in state:  # a method that was assigned to the object
                self.__dict__[DIRECT + name] = state[name]
        for name in self._options:
            if name in state:
                self.__dict__[name] = assigned.unchangeable(state[name])

    def __repr__(self) -> str:
        try:
            config = self.config()
        except TypeError:  # an argument was not kept; the object must be shown in that error
            config = vars(self)
        shown = []
        for name, default in _signature(type(self)).named.items():
            value = config.get(name, _MISSING)
            if value is _MISSING:
                shown.append(f"{name}=...")
            elif default is _REQUIRED:
                shown.append(_show(value))
            elif type(value) is not type(default) or value != default:
                shown.append(f"{name}={_show(value)}")
        shown += [f"{name}={_show(value)}" for name, value in self._further_options().items()]
        return f"{type(self).__name__}({', '.join(shown)})"


def suggesting(function: Function) -> Function:
    """Decorate `function` so that an unknown keyword names the nearest known one."""

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        # co_varnames instead of a signature, since this runs at every call
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not (code.co_flags & inspect.CO_VARKEYWORDS or options.keys() <= set(known)):
            reject_unknown_options(function.__name__, options, dict.fromkeys(known))
        try:
            return function(*args, **options)
        except TypeError as error:
            if not is_misfit(error):
                raise
            raise misfit(function, args, options) from None

    return checked  # type: ignore[return-value]  # wraps keeps the signature


def reject_unknown_options(
    owner: str, options: dict[str, Any], known: dict[str, Any], families: Sequence[str] = ()
) -> None:
    """Raise TypeError for the first unknown option, with what to write.

    Parameters
    ----------
    owner : str
        The function or class.
    options, known : dict
        The given options, and those that there are.
    families : sequence of str
        The names of the class and its bases.
    """
    for name in options:
        if name not in known:
            habit = _found(name, OPTIONS, families or [owner]) or meant_by(name, known)
            raise TypeError(f"{owner} has no option {name!r}{habit or nearest(name, known)}")


@functools.lru_cache(maxsize=1024)  # `getattr(thing, name, None)` may be asked often
def unknown(cls: Any, name: str) -> str:
    """Return the message for an attribute that objects of this class do not have."""
    text = f"{cls.__name__} has no attribute {name!r}"
    if name.startswith("_"):
        early = getattr(cls, "_made_by", "") and not name.startswith("__")
        return f"{cls.__name__} has no {name} before {cls._made_by}" if early else text
    variable, options = noun(cls), _signature(cls).named
    found = _found(name, ATTRIBUTES, [base.__name__ for base in cls.__mro__]).format(variable)
    meant = meant_by(name, options).replace("write ", f"write {variable}.").replace("=...", "")
    names = dict.fromkeys([*options, *(each for each in dir(cls) if not each.startswith("_"))])
    return text + (found or meant or nearest(name, names))


def _found(name: str, tables: dict[str, dict[str, str]], owners: Sequence[str]) -> str:
    """Return advice from the first table of these owners that has the name, or ""."""
    return next((advice(name, tables[o]) for o in owners if name in tables.get(o, {})), "")


_REQUIRED, _MISSING = object(), object()


class _Signature(NamedTuple):
    """The arguments of a constructor, including those passed on to base classes."""

    named: dict[str, Any]
    """The default of each argument by name, in order (`_REQUIRED` if it has none)."""
    keywords: tuple[str, ...]
    """Names of the `**options` on the way."""
    own: tuple[str, ...]
    """Names of `*args` and `**options` that no base class takes and the class keeps itself."""
    positional: str
    """Name of such `*args`, or ""."""
    takes_any: bool
    """Whether only the constructor itself knows its options."""


def _has(thing: Any, name: str) -> bool:
    """Return whether an object has this attribute itself, not only its class an `Option`."""
    return not isinstance(getattr(thing, name, None), assigned.Option) and hasattr(thing, name)


@functools.cache
def _signature(cls: Any) -> _Signature:
    """Return the arguments of a class's constructor and of those that it passes options on to."""
    named: dict[str, Any] = {}
    keywords: list[str] = []
    own: dict[Any, str] = {}  # by the kind of parameter
    with_constructor = [base for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    for base in with_constructor:
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        own = {p.kind: p.name for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        for p in parameters:
            if p.kind not in own:
                named.setdefault(p.name, _REQUIRED if p.default is p.empty else p.default)
        if inspect.Parameter.VAR_KEYWORD not in own:  # otherwise they are those of the next class
            break
        keywords.append(own[inspect.Parameter.VAR_KEYWORD])
    outside = bool(with_constructor) and not is_own(with_constructor[0])
    takes_any = inspect.Parameter.VAR_KEYWORD in own or (outside and bool(keywords))
    positional = own.get(inspect.Parameter.VAR_POSITIONAL, "")
    return _Signature(named, tuple(keywords), tuple(own.values()), positional, takes_any)


def _show(value: Any) -> str:
    """Return a value as it would be typed: `np.float32(0.1)` as `0.1`, a class by its name."""
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, list) or (isinstance(value, tuple) and _holds_objects(value)):
        return f"[{', '.join(map(_show, value))}]"
    return getattr(value, "__name__", None) or repr(value)


def _holds_objects(value: tuple[Any, ...]) -> bool:
    return bool(value) and all(isinstance(item, Described) for item in value)
