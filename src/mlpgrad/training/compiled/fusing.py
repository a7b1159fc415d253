"""Fusion of element-wise calls into one loop, so that intermediate results stay in registers."""

from __future__ import annotations

from collections.abc import Sequence

from mlpgrad.training.compiled.operands import Operand, Operation, Place, place


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without axes of length 1."""
    return tuple(n for n in shape if n != 1)


class Group:
    """Element-wise operations in one loop over the elements."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = list(operations)
        self.shape = squeezed(operations[0].write.shape)

    def takes(self, operation: Operation) -> bool:
        """Return whether an operation may join: overlapping operands must match by element."""
        if squeezed(operation.write.shape) != self.shape:
            return False
        for before in self.operations:
            met = [(before.write, read) for read in operation.reads]
            met += [(read, operation.write) for read in (*before.reads, before.write)]
            for a, b in met:
                if a.overlaps(b) and place(a, before) != place(b, operation):
                    return False
        return True

    def exposed(self) -> list[tuple[Operand, Operation]]:
        """Return the operands read from memory, not computed in the loop, with their operations."""
        known: set[Place] = set()
        found = []
        for operation in self.operations:
            found += [
                (read, operation)
                for read in operation.reads
                if read.value is None and place(read, operation) not in known
            ]
            known.add(place(operation.write, operation))
        return found

    def split(self) -> list[Group]:
        """Split into independent parts, such as the blocks of an update."""
        for at in range(1, len(self.operations)):
            first, second = Group(self.operations[:at]), Group(self.operations[at:])
            seen = {
                place(operand, operation)
                for operation in first.operations
                for operand in (*operation.reads, operation.write)
                if operand.shape
            }
            reads = [place(r, operation) for r, operation in second.exposed() if r.shape]
            if not seen.intersection(reads):
                return [first, *second.split()]
        return [self]


Nest = Group | Operation
"""One loop nest: a group, or an operation of another kind."""


def grouped(operations: Sequence[Operation]) -> list[Nest]:
    """Group runs of element-wise operations that may share a loop; leave others by themselves."""
    nests: list[Nest] = []
    for operation in operations:
        last = nests[-1] if nests else None
        if not operation.elementwise:
            nests.append(operation)
        elif isinstance(last, Group) and last.takes(operation):
            last.operations.append(operation)
        else:
            nests.append(Group([operation]))
    parts: list[Nest] = []
    for nest in nests:
        parts += nest.split() if isinstance(nest, Group) else [nest]
    return parts


def read_from_memory(nests: Sequence[Nest]) -> list[Operand]:
    """Return all operands that a nest reads from memory; other results need not be stored."""
    found: list[Operand] = []
    for nest in nests:
        if isinstance(nest, Group):
            found += [operand for operand, _ in nest.exposed()]
        else:
            found += [r for r in (*nest.reads, nest.write) if r.value is None]
    return found
