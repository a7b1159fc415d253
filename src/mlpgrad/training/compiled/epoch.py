"""The loop over batches: step, look at the loss, keep weights to go back to, update."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template
from typing import NamedTuple

from mlpgrad.training.compiled.operands import Operand
from mlpgrad.training.compiled.writing import ELEMENTS, literal
from mlpgrad.training.divergence import COPY_PERIOD, FAR_ABOVE, SMOOTHING

SIGNATURE = "i64 @epoch(ptr, ptr, i64, ptr, ptr, i64, ptr)"
ARGUMENTS = "ptr %table, ptr %data, i64 %batches, ptr %numbers, ptr %losses, i64 %before, ptr %sane"


class Layout(NamedTuple):
    """What the loop has to know of a step.

    Attributes
    ----------
    value : Operand
        The loss.
    data : sequence of (root, bytes)
        The buffers of a batch, which are pointed at the data instead, and the bytes of a batch.
    scalars : sequence of Operand
        What gets new numbers before each update.
    params, state : (root, bytes)
        The flat arrays; `state` may be of 0 bytes.
    kind : str
        The type of the model's numbers.
    """

    value: Operand
    data: Sequence[tuple[int, int]]
    scalars: Sequence[Operand]
    params: tuple[int, int]
    state: tuple[int, int]
    kind: str


def epoch(layout: Layout) -> str:
    """The function that trains on `batches` batches that follow each other in memory.

    `data` holds the addresses of the first batch, `numbers` the scalars of each step, `losses` gets
    the losses; `before` is the number of steps before, and `sane` what `keep` knows. Returns the
    number of steps made: fewer than `batches` where a loss is not finite, with the weights of
    that moment.
    """
    lines = [f"define i64 @epoch({ARGUMENTS}) {{", "entry:"]
    lines += _place("loss", layout.value)
    for k, scalar in enumerate(layout.scalars):
        lines += _place(f"scalar{k}", scalar)
    lines += ["  br label %batch", "batch:", "  %b = phi i64 [ 0, %entry ], [ %b1, %good ]"]
    for k, (root, size) in enumerate(layout.data):
        lines += [
            f"  %d{k}p = getelementptr ptr, ptr %data, i64 {k}",
            f"  %d{k} = load ptr, ptr %d{k}p",
            f"  %d{k}o = mul nuw nsw i64 %b, {size}",
            f"  %d{k}a = getelementptr i8, ptr %d{k}, i64 %d{k}o",
            f"  %d{k}t = getelementptr ptr, ptr %table, i64 {root}",
            f"  store ptr %d{k}a, ptr %d{k}t",
        ]
    lines += ["  call void @step(ptr %table)", *_look(layout)]
    for k in range(len(layout.scalars)):
        lines += _new_number(layout, k)
    lines += [
        "  call void @update(ptr %table)",
        "  %b1 = add nuw nsw i64 %b, 1",
        "  %again = icmp ult i64 %b1, %batches",
        "  br i1 %again, label %batch, label %end",
        "end:",
        "  %done = phi i64 [ %b, %judge ], [ %b1, %good ]",
        "  ret i64 %done",
        "}",
    ]
    return "\n".join([_keep(layout), *lines])


def _place(name: str, operand: Operand) -> list[str]:
    """The address of an operand."""
    return [
        f"  %{name}_t = getelementptr ptr, ptr %table, i64 {operand.root}",
        f"  %{name}_r = load ptr, ptr %{name}_t",
        f"  %{name} = getelementptr i8, ptr %{name}_r, i64 {operand.offset}",
    ]


def _look(layout: Layout) -> list[str]:
    """Write down the loss; end if it is not finite; keep the weights now and then."""
    element = ELEMENTS[layout.value.kind]
    wide = f"fpext {element} %value to double" if element == "float" else "fadd double %value, 0.0"
    return [
        f"  %value = load {element}, ptr %loss",
        f"  %wide = {wide}",
        "  %lossat = getelementptr double, ptr %losses, i64 %b",
        "  store double %wide, ptr %lossat",
        "  br label %judge",
        "judge:",
        "  %zero = fmul double %wide, 0.0",
        "  %finite = fcmp oeq double %zero, 0.0",
        "  br i1 %finite, label %perhaps, label %end",
        "perhaps:",
        "  %count = add i64 %before, %b",
        f"  %phase = urem i64 %count, {COPY_PERIOD}",
        "  %due = icmp eq i64 %phase, 0",
        "  br i1 %due, label %keeping, label %good",
        "keeping:",
        "  call void @keep(ptr %table, double %wide, ptr %sane)",
        "  br label %good",
        "good:",
    ]


def _new_number(layout: Layout, k: int) -> list[str]:
    """Copy a scalar of this step from the table of numbers."""
    element, count = ELEMENTS[layout.kind], len(layout.scalars)
    return [
        f"  %n{k}i = mul nuw nsw i64 %b, {count}",
        f"  %n{k}j = add nuw nsw i64 %n{k}i, {k}",
        f"  %n{k}p = getelementptr {element}, ptr %numbers, i64 %n{k}j",
        f"  %n{k} = load {element}, ptr %n{k}p",
        f"  store {element} %n{k}, ptr %scalar{k}",
    ]


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
"""`LastSane.keep`: copy the weights if loss and gradient are sane.

`sane` points to (mean, lowest, bound, known, address of the copy, address of the state's).
"""


def _keep(layout: Layout) -> str:
    """The function that keeps weights to go back to."""
    return Template(KEEP).substitute(
        element=ELEMENTS[layout.kind],
        params=layout.params[0],
        params_bytes=layout.params[1],
        state=layout.state[0],
        state_bytes=layout.state[1],
        smoothing=literal(SMOOTHING, "f8"),
        far=literal(FAR_ABOVE, "f8"),
    )
