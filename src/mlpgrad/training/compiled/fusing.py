"""Fusion of element-wise calls into one loop, so that intermediate results stay in registers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mlpgrad.training.compiled.operands import Operand, Operation, Place


class Group:
    """Operations in one loop: element-wise ones, or a single one of another kind.

    Attributes
    ----------
    shape : tuple of int
        The lengths of the loop's axes, without those of length 1.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = list(operations)
        self.shape = tuple(n for n in operations[0].write.shape if n != 1)
        self.elementwise = operations[0].elementwise

    def takes(self, operation: Operation) -> bool:
        """Return whether an operation may join: overlapping operands must match by element."""
        own, other = self.elementwise, operation.elementwise
        if not (own and other and Group([operation]).shape == self.shape):
            return False
        for before in self.operations:
            met = [(before.write, read) for read in operation.reads]
            met += [(read, operation.write) for read in (*before.reads, before.write)]
            for a, b in met:
                if a.overlaps(b) and before.place(a) != operation.place(b):
                    return False
        return True

    def exposed(self) -> Iterator[tuple[Operand, Place]]:
        """Yield the operands that are read from memory, not computed in the loop."""
        known: set[Place] = set()
        for operation in self.operations:
            for read in operation.reads:
                if read.value is None and (key := operation.place(read)) not in known:
                    yield read, key
            known.add(operation.place(operation.write))

    def continued_by(self, other: Group, roots: set[int | str]) -> bool:
        """Return whether another group does the same with the parts of arrays that follow.

        Only buffers in `roots` are read from memory; others may be the same part.
        """

        def fits(a: Operand, b: Operand) -> bool:
            if a.shape == self.shape and a.root in roots:
                return a.followed_by(b)
            same = a._replace(shape=b.shape, end=b.end) == b
            return same and (a.shape == self.shape or math.prod(a.shape) == 1)

        kinds = [[one.kind for one in group.operations] for group in (self, other)]
        return (
            kinds[0] == kinds[1]
            and len(self.shape) == 1
            and all(fits(*pair) for pair in _pairs(self.operations, other.operations))
        )


def _pairs(
    some: Sequence[Operation], others: Sequence[Operation]
) -> Iterator[tuple[Operand, Operand]]:
    """Yield the operands of operations with those of others."""
    for one, other in zip(some, others, strict=True):
        yield from zip(one.reads, other.reads, strict=True)
        yield one.write, other.write


def grouped(operations: Sequence[Operation]) -> list[Group]:
    """Group runs of element-wise operations that may share a loop; leave others by themselves.

    An operation that does the same as the first one with the parts that follow begins a new loop.
    """
    groups: list[Group] = []
    for operation in operations:
        first = groups[-1].operations[0] if groups else operation
        again = first.kind == operation.kind and any(
            a.value is None and a.followed_by(b) for a, b in _pairs([first], [operation])
        )
        if groups and not again and groups[-1].takes(operation):
            groups[-1].operations.append(operation)
        else:
            groups.append(Group([operation]))
    return groups


def joined(groups: Sequence[Group], roots: set[int | str]) -> list[Group]:
    """Join groups that continue one another, such as the blocks of an update.

    `roots` are the buffers that are read from memory.
    """
    runs: list[list[Group]] = []
    for group in groups:
        if runs and runs[-1][-1].continued_by(group, roots):
            runs[-1].append(group)
        else:
            runs.append([group])
    return [group for run in runs for group in _whole(run)]


def _whole(run: list[Group]) -> list[Group]:
    """Return a run as one group, unless its parts overlap others."""
    if len(run) == 1:
        return run
    first, last = run[0], run[-1]
    length = (sum(group.shape[0] for group in run),)

    def longer(a: Operand, b: Operand) -> Operand:
        return a._replace(shape=length, end=b.end) if a.shape == first.shape else a

    operands = iter([longer(*pair) for pair in _pairs(first.operations, last.operations)])
    operations = [
        one._replace(reads=tuple(next(operands) for _ in one.reads), write=next(operands))
        for one in first.operations
    ]
    whole = Group(operations)
    return [whole] if all(map(whole.takes, operations)) else run


def read_from_memory(groups: Sequence[Group]) -> list[Operand]:
    """Return all operands that a group reads from memory; other results need not be stored."""
    found: list[Operand] = []
    for group in groups:
        first = group.operations[0]
        whole = [] if group.elementwise else [*first.reads, first.write]
        found += whole or [operand for operand, _ in group.exposed()]
    return found
