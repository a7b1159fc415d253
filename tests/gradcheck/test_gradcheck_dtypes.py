"""Parameters, and gradients, whose arrays have different dtypes."""

import itertools

import numpy as np
import pytest

import mlpgrad as mg

MIXED = [pair for pair in itertools.product(("f2", "f4", "f8"), repeat=2) if len(set(pair)) > 1]
FOUND = {"f2": 0.1, "f4": 1e-3, "f8": 1e-6}
"""An error that shows in a gradient of this dtype."""


def layer(dtype):
    """The squared error of a layer with data in one dtype, its gradient, and its parameters."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 4)).astype(dtype), rng.normal(size=(60, 3)).astype(dtype)

    def f(p):
        return float(((np.tanh(x @ p["w"] + p["b"]) - y) ** 2).mean())

    def gradient(p):
        h = np.tanh(x @ p["w"] + p["b"])
        delta = 2 * (h - y) / h.size * (1 - h * h)
        return {"w": x.T @ delta, "b": delta.sum(axis=0)}

    return f, gradient, {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}


@pytest.mark.parametrize("data", ["f4", "f8"])
@pytest.mark.parametrize("dtypes", MIXED, ids="-".join)
def test_each_array_of_a_gradient_is_judged_by_its_own_digits(dtypes, data):
    f, gradient, start = layer(data)
    dtypes = dict(zip("wb", dtypes, strict=True))
    params = {name: start[name].astype(dtype) for name, dtype in dtypes.items()}
    for seed in range(6):
        for wrong, cast in itertools.product(("", "w", "b"), (False, True)):

            def tested(p, wrong=wrong, cast=cast):
                found = gradient(p)
                if wrong:
                    found[wrong] = found[wrong] * (1 + FOUND[dtypes[wrong]])
                return {k: v.astype(dtypes[k] if cast else v.dtype) for k, v in found.items()}

            report = mg.check_gradient(f, tested, params, seed=seed)
            assert report.verdict.value == ("FAIL" if wrong else "PASS"), str(report)


def test_a_gradient_with_fewer_digits_than_its_parameter_is_named():
    f, gradient, params = layer("f8")
    report = mg.check_gradient(
        f, lambda p: gradient(p) | {"b": gradient(p)["b"].astype("f4")}, params
    )
    assert report.verdict.value == "DTYPE"
    assert "params['b'] has dtype float32, the parameter float64" in str(report)
