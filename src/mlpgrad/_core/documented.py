"""Complete signatures and docstrings of classes that pass `**options` on to their base."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Entry(NamedTuple):
    """What a docstring says about one or several parameters."""

    kind: str
    body: tuple[str, ...]


class Documented:
    """Base of classes whose options are written once, by the class that defines them.

    When a subclass is defined, its `**options` are replaced in its signature by the options of
    its base, and the "Parameters" of its docstring get the entries of its bases and the defaults
    of its own signature. So `help`, `inspect.signature` and Shift+Tab show every option.

    Examples
    --------
    >>> class Base(Documented):
    ...     '''A base.
    ...
    ...     Parameters
    ...     ----------
    ...     size : int
    ...         The number of things.
    ...     '''
    ...     def __init__(self, size=3): ...
    >>> class Derived(Base):
    ...     '''A derived class.'''
    ...     def __init__(self, color, **options): ...
    >>> inspect.signature(Derived)
    <Signature (color, *, size=3)>
    >>> Derived.__doc__.splitlines()[-2:]
    ['size : int, default 3', '    The number of things.']
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        init: Any = vars(cls).get("__init__")
        if isinstance(init, FunctionType):
            _complete_signature(cls, init)
        if cls.__doc__:
            cls.__doc__ = _completed_docstring(cls, cls.__doc__)


def _complete_signature(cls: type, init: Any) -> None:
    """Put the options of the next `__init__` in place of `**options`."""
    signature = inspect.signature(init)
    own = signature.parameters
    rest = [p for p in own.values() if p.kind is p.VAR_KEYWORD]
    bases = [base for base in cls.__mro__[1:-1] if "__init__" in vars(base)]
    if not rest or not bases:
        return
    passed = list(inspect.signature(vars(bases[0])["__init__"]).parameters.values())[1:]
    options = [
        p.replace(kind=p.KEYWORD_ONLY)
        for p in passed
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in own
    ]
    if any(p.kind is p.VAR_KEYWORD for p in passed):
        options += rest
    named = [p for p in own.values() if p not in rest]
    init.__signature__ = signature.replace(parameters=[*named, *options])


def _completed_docstring(cls: type, doc: str) -> str:
    """The docstring with an entry for each parameter of the constructor."""
    taken = inspect.signature(cls).parameters
    head, own, tail = split_docstring(doc)
    entries = _inherited_entries(cls) | own
    lines: list[str] = []
    names = [name for name in taken if name in entries]
    names += [name for name in own if name not in taken and not name.startswith("*")]
    for group in _neighbours(names, entries):
        defaults = [taken[name].default for name in group if name in taken]
        kind, body = entries[group[0]]
        lines += [_header(group, kind, defaults), *body]
    if not lines:
        return doc
    section = ["Parameters", "----------", *lines]
    parts = ["\n".join(part).strip("\n") for part in (head, section, tail)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _inherited_entries(cls: type) -> dict[str, Entry]:
    """Entries of all bases, the nearest first; without defaults, which may be others here."""
    found: dict[str, Entry] = {}
    for base in reversed(cls.__mro__[1:-1]):
        for name, (kind, body) in split_docstring(vars(base).get("__doc__") or "")[1].items():
            found[name] = Entry(re.sub(r", default .*", "", kind), body)
    return found


def _neighbours(names: list[str], entries: dict[str, Entry]) -> list[list[str]]:
    """The names in groups that share an entry: `beta1, beta2 : float`."""
    groups: list[list[str]] = []
    for name in names:
        if groups and entries[groups[-1][0]] == entries[name]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _header(names: list[str], kind: str, defaults: list[Any]) -> str:
    """The first line of an entry, with the defaults where it does not tell them."""
    text = f"{', '.join(names)} : {kind}" if kind else ", ".join(names)
    told = not kind or "default" in kind or "optional" in kind
    shown = [repr(value) for value in defaults if value is not inspect.Parameter.empty]
    if told or len(shown) < len(names) or any(value.startswith("<") for value in shown):
        return text
    return f"{text}, default {' and '.join(shown)}"


def split_docstring(doc: str) -> tuple[list[str], dict[str, Entry], list[str]]:
    """The lines before "Parameters" of a numpydoc docstring, its entries, the lines after it."""
    lines = inspect.cleandoc(doc).splitlines()
    titles = [i for i, below in enumerate(lines[1:]) if re.fullmatch("-{3,}", below)]
    place = next((i for i in titles if lines[i] == "Parameters"), None)
    if place is None:
        first = titles[0] if titles else len(lines)
        return lines[:first], {}, lines[first:]
    end = next((i for i in titles if i > place), len(lines))
    entries: dict[str, Entry] = {}
    starts = [i for i in range(place + 2, end) if lines[i] and not lines[i].startswith(" ")]
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        names, _, kind = lines[start].partition(" : ")
        body = "\n".join(lines[start + 1 : stop]).rstrip().split("\n")
        entry = Entry(kind, tuple(body) if body != [""] else ())
        entries |= dict.fromkeys((name.strip() for name in names.split(",")), entry)
    return lines[:place], entries, lines[end:]


def without_parameters(new: Function) -> Function:
    """Decorate a `__new__` that only looks at its arguments: it adds none to the signature."""
    first = next(iter(inspect.signature(new).parameters.values()))
    vars(new)["__signature__"] = inspect.Signature([first])
    return new
