"""A mistake is found beside arrays, outputs and terms of any other size."""

import numpy as np
import pytest

import mlpgrad as mg

RATIOS = (1e-24, 1e-9, 1.0, 1e9, 1e24)
"""The size of the part with the mistake, relative to the other part."""


class Stored:
    """f = sum sin(p / scale) of two arrays, and a gradient that stores values of one of them."""

    def __init__(self, ratio, mistake):
        self.scale = {"a": 1.0, "b": ratio}
        self.mistake, self.calls, self.seen, self.total = mistake, 0, None, 0.0

    def value(self, p):
        self.seen = p["b"].copy()
        return sum(float(np.sum(np.sin(p[k] / s))) for k, s in self.scale.items())

    def gradient(self, p):
        self.calls += 1
        found = {k: np.cos(p[k] / s) / s for k, s in self.scale.items()}
        found["b"] = getattr(self, self.mistake)(p["b"], found["b"])
        return found

    def accumulated(self, p, g):
        self.total = self.total + g
        return self.total

    def second_call(self, p, g):
        return 1.5 * g if self.calls == 2 else g

    def from_value(self, p, g):
        return np.cos(self.seen / self.scale["b"]) / self.scale["b"]

    def first_kept(self, p, g):
        self.total = g if self.calls == 1 else self.total
        return self.total


VERDICTS = {
    "accumulated": "ACCUMULATES",
    "second_call": "NON_REENTRANT",
    "from_value": "STALE_CACHE",
    "first_kept": "STALE_CACHE",
}


@pytest.mark.parametrize("method", ["auto", "central", "coordinates"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("mistake", VERDICTS)
def test_values_kept_between_calls_are_found_in_an_array_of_any_size(mistake, ratio, method):
    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=3), "b": ratio * rng.normal(size=4)}
    tested = Stored(ratio, mistake)
    report = mg.check_gradient(tested.value, tested.gradient, params, method=method)
    assert report.verdict.value == VERDICTS[mistake], str(report)
    assert "params['b']" in report.protocol[report.verdict]


def test_a_stored_gradient_is_found_beside_a_large_array():
    rng = np.random.default_rng(1)
    params = {"a": rng.normal(size=(400, 300)), "b": rng.normal(size=4)}
    tested = Stored(1.0, "first_kept")
    report = mg.check_gradient(tested.value, tested.gradient, params)
    assert report.verdict.value == "STALE_CACHE", str(report)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("ratio", RATIOS)
def test_outputs_of_any_size_count_in_a_vector_jacobian_product(ratio, joined):
    x = np.random.default_rng(2).normal(size=4)

    def f(x):
        parts = np.sin(x), ratio * np.cos(x)
        return np.concatenate(parts) if joined else {"large": parts[0], "small": parts[1]}

    def vjp(x, v, factor=1.0):
        first, second = (v[:4], v[4:]) if joined else (v["large"], v["small"])
        return np.cos(x) * first - factor * ratio * np.sin(x) * second

    assert mg.check_vjp(f, vjp, x).verdict.value == "PASS"
    for wrong in (0.0, -1.0, 1.001):
        report = mg.check_vjp(f, lambda x, v, wrong=wrong: vjp(x, v, wrong), x)
        assert report.verdict.value == "FAIL", str(report)


def test_the_product_is_linear_in_v_for_each_array():
    x = {"a": np.ones(3), "b": np.full(3, 0.5)}

    def f(x):
        return np.concatenate([1e9 * x["a"], np.sin(x["b"])])

    def vjp(x, v):
        return {"a": 1e9 * v[:3], "b": np.cos(x["b"]) * np.clip(v[3:], -1, 1)}

    v = np.array([1.0, 2.0, 3.0, 0.9, 0.8, 0.7])
    report = mg.check_vjp(f, vjp, x, v=v)
    assert report.verdict.value == "NOT_LINEAR_IN_SEED", str(report)


@pytest.mark.parametrize("gives_gradient", [True, False])
@pytest.mark.parametrize("ratio", [1e-9, 1e-6, 1.0, 1e6, 1e9])
def test_arrays_of_any_size_count_in_a_hessian_vector_product(ratio, gives_gradient):
    rng = np.random.default_rng(3)
    x = {"a": rng.normal(size=3), "b": ratio * rng.normal(size=3)}

    def f(x):
        return float(np.sum(np.sin(x["a"])) * np.sum(np.sin(x["b"] / ratio)))

    def gradient(x):
        a, b = x["a"], x["b"] / ratio
        return {
            "a": np.cos(a) * np.sum(np.sin(b)),
            "b": np.sum(np.sin(a)) * np.cos(b) / ratio,
        }

    def hvp(x, v, mixed=1.0):
        a, b, va, vb = x["a"], x["b"] / ratio, v["a"], v["b"] / ratio
        with_b = -np.sin(a) * va * np.sum(np.sin(b)) + mixed * np.cos(a) * (np.cos(b) @ vb)
        with_a = mixed * (np.cos(a) @ va) * np.cos(b) - np.sum(np.sin(a)) * np.sin(b) * vb
        return {"a": with_b, "b": with_a / ratio}

    of = gradient if gives_gradient else f
    assert mg.check_hvp(of, hvp, x).verdict.value == "PASS"
    report = mg.check_hvp(of, lambda x, v: hvp(x, v, 0.0), x)
    assert [tensor.verdict.value for tensor in report.tensors] == ["FAIL", "FAIL"], str(report)
