"""LLVM's language: a function body, written instruction by instruction."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

ELEMENTS = {"f4": "float", "f8": "double", "i8": "i64", "b1": "i8"}
"""LLVM's names of the element types."""
SIZES = {"f4": 4, "f8": 8, "i8": 8, "b1": 1}

FEW = 31
"""The most elements of a small array."""

Index = int | str
"""A known number, or the name of a value."""
Values = Sequence[str]


def literal(value: float, kind: str) -> str:
    """Return a number as LLVM writes it."""
    if kind in ("f4", "f8"):
        rounded = struct.unpack("<f", struct.pack("<f", value))[0] if kind == "f4" else value
        return "0x" + struct.pack(">d", rounded).hex().upper()
    return str(int(value))


def splatted(value: float, kind: str, lanes: int) -> str:
    """Return a vector filled with one number."""
    one = f"{ELEMENTS[kind]} {literal(value, kind)}"
    return "<" + ", ".join([one] * lanes) + ">"


def vector_of(kind: str, lanes: int) -> str:
    """Return the type of a vector."""
    return f"<{lanes} x {ELEMENTS[kind]}>"


def suffix(kind: str, lanes: int) -> str:
    """Return the suffix of an intrinsic's name for a vector of this type."""
    return f"v{lanes}{'f' if kind[0] == 'f' else 'i'}{8 * SIZES[kind]}"


def lanes_for(count: int) -> int:
    """Return the smallest power of two that is at least `count`."""
    return 1 << (count - 1).bit_length()


