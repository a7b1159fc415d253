"""Losses and penalties that several networks share: each network computes with its own copy."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from typing import Any

from mlpgrad._core.changes import Watched
from mlpgrad._core.options import Listener, assignments
from mlpgrad.losses.base import Loss


class Own:
    """The objects that a network computes with: those given, or twins if other networks use them.

    A loss keeps buffers, so that two networks in two threads cannot both compute with it. A twin
    follows every change of the original object.

    Parameters
    ----------
    network : Listener
        Its `_notice` is called when an option of one of the objects is assigned.
    """

    def __init__(self, network: Listener) -> None:
        self._network = weakref.ref(network)
        self._shared: list[Any] = []
        self._watched = Watched(())

    def made(self, things: Sequence[Any]) -> list[Any]:
        """Return the object to compute with for each of these."""
        network = self._network()
        assert network is not None
        for thing in things:
            assignments.listen(thing, network)
        mine = [_is_first(thing, network) for thing in things]
        self._shared = [thing for thing, first in zip(things, mine, strict=True) if not first]
        self._watched = Watched(self._shared)
        return [
            thing if first else thing.reader() if isinstance(thing, Loss) else _twin(thing)
            for thing, first in zip(things, mine, strict=True)
        ]

    def changed(self) -> bool:
        """Return whether the originals of the twins have changed."""
        return bool(self._shared) and self._watched.changed(self._shared)


def _is_first(thing: Any, network: Listener) -> bool:
    """Return whether no other network computes with this object."""
    with assignments.lock:
        followers = assignments.followers(thing)
        user = None if followers.first is None else followers.first()
        if user is None:
            followers.first = weakref.ref(network)
    return user is None or user is network


def _twin(penalty: Any) -> Any:
    """Return another object with the same attributes."""
    twin = copy.copy(penalty)
    vars(twin).pop("_followers", None)
    return twin
