"""Complete signatures and docstrings of classes that pass `**options` on to their base."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class Entry(NamedTuple):
    """The docstring entry of one or several parameters."""

    kind: str
    body: tuple[str, ...]


class _ConstructorSignature:
    """The signature of a class, computed on access."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if instance is not None:  # a callable object has the signature of its call
            raise AttributeError("__signature__")
        return constructor_signature(owner)


class _Docstring:
    """The docstring of a class, completed on access."""

    def __init__(self, own: str) -> None:
        self.own = own

    def __get__(self, instance: object, owner: type) -> str:
        return completed_docstring(owner, self.own)


class Documented:
    """Base of classes whose options are documented once, by the class that defines them.

    If a subclass passes `**options` on to its base, its signature contains the options of the base
    instead, and the "Parameters" of its docstring contain the entries of the base, with the
    defaults of the subclass. `help`, `inspect.signature` and Shift+Tab thus show every option.

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

    __signature__ = _ConstructorSignature()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own: Any = cls.__doc__
        if own:
            own = _Docstring(own)
            cls.__doc__ = own


def constructor_signature(cls: type) -> inspect.Signature:
    """Return the signature of a class, with the options that it passes on to its bases."""
    taken: dict[str, inspect.Parameter] = {}
    rest: list[inspect.Parameter] = []
    constructors = [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    for init in constructors:
        parameters = list(inspect.signature(init).parameters.values())[1:]
        rest = [p for p in parameters if p.kind is p.VAR_KEYWORD]
        for p in parameters:
            if init is constructors[0] and p not in rest:
                taken[p.name] = p
            elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                taken.setdefault(p.name, p.replace(kind=p.KEYWORD_ONLY))
        if not rest:  # otherwise they are the options of the next class
            break
    return inspect.Signature([*taken.values(), *rest])


def completed_docstring(cls: type, doc: str) -> str:
    """Return the docstring with an entry for each parameter of the constructor."""
    parameters = constructor_signature(cls).parameters.values()
    taken = {STARS.get(p.kind, "") + p.name: p for p in parameters}
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
    """Return entries of all bases, the nearest first, without defaults, which may differ."""
    found: dict[str, Entry] = {}
    for base in reversed(cls.__mro__[1:-1]):
        for name, (kind, body) in split_docstring(base.__doc__ or "")[1].items():
            found[name] = Entry(re.sub(r", default .*", "", kind), body)
    return found


def _neighbours(names: list[str], entries: dict[str, Entry]) -> list[list[str]]:
    """Return the names in groups that share an entry: `beta1, beta2 : float`."""
    groups: list[list[str]] = []
    for name in names:
        if groups and entries[groups[-1][0]] == entries[name]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _header(names: list[str], kind: str, defaults: list[Any]) -> str:
    """Return the first line of an entry, with the defaults if they are not stated."""
    text = f"{', '.join(names)} : {kind}" if kind else ", ".join(names)
    told = not kind or "default" in kind or "optional" in kind
    shown = [repr(value) for value in defaults if value is not inspect.Parameter.empty]
    if told or len(shown) < len(names) or any(value.startswith("<") for value in shown):
        return text
    return f"{text}, default {' and '.join(shown)}"


def split_docstring(doc: str) -> tuple[list[str], dict[str, Entry], list[str]]:
    """Split a numpydoc docstring into the lines before "Parameters", entries, and lines after."""
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
