"""Attributes that are computed when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """A method whose result becomes an attribute of the object when it is first used.

    `functools.cached_property` holds a lock of the class meanwhile in Python 3.11. A process that
    is forked at that moment would wait for it forever. Here, threads that are first at the same
    time each call the method, and all take the result that was stored first.

    Parameters
    ----------
    method : callable
        The method that computes the value, without arguments.

    Examples
    --------
    >>> class Circle:
    ...     radius = 2.0
    ...
    ...     @Cached
    ...     def area(self):
    ...         return 3 * self.radius**2
    >>> circle = Circle()
    >>> circle.area, vars(circle)
    (12.0, {'area': 12.0})
    """

    def __init__(self, method: Callable[[Any], Value]) -> None:
        self.method, self.__doc__ = method, method.__doc__

    @overload
    def __get__(self, owner: None, cls: type) -> Self: ...

    @overload
    def __get__(self, owner: object, cls: type) -> Value: ...

    def __get__(self, owner: Any, cls: type) -> Any:
        if owner is None:
            return self
        return vars(owner).setdefault(self.method.__name__, self.method(owner))
