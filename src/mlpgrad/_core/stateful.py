"""`Stateful`: what an object must remember for training to go on exactly where it was."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np


class Stateful:
    """Base of what changes while training: its state can be taken, kept and put back.

    A subclass names the attributes that change in `kept`; what they hold is numbers, texts, arrays,
    or lists and dicts of these. Whoever keeps something else overrides both methods.
    """

    kept: tuple[str, ...] = ()
    """Names of the attributes that `snapshot` takes."""

    def snapshot(self) -> dict[str, Any]:
        """A copy of the state: numbers, texts, arrays, and lists and dicts of these, by name."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.kept}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` has returned, in this process or in another.

        Parameters
        ----------
        snapshot : dict
            From an object that was made with the same options.

        Raises
        ------
        ValueError
            If the snapshot holds other names than this object keeps.
        """
        if set(snapshot) != set(self.kept):
            raise ValueError(
                f"{type(self).__name__}.restore expects a snapshot of {sorted(self.kept)}, "
                f"got {sorted(snapshot)}; it was taken of another class or version"
            )
        for name, value in snapshot.items():
            setattr(self, name, copy.deepcopy(value))


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of a generator, as numbers."""
    return copy.deepcopy(dict(rng.bit_generator.state))


def restore_generator(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Put a generator back; it must be of the kind that the state was taken of."""
    rng.bit_generator.state = copy.deepcopy(dict(state))
