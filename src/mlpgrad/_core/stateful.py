"""`Stateful`: the state of objects that is needed to continue training exactly."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


class Stateful:
    """Base class of objects that change during training and whose state can be saved.

    A subclass lists the attributes that change in `kept`; they hold numbers, strings, arrays, or
    lists and dicts of these. A class with other state overrides both methods.
    """

    kept: tuple[str, ...] = ()
    """Names of the attributes that `snapshot` takes."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state: numbers, strings, arrays, lists and dicts, by name."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.kept}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the result of `snapshot`, in this process or in another.

        Parameters
        ----------
        snapshot : dict
            A snapshot of an object that was made with the same options.

        Raises
        ------
        ValueError
            If the snapshot holds other names than this object keeps.
        TypeError
            If it is not a dict.
        """
        check_snapshot(self, snapshot, self.kept)
        for name, value in snapshot.items():
            setattr(self, name, copy.deepcopy(value))


def check_snapshot(
    owner: object, snapshot: Any, kept: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Raise an error unless a snapshot is a dict of what its owner keeps.

    Raises
    ------
    ValueError
        If it holds other names than `kept`, of which it may lack the `optional` ones.
    TypeError
        If it is not a dict.
    """
    check_is_dict(owner, snapshot)
    if set(kept) - set(optional) != set(snapshot) - set(optional):
        raise ValueError(
            f"{type(owner).__name__}.restore expects a snapshot of {sorted(kept)}, "
            f"got {sorted(map(str, snapshot))}; it was taken of another class or version"
        )


def check_is_dict(owner: object, snapshot: Any) -> None:
    """Raise TypeError unless a snapshot is a dict."""
    if not isinstance(snapshot, Mapping):
        raise TypeError(
            f"{type(owner).__name__}.restore expects the dict that snapshot() returned, "
            f"got {type(snapshot).__name__}"
        )


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as numbers."""
    return copy.deepcopy(dict(rng.bit_generator.state))


def restore_generator(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Restore a generator, which must be of the same kind as in the snapshot."""
    rng.bit_generator.state = copy.deepcopy(dict(state))
