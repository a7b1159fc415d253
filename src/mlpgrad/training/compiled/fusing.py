"""Fusion of element-wise calls into one loop, so that intermediate results stay in registers."""

from __future__ import annotations

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

    def exposed(self) -> Iterator[Operand]:
        """Yield what is read from memory, not computed in the loop."""
        known: set[Place] = set()
        for operation in self.operations:
            for read in operation.reads:
                if not (self.elementwise and operation.place(read) in known):
                    yield read
            known.add(operation.place(operation.write))


def grouped(operations: Sequence[Operation]) -> list[Group]:
    """Group runs of element-wise operations that may share a loop; leave others by themselves."""
    groups: list[Group] = []
    for operation in operations:
        if groups and groups[-1].takes(operation):
            groups[-1].operations.append(operation)
        else:
            groups.append(Group([operation]))
    return groups
