"""A thread treats subnormal numbers as 0 during compiled steps, and never afterwards."""

import ctypes
import threading

import numpy as np
import pytest

import mlpgrad as mg

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

from mlpgrad.training.compiled.epoch import SIGNATURE, subnormal_as_zero
from mlpgrad.training.compiled.machine import compiled
from mlpgrad.training.compiled.values import Value
from mlpgrad.training.compiled.writing import Code

REGISTERS = {
    "x86": """
@register = internal global i64 0
define internal void @stmxcsr(ptr %at) {
  %now = load i32, ptr @register
  store i32 %now, ptr %at
  ret void
}
define internal void @ldmxcsr(ptr %at) {
  %new = load i32, ptr %at
  store i32 %new, ptr @register
  ret void
}""",
    "arm": """
@register = internal global i64 0
define internal i64 @get.fpcr() {
  %now = load i64, ptr @register
  ret i64 %now
}
define internal void @set.fpcr(i64 %new) {
  store i64 %new, ptr @register
  ret void
}""",
}
"""A variable that replaces the mode register of each processor."""


@pytest.mark.parametrize(
    ("processor", "usual", "bits"),
    [("arm", 0, 1 << 24), ("arm", 1 << 25, 1 << 24), ("x86", 0, 0x8040), ("x86", 0x1F80, 0x8040)],
)
def test_the_mode_before_is_put_back_on_every_processor(processor, usual, bits):
    code = Code(16, 16, shared=False)

    def train():
        register, seen = Value(code, "p8", 1, "@register"), code.given("rows")
        code.store(register, code.given("batches", "i8"))
        with subnormal_as_zero(code, processor):
            code.store(seen, code.load(register, "i8"))
        code.store(seen + 8, code.load(register, "i8"))

    code.function(SIGNATURE, train)
    lines = code.text.replace("llvm.x86.sse.", "").replace("llvm.aarch64.", "").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("declare"))
    engine, place, _ = compiled(REGISTERS[processor] + text)
    seen = np.zeros(2, np.int64)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(place)
    run(seen.ctypes.data, 0, usual, 0)
    assert engine
    assert seen.tolist() == [usual | bits, usual]


def halves_are_kept():
    """Whether this thread computes with subnormal numbers."""
    return bool((np.full(64, 1e-40, np.float32) * np.float32(0.5) > 0).all())


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("ends", [False, True], ids=["trains", "diverges"])
def test_threads_calculate_with_subnormal_numbers_after_a_training(size, ends):
    found = []

    def train():
        model = mg.Sequential(
            [mg.Dense(2, 4), mg.Dense(4, 1)],
            loss=mg.MeanSquaredError(),
            random_state=0,
            ensemble_size=size,
        )
        x, y = np.ones((160, 2)), np.ones(160)
        options = {"epochs": 3, "batch_size": 8, "verbose": 0, "compiled": True}
        try:
            model.fit(x, y, optimizer=mg.SGD(1e3 if ends else 1e-3), **options)
        except mg.DivergenceError:
            found.append("diverged")
        assert model.compiled_because is None
        found.append(halves_are_kept())

    train()
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == (["diverged", True] if ends else [True]) * 2
