"""Bounds on norms: of a gradient, and of each column of a weight matrix."""

from __future__ import annotations

import math

from mlpgrad.training.compiled.functions import Functions
from mlpgrad.training.compiled.operands import NotCoveredError, Operation
from mlpgrad.training.compiled.writing import SIZES, Code, Index, Values, lanes_for, vector_of

FAR = 2.0**-600
"""Numbers whose squares overflow are scaled by this; float32 squares do not overflow in float64."""


class Norms:
    """Write the code of `clip_norm` and `max_norm`."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def clip_norm(self, operation: Operation) -> None:
        """Write g min(1, bound / |g|); the norm is taken in float64."""
        code, g, out = self.code, operation.reads[0], operation.write
        kind, size, count = g.kind, SIZES[g.kind], math.prod(g.shape)
        lanes = min(code.width // 8, lanes_for(count))
        source, target = code.pointer(g.root, g.offset), code.pointer(out.root, out.offset)
        wide = Functions(code, "f8", lanes)

        def read(start: Index, used: int) -> str:
            at = code.pointer(source, 0, [(start, size)])
            return code.load(at, kind, lanes, used, size)

        def squares(start: Index, used: int, sums: Values) -> Values:
            x = self._widened(read(start, used), kind, lanes)
            far = wide.multiply(x, wide.number(FAR))
            return [wide.fma(x, x, sums[0]), wide.fma(far, far, sums[1])]

        def scaled(start: Index, used: int, factor: str) -> None:
            y = Functions(code, kind, lanes).multiply(read(start, used), factor)
            at = code.pointer(target, 0, [(start, size)])
            code.store(at, y, kind, lanes, used, size)

        whole, rest = divmod(count, lanes)
        sums: Values = [wide.number(0.0)] * 2
        if whole:
            start = [(wide.type, value) for value in sums]
            sums = code.loop(whole, lambda i, s: squares(code.times(i, lanes), lanes, s), start)
        if rest:
            sums = squares(whole * lanes, rest, sums)
        factor = self._factor(sums, operation.option, kind, lanes)
        if whole:
            code.loop(whole, lambda i, _: scaled(code.times(i, lanes), lanes, factor))
        if rest:
            scaled(whole * lanes, rest, factor)

    def _widened(self, x: str, kind: str, lanes: int) -> str:
        """Return the same numbers in float64."""
        if kind == "f8":
            return x
        types = vector_of(kind, lanes), vector_of("f8", lanes)
        return self.code.op(f"fpext {types[0]} {x} to {types[1]}")

    def _factor(self, sums: Values, bound: float, kind: str, lanes: int) -> str:
        """Return bound / max(norm, bound) in all lanes, from vectors of partial sums of squares."""
        code, wide = self.code, Functions(self.code, "f8", lanes)
        name = f"llvm.vector.reduce.fadd.v{lanes}f64"
        near, far = (
            code.splat(
                code.call(name, "double", "double 0.0", f"{wide.type} {s}", flags="reassoc nsz "),
                "f8",
                lanes,
            )
            for s in sums
        )
        large = wide.multiply(wide.sqrt(far), wide.number(1 / FAR))
        norm = wide.select(wide.compare("olt", near, wide.number(math.inf)), wide.sqrt(near), large)
        factor = wide.divide(wide.number(bound), wide.maximum(norm, wide.number(bound)))
        if kind == "f8":
            return factor
        return code.op(f"fptrunc {wide.type} {factor} to {vector_of(kind, lanes)}")

    def bound_columns(self, operation: Operation) -> None:
        """Write w_j <- w_j min(1, bound / |w_j|) for each column of weights (in, out)."""
        w = operation.write
        size, columns = SIZES[w.kind], w.shape[1]
        if w.strides[1] != size and columns > 1:
            raise NotCoveredError("max_norm of weights with gaps")
        lanes = min(self.code.width // size, lanes_for(columns))
        for start in range(0, columns, lanes):
            self._columns(operation, start, min(lanes, columns - start))

    def _columns(self, operation: Operation, start: int, used: int) -> None:
        """Write the norms and the scaling of some neighbouring columns."""
        code, w, bound = self.code, operation.write, operation.option
        size, lanes, step = SIZES[w.kind], lanes_for(used), w.strides[0]
        functions = Functions(code, w.kind, lanes)
        first = code.pointer(w.root, w.offset + start * size)

        def read(i: Index) -> tuple[str, str]:
            at = code.pointer(first, 0, [(i, step)])
            return at, code.load(at, w.kind, lanes, used, size)

        def square(i: Index, sums: Values) -> Values:
            _, x = read(i)
            return [functions.add(sums[0], functions.multiply(x, x))]

        (total,) = code.loop(w.shape[0], square, [(functions.type, functions.number(0.0))])
        largest = functions.maximum(functions.sqrt(total), functions.number(bound))
        factor = functions.divide(functions.number(bound), largest)

        def scale(i: Index, _: object) -> None:
            at, x = read(i)
            code.store(at, functions.multiply(x, factor), w.kind, lanes, used, size)

        code.loop(w.shape[0], scale)
