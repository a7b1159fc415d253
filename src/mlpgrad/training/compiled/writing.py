"""A module in LLVM's language, whose functions are written instruction by instruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.values import ELEMENTS, Index, Instructions, Value

FEW = 31
"""The most elements of a small array."""
FIXED = ("scratch", "own", "board", "row")
"""The first entries in the table of pointers; those of the buffers follow.

They are scratch memory, that of the first thread alone, the board of `sharing`, and the pointers of
a member in `epoch`.
"""


class Code(Instructions):
    """A module that is being written.

    Parameters
    ----------
    width : int
        Bytes of a vector register.
    registers : int
        Number of vector registers.
    shared : bool
        Whether several threads share what takes long.

    Attributes
    ----------
    cycles : float
        About how many processor cycles the products of a step take.
    tasks : list of list of str
        The lines of each task.
    scratch, own : int
        Bytes of scratch memory that the functions need, together and for each thread.
    """

    def __init__(self, width: int, registers: int, *, shared: bool) -> None:
        super().__init__()
        self.width, self.registers, self.shared = width, registers, shared
        self.block = "entry"
        self.tasks: list[list[str]] = []
        self.scratch = self.own = 0
        self.cycles = 0.0

    @property
    def text(self) -> str:
        return "\n".join(self.outside.values())

    def function(self, head: str, write: Callable[[], None], *, rare: bool = False) -> None:
        """Write a function; LLVM does not optimize what runs rarely, in half of the time."""
        with self._aside():
            self.label("entry")
            write()
            self.do("br label %end")
            start = f"define {head} {'optnone noinline ' if rare else ''}{{"
            self.outside[head] = "\n".join([start, *self.lines, "end:\n  ret void\n}"])

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Write elsewhere for some time, beginning with the first block of a function."""
        outer = self.lines, self.block, self.known
        self.lines, self.known = [], {}
        yield
        self.lines, self.block, self.known = outer

    def call_shared(self, name: str, body: Callable[..., None], *args: Index) -> None:
        """Call an internal function, which `body` writes from its parameters if its name is new."""
        values = list(map(self.index, args))
        inside = [Value(self, value.kind, 1, f"%a{k}") for k, value in enumerate(values)]
        head = f"internal void @{name}({', '.join(map(str, inside))})"
        if head not in self.outside:
            self.function(head, lambda: body(*inside))
        self.do(f"call void @{name}({', '.join(map(str, values))})")

    def share(self, count: int, body: Callable[[Index], None], first: Index = 0) -> None:
        """Write `body(first)` to `body(first + count - 1)` as tasks, if several threads share them.

        The body can use buffers and parameters of the task, but no values from outside.
        """
        if not self.shared:
            self.each(count, body, first)
            return
        number = len(self.tasks)
        with self._aside():
            self.label(f"T{number}")
            body(self.given("task", "n8"))
            self.do("br label %end")
            self.tasks.append(self.lines)
        board, own = self.root("board"), self.root("own")
        numbers = f"i64 {number}, {self.index(first)}, {self.index(count)}"
        self.do(f"call void @share({board}, {own}, ptr %table, {numbers})")

    def write_tasks(self) -> None:
        """Write the code of all tasks; `%which` is the one to do.

        They are one function, since each function takes a millisecond to compile.
        """
        jumps = " ".join(f"i64 {k}, label %T{k}" for k in range(len(self.tasks)))
        self.do(f"switch i64 %which, label %end [{jumps}]")
        for lines in self.tasks:
            self.lines += lines

    def each(
        self, count: Index, body: Callable[[Index], None], first: Index = 0, unrolled: int = 1
    ) -> None:
        """Write `body(first)` to `body(first + count - 1)` as a loop."""
        self.loop(count, lambda i, _: body(i + first), unrolled=unrolled)

    def lanes(self, kind_bytes: int, elements: int) -> int:
        """Return how many numbers of `kind_bytes` bytes a vector holds in a loop over `elements`.

        A processor forwards a store only to loads that lie within it. Therefore all loops over a
        few elements use vectors of the same small width.
        """
        return max(1, (16 if elements <= FEW else self.width) // kind_bytes)

    def index(self, number: Index) -> Value:
        """Return an index as a value."""
        return number if isinstance(number, Value) else self.number(number, "n8")

    def given(self, name: str, kind: str = "p8") -> Value:
        """Return a parameter of the function."""
        return Value(self, kind, 1, f"%{name}")

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")
        self.block = name
        self.known.clear()

    def branch(self, flag: Value, otherwise: str = "") -> str:
        """Start a block for a flag that is set; return the label to go to otherwise."""
        self.count += 1
        otherwise = otherwise or f"E{self.count}"
        self.do(f"br {flag}, label %B{self.count}, label %{otherwise}")
        self.label(f"B{self.count}")
        return otherwise

    def when(self, flag: Value, body: Callable[[], None]) -> None:
        """Write code that runs if a flag is set."""
        end = self.branch(flag)
        body()
        self.do(f"br label %{end}")
        self.label(end)

    def loop(
        self,
        count: Index,
        body: Callable[[Index, Sequence[Value]], Sequence[Value] | None],
        carried: Sequence[Value] = (),
        unrolled: int = 1,
    ) -> Sequence[Value]:
        """Write a loop; the body gets an index and values, and returns the new values.

        Parameters
        ----------
        count : int or Value
            If it is known and at most `unrolled`, the bodies are written one after the other;
            otherwise it is at least 1.
        carried : sequence of Value
            The first values.
        """
        if isinstance(count, int) and count <= unrolled:
            for number in range(count):
                carried = body(number, carried) or []
            return carried

        def once(index: Value, *inside: Value) -> tuple[Value, list[Value]]:
            new = body(index, inside) or []
            following = index + 1
            return following.compare("ult", count), [following, *new]

        return self._while(once, [self.index(0), *carried])[1:]

    def repeat(self, body: Callable[[], Value]) -> None:
        """Write code that is repeated while the flag that it returns is set."""
        self._while(lambda: (body(), []), [])

    def _while(
        self, body: Callable[..., tuple[Value, list[Value]]], first: Sequence[Value]
    ) -> list[Value]:
        """Write a loop whose body gets values, and returns whether to go on and the new values."""
        self.count += 1
        label, before = f"L{self.count}", self.block
        inside = [Value(self, v.kind, v.lanes, f"%{label}_{k}") for k, v in enumerate(first)]
        self.do(f"br label %{label}")
        self.label(label)
        at = len(self.lines)
        more, new = body(*inside)
        self.lines[at:at] = [
            f"  {v.name} = phi {v.type} [ {a.name}, %{before} ], [ {b.name}, %{self.block} ]"
            for v, a, b in zip(inside, first, new, strict=True)
        ]
        self.do(f"br {more}, label %{label}, label %{label}e")
        self.label(f"{label}e")
        return new

    def nest(
        self, shape: Sequence[int], body: Callable[..., None], most: int = 0, *indices: Index
    ) -> None:
        """Write `body(*indices)` in loops over some axes, unrolled for `most` repetitions."""
        if not shape:
            body(*indices)
            return
        count, *inner = shape
        unrolled = count if math.prod(shape) <= most else 1
        self.each(count, lambda i: self.nest(inner, body, most, *indices, i), unrolled=unrolled)

    def strips(self, count: int, size: int, body: Callable[[Index, int], None]) -> None:
        """Write `body(start, length)` for every `size` of `count` elements, and for the rest."""
        whole, rest = divmod(count, size)
        self.each(whole, lambda i: body(i * size, size))
        if rest:
            body(whole * size, rest)

    def cover(self, count: Index, size: int, body: Callable[[Index], None]) -> None:
        """Write `body(start)` for parts of a size, the last of which may overlap the one before."""
        self.each(count // size, lambda i: body(i * size))
        if isinstance(count, Value) or count % size:
            body(count - size)

    # operands

    def room(self, kind: str, rows: int, columns: int) -> Operand:
        """Return a new matrix in scratch memory."""
        size, base = int(kind[1]), -(-self.scratch // 64) * 64
        self.scratch = base + rows * columns * size + 64
        return Operand(kind, (rows, columns), (columns * size, size), "scratch", base)

    def root(self, root: int | str) -> Value:
        """Return the address of a buffer, an entry of FIXED, or a value that is an address."""
        if isinstance(root, str) and root not in FIXED:
            return Value(self, "p8", 1, root)
        number = FIXED.index(root) if isinstance(root, str) else len(FIXED) + root
        return self.load(self.given("table") + 8 * number, "p8")

    def at(self, operand: Operand, *indices: Index) -> Value:
        """Return the address of an element, given by the first of its indices."""
        at, offset = self.root(operand.root), operand.offset
        for index, stride in zip(indices, operand.strides, strict=False):
            if isinstance(index, int) and isinstance(stride, int):
                offset += index * stride
            elif 0 not in (index, stride):
                at += index * stride
        return at + offset

    def part(self, operand: Operand, *indices: Index) -> Operand:
        """Return the part of an operand that begins at an element."""
        if operand.value is not None:
            return operand
        moves = list(zip(indices, operand.strides, strict=False))
        if all(isinstance(number, int) for pair in moves for number in pair):
            return operand._replace(offset=operand.offset + sum(i * s for i, s in moves))
        return operand._replace(root=self.at(operand, *indices).name, offset=0)

    def base(self, operand: Operand) -> Operand:
        """Return the same operand, relative to an address of which LLVM knows nothing.

        LLVM then takes its elements as they are, and does not try to move their addresses out of
        loops, which would be a sixth of the time to compile.
        """
        if operand.value is not None:
            return operand
        at = self.call("llvm.launder.invariant.group.p0", self.at(operand), kind="p8")
        return operand._replace(root=at.name, offset=0)

    def read(
        self, operand: Operand, indices: Sequence[Index], lanes: int = 1, used: int = 1
    ) -> Value:
        """Return a constant, or `used` numbers along the last axis from the element on."""
        if operand.value is not None:
            return self.number(operand.value, operand.kind, lanes)
        stride = operand.strides[-1] if operand.strides else 0
        return self.load(self.at(operand, *indices), operand.kind, lanes, used, stride)

    # vectors of `lanes` numbers, of which the first `used` are in memory

    def load(
        self, at: Value, kind: str, lanes: int = 1, used: int = 1, stride: int = 0, rest: float = 0
    ) -> Value:
        """Read numbers with a stride in bytes; 0 reads one for all lanes. Others become `rest`."""
        if kind == "b1":
            return self.load(at, "u1", lanes, used, stride).compare("ne", 0)
        size, value = int(kind[1]), self.number(rest, kind, lanes)
        if lanes == 1 or stride == 0:
            return self.op(f"load {ELEMENTS[kind]}, {at}, align {size}", kind).splat(lanes)
        if stride == size and used == lanes:
            return self.op(f"load {value.type}, {at}, align {size}", kind, lanes)
        if stride == size and kind != "u1":
            flags = ", ".join(f"i1 {int(k < used)}" for k in range(lanes))
            args = at, self.number(size, "i4"), Value(self, "b1", lanes, f"<{flags}>"), value
            name = f"llvm.masked.load.{value.suffix}.p0"
            return self.call(name, *args, kind=kind, lanes=lanes)
        for k in range(used):
            one = self.load(at + k * stride, kind)
            value = self.op(f"insertelement {value}, {one}, i32 {k}", kind, lanes)
        return value

    def store(self, at: Value, value: Value, used: int = 1, stride: int = 0) -> None:
        """Write numbers, in powers of two, since masked stores are slow on AMD processors."""
        value = value.to("u1") if value.kind == "b1" else value
        size, start = int(value.kind[1]), 0
        while start < used:
            piece = 1 << ((used - start).bit_length() - 1) if stride == size else 1
            whole = piece == value.lanes
            part = value if whole else value.shuffle(value, range(start, start + piece))
            self.do(f"store {part}, {at + start * stride}, align {size}")
            start += piece

    def prefetch(self, at: Value, *, writes: int = 0, level: int) -> None:
        """Fetch a line to a level of the caches, if the address exists."""
        hint = (self.number(k, "i4") for k in (writes, 4 - level, 1))  # 1: data
        self.run("llvm.prefetch.p0", at, *hint)

    def copy(self, target: Value, source: Value, size: int) -> None:
        """Copy bytes."""
        rest = self.number(size, "n8"), self.number(0, "b1")
        self.run("llvm.memcpy.p0.p0.i64", target, source, *rest)