class Code:
    """A function that is being written.

    Parameters
    ----------
    width : int
        Bytes of a vector register.
    registers : int
        Number of vector registers.
    """

    def __init__(self, width: int, registers: int) -> None:
        self.width, self.registers = width, registers
        self.lines: list[str] = []
        self.count = 0
        self.block = "entry"
        self.declared: dict[str, str] = {}
        self.constants: list[str] = []
        self.scratch = 0
        """Bytes of scratch memory that the function needs."""

    def lanes(self, kind_bytes: int, elements: int) -> int:
        """Return how many numbers of `kind_bytes` bytes a vector holds in a loop over `elements`.

        A processor forwards a store only to loads that lie within it. Therefore all loops over a
        few elements use vectors of the same small width.
        """
        return max(1, (16 if elements <= FEW else self.width) // kind_bytes)

    def do(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append("  " + text)

    def op(self, text: str) -> str:
        """Write an instruction, and return the name of its result."""
        self.count += 1
        self.do(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, name: str, result: str, *args: str, flags: str = "") -> str:
        """Call a function; each argument is given as its type and value."""
        types = ", ".join(a[: a.index(">") + 1] if a[0] == "<" else a.split()[0] for a in args)
        self.declared[name] = f"declare {result} @{name}({types})"
        text = f"call {flags}{result} @{name}({', '.join(args)})"
        if result == "void":
            self.do(text)
            return ""
        return self.op(text)

    def loop(
        self,
        count: int,
        body: Callable[[Index, Values], Values | None],
        carried: Sequence[tuple[str, str]] = (),
    ) -> Values:
        """Write a loop; the body gets an index and values, and returns the new values.

        Parameters
        ----------
        count : int
            At least 1.
        carried : sequence of (type, first value)
        """
        if count == 1:
            return body(0, [value for _, value in carried]) or []
        self.count += 1
        label, before = f"L{self.count}", self.block
        index = f"%i{self.count}"
        names = [f"%c{self.count}_{k}" for k in range(len(carried))]
        self.do(f"br label %{label}")
        self.label(label)
        at = len(self.lines)
        self.lines += [""] * (1 + len(carried))
        new = body(index, names) or []
        step = self.op(f"add nuw nsw i64 {index}, 1")
        more = self.op(f"icmp ult i64 {step}, {count}")
        last = self.block
        self.lines[at] = f"  {index} = phi i64 [ 0, %{before} ], [ {step}, %{last} ]"
        for k, ((kind, start), name, value) in enumerate(zip(carried, names, new, strict=True)):
            phi = f"phi {kind} [ {start}, %{before} ], [ {value}, %{last} ]"
            self.lines[at + 1 + k] = f"  {name} = {phi}"
        self.do(f"br i1 {more}, label %{label}, label %{label}e")
        self.label(f"{label}e")
        return new

    def strips(self, count: int, size: int, body: Callable[[Index, int], None]) -> None:
        """Write `body(start, length)` for every `size` of `count` elements, and for the rest."""
        whole, rest = divmod(count, size)
        if whole:
            self.loop(whole, lambda i, _: body(self.times(i, size), size))
        if rest:
            body(whole * size, rest)

    def times(self, index: Index, factor: int) -> Index:
        """Return the product of an index and a number."""
        if isinstance(index, int):
            return index * factor
        return index if factor == 1 else self.op(f"mul nuw nsw i64 {index}, {factor}")

    def plus(self, index: Index, number: int) -> Index:
        """Return the sum of an index and a number."""
        if isinstance(index, int):
            return index + number
        return self.op(f"add nuw nsw i64 {index}, {number}") if number else index

    def pointer(
        self, root: int | str, offset: int = 0, pairs: Iterable[tuple[Index, int]] = ()
    ) -> str:
        """Return the address root + offset + sum of index * stride, in bytes."""
        at = f"%base{root}" if isinstance(root, int) else root
        for index, stride in pairs:
            if isinstance(index, int):
                offset += index * stride
            elif stride:
                at = self.op(f"getelementptr i8, ptr {at}, i64 {self.times(index, stride)}")
        return self.op(f"getelementptr i8, ptr {at}, i64 {offset}") if offset else at

    # vectors of `lanes` numbers, of which the first `used` are in memory

    def load(self, at: str, kind: str, lanes: int, used: int, stride: int) -> str:
        """Read numbers with a stride in bytes; 0 reads one for all lanes."""
        element, size, vector = ELEMENTS[kind], SIZES[kind], vector_of(kind, lanes)
        if stride == 0:
            return self.splat(self.op(f"load {element}, ptr {at}, align {size}"), kind, lanes)
        if stride == size and used == lanes:
            return self.op(f"load {vector}, ptr {at}, align {size}")
        if stride == size and kind != "b1":
            mask = "<" + ", ".join(f"i1 {int(k < used)}" for k in range(lanes)) + ">"
            name = f"llvm.masked.load.{suffix(kind, lanes)}.p0"
            self.declared[name] = f"declare {vector} @{name}(ptr, i32, <{lanes} x i1>, {vector})"
            rest = f"i32 {size}, <{lanes} x i1> {mask}, {vector} zeroinitializer"
            return self.op(f"call {vector} @{name}(ptr {at}, {rest})")
        value = "zeroinitializer"
        for k in range(used):
            one = self.op(f"load {element}, ptr {self.pointer(at, k * stride)}, align {size}")
            value = self.op(f"insertelement {vector} {value}, {element} {one}, i32 {k}")
        return value

    def store(self, at: str, value: str, kind: str, lanes: int, used: int, stride: int) -> None:
        """Write numbers, in powers of two, since masked stores are slow on AMD processors."""
        element, size, vector = ELEMENTS[kind], SIZES[kind], vector_of(kind, lanes)
        start = 0
        while start < used:
            piece = 1 << ((used - start).bit_length() - 1) if stride == size else 1
            target = self.pointer(at, start * stride)
            if piece == lanes:
                self.do(f"store {vector} {value}, ptr {target}, align {size}")
            elif piece == 1:
                one = self.op(f"extractelement {vector} {value}, i32 {start}")
                self.do(f"store {element} {one}, ptr {target}, align {size}")
            else:
                part = self.shuffle(value, "poison", range(start, start + piece), kind, lanes)
                self.do(f"store <{piece} x {element}> {part}, ptr {target}, align {size}")
            start += piece

    def shuffle(self, a: str, b: str, places: Iterable[int], kind: str, lanes: int) -> str:
        """Return elements of two vectors, by their positions in the concatenation."""
        picked = [f"i32 {p}" for p in places]
        vector = vector_of(kind, lanes)
        mask = f"<{len(picked)} x i32> <{', '.join(picked)}>"
        return self.op(f"shufflevector {vector} {a}, {vector} {b}, {mask}")

    def splat(self, value: str, kind: str, lanes: int) -> str:
        """Return one value in all lanes."""
        vector = vector_of(kind, lanes)
        one = self.op(f"insertelement {vector} poison, {ELEMENTS[kind]} {value}, i32 0")
        return self.shuffle(one, "poison", [0] * lanes, kind, lanes)
