"""Steps become machine code for other systems and processors, which needs no other library."""

import re

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

import llvmlite.binding as llvm

import mlpgrad as mg
from mlpgrad.training.compiled import program

X86, ARM = ("x86", 16), ("arm", 32)
TARGETS = {
    "Linux, AVX2": ("x86_64-unknown-linux-gnu", "haswell", *X86, 32),
    "Linux, AVX-512": ("x86_64-unknown-linux-gnu", "znver4", "x86", 32, 64),
    "before FMA": ("x86_64-unknown-linux-gnu", "x86-64", *X86, 16),
    "Linux, ARM": ("aarch64-unknown-linux-gnu", "neoverse-n1", *ARM, 16),
    "macOS, ARM": ("arm64-apple-darwin", "apple-m1", *ARM, 16),
    "macOS, AVX2": ("x86_64-apple-darwin", "haswell", *X86, 32),
    # llvmlite asks for ELF on Windows, too
    "Windows, AVX2": ("x86_64-pc-windows-msvc-elf", "haswell", *X86, 32),
    "Windows, AVX-512": ("x86_64-pc-windows-msvc-elf", "skylake-avx512", "x86", 32, 64),
    "Windows, ARM": ("aarch64-pc-windows-msvc-elf", "generic", *ARM, 16),
}
"""The triple, the processor's name, its family, and the number and bytes of vector registers."""
OTHERS = {"before FMA": {"fma", "fmaf"}}
"""A function call in place of an instruction takes so long that NumPy makes these steps."""
OUTSIDE = re.compile(r"\$([a-zA-Z_]\w*)|\b([a-zA-Z_]\w*)@|\b(?:callq?|jmp|bl?)\s+([a-zA-Z_]\w*)")
"""A name whose address is taken, in the assembly languages of both families."""
INSIDE = re.compile(r"^(\w+):", re.MULTILINE)


def networks(dtype):
    """Networks whose steps have all kinds of code, and an optimizer for each."""
    yield [mg.Dense(70, 300), mg.BatchNorm(300), mg.ReLU(), mg.Dense(300, 5)], mg.Adam(clip_norm=1)
    smooth = [mg.Tanh(), mg.Dense(9, 9), mg.GELU(), mg.LayerNorm(9), mg.Softplus()]
    yield [mg.Dense(70, 9), *smooth, mg.Dropout(0.2), mg.Dense(9, 5)], mg.SGD(0.1, max_norm=1.0)


@pytest.fixture(scope="module")
def tapes():
    """The tapes of the networks' steps."""
    rng, seen = np.random.default_rng(0), []
    x, y = rng.normal(size=(400, 70)), rng.integers(5, size=400)
    write = program.written.__wrapped__

    def written(tapes, shared):
        seen.append((tapes, shared))
        return write(tapes, shared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "written", written)
        for dtype in (np.float32, np.float64):
            for layers, rule in networks(dtype):
                loss = mg.SoftmaxCrossEntropy()
                model = mg.Sequential(layers, loss=loss, random_state=0, dtype=dtype)
                model.fit(x, y, optimizer=rule, epochs=1, batch_size=80, verbose=0, compiled=True)
                assert model.compiled_because is None
    assert len(seen) == 4
    return seen


def outside(tapes, name, monkeypatch):
    """The functions that the code of a target calls outside of itself."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple, cpu, *described = TARGETS[name]
    for attribute, value in zip(("processor", "registers", "width"), described, strict=True):
        monkeypatch.setattr(program.machine(), attribute, value)
    target = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=1, jit=True)
    called = set()
    for tape, shared in tapes:
        module = llvm.parse_assembly(program.written.__wrapped__(tape, shared)[0])
        module.triple = triple
        module.verify()
        code = target.emit_assembly(module)
        prefix = "_" if "darwin" in triple else ""
        names = {"".join(found) for found in OUTSIDE.findall(code)} - {*INSIDE.findall(code)}
        called |= {name.removeprefix(prefix) for name in names}
    return called


@pytest.mark.parametrize("name", TARGETS)
def test_the_code_calls_no_library(tapes, name, monkeypatch):
    assert outside(tapes, name, monkeypatch) == {"memcpy"} | OTHERS.get(name, set())


def test_a_processor_without_fma_is_left_to_numpy(monkeypatch):
    monkeypatch.setattr(program.machine(), "fuses", False)
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    model.fit(np.ones((8, 2)), np.ones(8), optimizer=mg.SGD(0.1), verbose=0, compiled=True)
    assert "without fused multiply-add" in model.compiled_because
