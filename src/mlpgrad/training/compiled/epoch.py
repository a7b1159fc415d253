"""The loop over batches: step, check of the loss, copy of the weights, update."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template
from typing import NamedTuple

from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.writing import ELEMENTS, literal
from mlpgrad.training.divergence import COPY_PERIOD, FAR_ABOVE, SMOOTHING

SIGNATURE = "void @train(ptr, i64, i64, i64)"
ROW = ("table", "data", "order", "numbers", "losses", "sane", "made")
"""The pointers of a member: see TRAIN."""

SUBNORMAL = {
    "x86": """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal i64 @mode(i64 %mode) {
  %at = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %at)
  %old = load i32, ptr %at
  %fast = or i32 %old, 32832
  %given = trunc i64 %mode to i32
  %first = icmp eq i64 %mode, -1
  %new = select i1 %first, i32 %fast, i32 %given
  store i32 %new, ptr %at
  call void @llvm.x86.sse.ldmxcsr(ptr %at)
  %wide = zext i32 %old to i64
  ret i64 %wide
}""",
    "arm": """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define internal i64 @mode(i64 %mode) {
  %old = call i64 @llvm.aarch64.get.fpcr()
  %fast = or i64 %old, 16777216
  %first = icmp eq i64 %mode, -1
  %new = select i1 %first, i64 %fast, i64 %mode
  call void @llvm.aarch64.set.fpcr(i64 %new)
  ret i64 %old
}""",
    "": "define internal i64 @mode(i64 %mode) {\n  ret i64 %mode\n}",
}
"""`mode(-1)` makes this thread treat subnormal numbers as 0, and returns the previous mode.

An operation on a subnormal number takes a hundred cycles. `mode(previous)` restores the mode, which
may be 0, the usual mode of ARM processors.
"""

TRAIN = """
define void @train(ptr %rows, i64 %members, i64 %batches, i64 %before) {
entry:
  %mode = call i64 @mode(i64 -1)
  br label %member
member:
  %m = phi i64 [ 0, %entry ], [ %m1, %member ]
  %row = getelementptr [$pointers x ptr], ptr %rows, i64 %m
  call void @epoch(ptr %row, i64 %batches, i64 %before)
  %m1 = add i64 %m, 1
  %more = icmp ult i64 %m1, %members
  br i1 %more, label %member, label %end
end:
  %fast = call i64 @mode(i64 %mode)
  ret void
}
define internal void @epoch(ptr %row, i64 %batches, i64 %before) {
entry:
$places
  br label %batch
batch:
  %b = phi i64 [ 0, %entry ], [ %b1, %good ]
  %from = mul i64 %b, $rows
  br label %gather
gather:
  %r = phi i64 [ 0, %batch ], [ %r1, %gather ]
  %at = add i64 %from, %r
  %numberat = getelementptr i64, ptr %order, i64 %at
  %number = load i64, ptr %numberat
$gathered
  %r1 = add i64 %r, 1
  %another = icmp ult i64 %r1, $rows
  br i1 %another, label %gather, label %step
step:
  call void @step(ptr %table)
  %value = load $element, ptr %loss
  %wide = $widened
  %lossat = getelementptr double, ptr %losses, i64 %b
  store double %wide, ptr %lossat
  %zero = fmul double %wide, 0.0
  %finite = fcmp oeq double %zero, 0.0
  br i1 %finite, label %perhaps, label %end
perhaps:
  %count = add i64 %before, %b
  %phase = urem i64 %count, $period
  %due = icmp eq i64 %phase, 0
  br i1 %due, label %keeping, label %good
keeping:
  call void @keep(ptr %table, double %wide, ptr %sane)
  br label %good
good:
$renewed
  call void @update(ptr %table)
  %b1 = add nuw nsw i64 %b, 1
  %again = icmp ult i64 %b1, %batches
  br i1 %again, label %batch, label %end
end:
  %done = phi i64 [ %b, %step ], [ %b1, %good ]
  store i64 %done, ptr %made
  ret void
}"""
"""`train` makes the steps of some members, one after the other; `epoch` those of one.

