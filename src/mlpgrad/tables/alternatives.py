"""Different encodings of a column for the members of one ensemble, and an encoder with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.columns import Column
from mlpgrad.tables.encoder import TableEncoder
from mlpgrad.tables.numeric import Standard
from mlpgrad.tables.plan import Planned


class Alternatives(ColumnEncoding):
    """One of several encodings of numbers for each member of an ensemble; it cannot be learned.

    `joined` makes it. The state of a member is that of its own encoding, with the place of that
    encoding in the list, `which`.

    Parameters
    ----------
    encodings : sequence of ColumnEncoding
        Encodings of numbers, at least one.
    """

    def __init__(self, encodings: Sequence[ColumnEncoding]) -> None:
        known = isinstance(encodings, Sequence) and not isinstance(encodings, str)
        if not known or not encodings or not all(map(_of_numbers, encodings)):
            raise TypeError(
                f"Alternatives expects a list of encodings of numbers such as [Standard(), "
                f"QuantileBins()], got {arguments.shown(encodings)}"
            )
        self.encodings = tuple(encodings)

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        raise TypeError(
            f"column {column.name!r} has another encoding for each of several members, which "
            f"cannot be learned again; make a new TableEncoder"
        )

    def names(self, state: State) -> list[str]:
        return self.encodings[state["which"]].names(state)

    def write(self, column: Column, state: State, out: Array) -> None:
        self.encodings[state["which"]].write(column, state, out)

    def is_sound(self, state: State) -> bool:
        which = state["which"]
        known = type(which) is int and 0 <= which < len(self.encodings)
        return known and self.encodings[which].is_sound(state)

    def of_members(self, states: list[State]) -> tuple[ColumnEncoding, list[State]]:
        """Return the encoding itself if the members have the same one."""
        which = {state["which"] for state in states}
        if len(which) > 1:
            return self, states
        own = [{name: v for name, v in state.items() if name != "which"} for state in states]
        return self.encodings[which.pop()], own

    def most_features(self, column: Column) -> int:
        """Return the maximum number of features over the encodings."""
        return max(encoding.most_features(column) for encoding in self.encodings)

    @classmethod
    def example(cls) -> Self:
        return cls([Standard()])


def _of_numbers(encoding: Any) -> bool:
    of_numbers = isinstance(encoding, ColumnEncoding) and encoding.of_numbers
    return of_numbers and not isinstance(encoding, Alternatives)


class Joined(NamedTuple):
    """The encoder of an ensemble with the members of several ensembles."""

    encoder: TableEncoder
    places: list[Array]
    """For each of the ensembles, the places of its features among those of `encoder`."""


def joined(encoders: Sequence[TableEncoder], members: Sequence[int]) -> Joined:
    """Join encoders of ensembles whose members follow one another in a single ensemble.

    Parameters
    ----------
    encoders : sequence of TableEncoder
        Encoders of the same table that differ in the encoding of numbers only.
    members : sequence of int
        The number of members of each ensemble.
    """
    kept = [encoder.snapshot() for encoder in encoders]
    plan: list[list[Any]] = []
    states: list[list[State]] = []
    starts = [0]
    for number in range(len(kept[0]["plan"])):
        columns = [Planned(*one["plan"][number]) for one in kept]
        encoding, learnt = columns[0].encoding, kept[0]["states"][number]
        if encoding is not None and encoding.of_numbers:
            encoding = Alternatives([column.encoding for column in columns if column.encoding])
            learnt = [
                state
                for which, (one, size) in enumerate(zip(kept, members, strict=True))
                for state in _of_each(one["states"][number], which, size)
            ]
        width = max(column.width for column in columns)
        plan.append(list(columns[0]._replace(encoding=encoding, width=width)))
        states.append(learnt)
        starts.append(starts[-1] + width)
    first = encoders[0]
    numeric = Alternatives([encoder.numeric for encoder in encoders])
    encoder = TableEncoder(numeric, first.categories, columns=first.columns, missing=first.missing)
    several = any(len(each) > 1 for each in states)
    encoder.restore({"plan": plan, "states": states, "members": sum(members) if several else None})
    widths = [[Planned(*column).width for column in one["plan"]] for one in kept]
    places = [
        np.concatenate([start + np.arange(n) for start, n in zip(starts, each, strict=False)])
        for each in widths
    ]
    return Joined(encoder, places)


def _of_each(states: Sequence[State], which: int, members: int) -> list[State]:
    """Return the state of each member of one ensemble, of which there may be one for all."""
    found: list[State] = [{"which": which, **state} for state in states]
    return found * members if len(found) == 1 else found
