"""LLVM's language: values (numbers, vectors, indices, addresses) and instructions on them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpgrad.training.compiled.operands import NotCoveredError

ELEMENTS = {"f4": "float", "f8": "double", "i2": "i16", "i4": "i32", "i8": "i64"}
ELEMENTS |= {"b1": "i1", "u1": "i8", "n8": "i64", "p8": "ptr"}
"""LLVM's types by kind, whose digit is the size in bytes; n8 is an index, and p8 an address.

A flag (b1) is in memory as a byte (u1).
"""
CASTS = {"f4f8": "fpext", "f8f4": "fptrunc", "b1u1": "zext"}
CASTS |= {"i4f4": "sitofp", "i8f4": "sitofp", "i8f8": "sitofp"}
"""The instruction that converts one kind to another."""


def literal(value: float, kind: str) -> str:
    """Return a number as LLVM writes it."""
    if kind[0] != "f":
        return str(int(value))
    rounded = struct.unpack("<f", struct.pack("<f", value))[0] if kind == "f4" else value
    return "0x" + struct.pack(">d", rounded).hex().upper()


def lanes_for(count: int) -> int:
    """Return the smallest power of two that is at least `count`."""
    return 1 << (count - 1).bit_length()


@dataclass(eq=False, slots=True)
class Value:
    """A value in a function that is being written: a number, or a vector of several `lanes`.

    Python's operators write instructions. Indices and addresses also accept Python's integers.
    """

    code: Instructions
    kind: str
    lanes: int
    name: str

    @property
    def type(self) -> str:
        element = ELEMENTS[self.kind]
        return element if self.lanes == 1 else f"<{self.lanes} x {element}>"

    @property
    def suffix(self) -> str:
        """The type in the names of LLVM's functions, such as v8f32."""
        vector = f"v{self.lanes}" if self.lanes > 1 else ""
        return f"{vector}{'f' if self.kind[0] == 'f' else 'i'}{8 * int(self.kind[1])}"

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    def like(self, number: Number) -> Value:
        """Return a number as a constant of this type."""
        if isinstance(number, Value):
            return number
        kind = "n8" if self.kind == "p8" else self.kind
        return self.code.number(number, kind, self.lanes)

    def write(self, name: str, other: Number, kind: str = "") -> Value:
        """Write an instruction on this value and another one."""
        text = f"{name} {self}, {self.like(other).name}"
        return self.code.op(text, kind or self.kind, self.lanes)

    def _arithmetic(self, name: str, other: Number) -> Value:
        before, after = "f" * (self.kind[0] == "f"), " nuw nsw" * (self.kind == "n8")
        return self.write(f"{before}{name}{after}", other)

    def __add__(self, other: Number) -> Value:
        if self.kind[0] in "np" and other == 0:
            return self
        if self.kind == "p8":
            return self.code.op(f"getelementptr i8, {self}, {self.like(other)}", "p8")
        return self._arithmetic("add", other)

    def __mul__(self, other: Number) -> Value:
        return self if self.kind == "n8" and other == 1 else self._arithmetic("mul", other)

    def __sub__(self, other: Number) -> Value:
        return self._arithmetic("sub", other)

    def __truediv__(self, other: Number) -> Value:
        return self._arithmetic("div", other)

    def __floordiv__(self, other: Number) -> Value:
        return self.write("udiv", other)

    def __mod__(self, other: Number) -> Value:
        return self.write("urem", other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Number) -> Value:
        return self.like(other) - self

    def __rtruediv__(self, other: Number) -> Value:
        return self.like(other) / self

    def __neg__(self) -> Value:
        return self.code.op(f"fneg {self}", self.kind, self.lanes)

    def compare(self, how: str, other: Number) -> Value:
        """Return flags; `how` is LLVM's name, such as olt or ne."""
        return self.write(f"{'f' if self.kind[0] == 'f' else 'i'}cmp {how}", other, "b1")

    def to(self, kind: str) -> Value:
        """Convert to another kind of numbers."""
        if kind == self.kind:
            return self
        if self.kind == "b1" and kind[0] == "f":
            return select(self, 1, self.code.number(0, kind, self.lanes))
        if self.kind + kind not in CASTS:
            raise NotCoveredError(f"{self.kind} to {kind}")
        return self._cast(CASTS[self.kind + kind], kind)

    def bits(self) -> Value:
        """Return the bits of a floating-point number as an integer, or the other way round."""
        return self._cast("bitcast", ("i" if self.kind[0] == "f" else "f") + self.kind[1])

    def _cast(self, name: str, kind: str) -> Value:
        target = Value(self.code, kind, self.lanes, "").type
        return self.code.op(f"{name} {self} to {target}", kind, self.lanes)

    def call(self, name: str, *others: Number) -> Value:
        """Call LLVM's intrinsic function of this type; the result has the same type."""
        args = self, *map(self.like, others)
        return self.code.call(f"llvm.{name}.{self.suffix}", *args, kind=self.kind, lanes=self.lanes)

    def reduce(self, name: str, *first: Value, flags: str) -> Value:
        """Call LLVM's function that combines the numbers of a vector, such as fmax."""
        if self.lanes == 1:
            return self
        full = f"llvm.vector.reduce.{name}.{self.suffix}"
        return self.code.call(full, *first, self, kind=self.kind, flags=flags)

    def splat(self, lanes: int) -> Value:
        """Return a single number in all lanes."""
        if lanes == 1:
            return self
        vector = Value(self.code, self.kind, lanes, "poison")
        one = self.code.op(f"insertelement {vector}, {self}, i32 0", self.kind, lanes)
        return one.shuffle(one, [0] * lanes)

    def shuffle(self, other: Value, places: Iterable[int]) -> Value:
        """Return elements of two vectors, by their positions in the concatenation."""
        picked = [f"i32 {place}" for place in places]
        if len(picked) == 1:
            return self.code.op(f"extractelement {self}, {picked[0]}", self.kind)
        numbers = "zeroinitializer" if {*picked} == {"i32 0"} else f"<{', '.join(picked)}>"
        mask = f"<{len(picked)} x i32> {numbers}"
        return self.code.op(f"shufflevector {self}, {other}, {mask}", self.kind, len(picked))