A member has a row of pointers: to its table of pointers, the addresses of the data, the indices of
the rows of all batches, the scalars of each step, the losses, the state of `keep`, and the number
of steps made. If a loss is not finite, that number is less than `batches`, and the weights are
those with which the loss was computed. `before` is the number of earlier steps.
"""

KEEP = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare double @llvm.fabs.f64(double)
declare double @llvm.minnum.f64(double, double)
define internal void @keep(ptr %table, double %loss, ptr %sane) {
entry:
  %pt = getelementptr ptr, ptr %table, i64 $params
  %p = load ptr, ptr %pt
  %st = getelementptr ptr, ptr %table, i64 $state
  %s = load ptr, ptr %st
  %sum = call $element @squares(ptr %table)
  %nothing = fmul $element %sum, 0.0
  %finite = fcmp oeq $element %nothing, 0.0
  %lp = getelementptr double, ptr %sane, i64 1
  %bp = getelementptr double, ptr %sane, i64 2
  %kp = getelementptr double, ptr %sane, i64 3
  %bound = load double, ptr %bp
  %low = fcmp ole double %loss, %bound
  %is = and i1 %finite, %low
  br i1 %is, label %copy, label %mean
copy:
  %cpp = getelementptr ptr, ptr %sane, i64 4
  %cp = load ptr, ptr %cpp
  call void @llvm.memcpy.p0.p0.i64(ptr %cp, ptr %p, i64 $params_bytes, i1 0)
  %csp = getelementptr ptr, ptr %sane, i64 5
  %cs = load ptr, ptr %csp
  call void @llvm.memcpy.p0.p0.i64(ptr %cs, ptr %s, i64 $state_bytes, i1 0)
  store double 1.0, ptr %kp
  br label %mean
mean:
  %m = load double, ptr %sane
  %first = fcmp uno double %m, 0.0
  %apart = fsub double %loss, %m
  %tenth = fmul double %apart, $smoothing
  %moved = fadd double %m, %tenth
  %m1 = select i1 %first, double %loss, double %moved
  store double %m1, ptr %sane
  %l = load double, ptr %lp
  %l1 = call double @llvm.minnum.f64(double %l, double %m1)
  store double %l1, ptr %lp
  %size = call double @llvm.fabs.f64(double %l1)
  %ten = fmul double %size, $far
  %b1 = fadd double %l1, %ten
  store double %b1, ptr %bp
  ret void
}"""
"""`LastSane.keep`: copy the weights if the loss and the gradient are sane.

`sane` points to (mean, lowest, bound, known, address of the copy, address of the state's).
"""


class Layout(NamedTuple):
    """The properties of a step that the loop needs.

    Attributes
    ----------
    value : Operand
        The loss.
    rows : int
        The number of rows of a batch.
    data : sequence of (root, bytes)
        The buffers of a batch, with the bytes of a row in each.
    scalars : sequence of Operand
        The operands that get new values before each update.
    params, state : (root, bytes)
        The flat arrays and their sizes; `state` may have 0 bytes.
    kind : str
        The element type of the model.
    """

    value: Operand
    rows: int
    data: Sequence[tuple[int, int]]
    scalars: Sequence[Operand]
    params: tuple[int, int]
    state: tuple[int, int]
    kind: str


def loop(layout: Layout, processor: str) -> str:
    """The function `train`, with all that it calls but step and update.

    Parameters
    ----------
    processor : str
        A key of SUBNORMAL.
    """
    element, scalars = ELEMENTS[layout.kind], layout.scalars
    places = [_loaded(name, "row", k) for k, name in enumerate(ROW)]
    places += [_place("loss", layout.value)]
    places += [_place(f"scalar{k}", scalar) for k, scalar in enumerate(scalars)]
    for k, (root, _) in enumerate(layout.data):
        places += [_loaded(f"d{k}", "data", k), _loaded(f"buffer{k}", "table", root)]
    single = f"fpext {element} %value to double"
    text = Template(SUBNORMAL[processor] + KEEP + TRAIN)
    return text.substitute(
        element=element,
        places="\n".join(places),
        pointers=len(ROW),
        rows=layout.rows,
        gathered="\n".join(_gathered(k, size) for k, (_, size) in enumerate(layout.data)),
        widened=single if element == "float" else "fadd double %value, 0.0",
        renewed="\n".join(_renewed(k, len(scalars), element) for k in range(len(scalars))),
        period=COPY_PERIOD,
        params=layout.params[0],
        params_bytes=layout.params[1],
        state=layout.state[0],
        state_bytes=layout.state[1],
        smoothing=literal(SMOOTHING, "f8"),
        far=literal(FAR_ABOVE, "f8"),
    )


def _loaded(name: str, table: str, number: int) -> str:
    """Return the text that loads a pointer from a table."""
    return f"""\
  %{name}_t = getelementptr ptr, ptr %{table}, i64 {number}
  %{name} = load ptr, ptr %{name}_t"""


def _place(name: str, operand: Operand) -> str:
    """Return the code for the address of an operand."""
    return f"""\
{_loaded(name + "_r", "table", int(operand.root))}
  %{name} = getelementptr i8, ptr %{name}_r, i64 {operand.offset}"""


def _gathered(k: int, size: int) -> str:
    """Return the text that copies a row of the data to the buffer."""
    return f"""\
  %d{k}o = mul i64 %number, {size}
  %d{k}a = getelementptr i8, ptr %d{k}, i64 %d{k}o
  %buffer{k}o = mul i64 %r, {size}
  %buffer{k}a = getelementptr i8, ptr %buffer{k}, i64 %buffer{k}o
  call void @llvm.memcpy.p0.p0.i64(ptr %buffer{k}a, ptr %d{k}a, i64 {size}, i1 0)"""


def _renewed(k: int, count: int, element: str) -> str:
    """Return the code that copies a scalar of this step from the table of numbers."""
    return f"""\
  %n{k}i = mul nuw nsw i64 %b, {count}
  %n{k}j = add nuw nsw i64 %n{k}i, {k}
  %n{k}p = getelementptr {element}, ptr %numbers, i64 %n{k}j
  %n{k} = load {element}, ptr %n{k}p
  store {element} %n{k}, ptr %scalar{k}"""