Number = Value | float
Index = Value | int


def select(flags: Value, a: Number, b: Value) -> Value:
    """Return `a` where a flag is set, else `b`."""
    return flags.code.op(f"select {flags}, {b.like(a)}, {b}", b.kind, b.lanes)


class Instructions:
    """The instructions of the function that is being written.

    Attributes
    ----------
    lines : list of str
    outside : dict of str to str
        Constants, declarations and finished functions, by name.
    known : dict of str to Value
        The addresses and indices of this block, so that none is calculated twice. Code does not
        change pointers in memory that it reads in the same block.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.outside: dict[str, str] = {}
        self.count = self.roots = 0
        self.known: dict[str, Value] = {}

    def number(self, value: float, kind: str, lanes: int = 1) -> Value:
        """Return a constant."""
        one = literal(value, kind)
        return Value(self, kind, lanes, one if lanes == 1 else f"splat ({ELEMENTS[kind]} {one})")

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append("  " + text)

    def op(self, text: str, kind: str, lanes: int = 1) -> Value:
        """Write an instruction, and return its result."""
        if text in self.known:
            return self.known[text]
        self.count += 1
        self.do(f"%v{self.count} = {text}")
        result = Value(self, kind, lanes, f"%v{self.count}")
        if text.startswith(("getelementptr", "mul", "add", "load ptr")):
            self.known[text] = result
        return result

    def call(self, name: str, *args: Value, kind: str, lanes: int = 1, flags: str = "") -> Value:
        """Call an outside function, and return its result."""
        result = Value(self, kind, lanes, "").type
        return self.op(f"call {flags}{self._declared(result, name, args)}", kind, lanes)

    def run(self, name: str, *args: Value) -> None:
        """Call an outside function without a result."""
        self.do(f"call {self._declared('void', name, args)}")

    def _declared(self, result: str, name: str, args: Sequence[Value]) -> str:
        """Declare an outside function, and return the text after `call`."""
        head = f"{result} @{name}({', '.join(arg.type for arg in args)})"
        self.outside[head] = f"declare {head}"
        return f"{result} @{name}({', '.join(map(str, args))})"
