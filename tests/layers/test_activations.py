"""Activations agree with PyTorch's values and slopes and complex steps, without overflow."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr

import mlpgrad as mg
from tests.kinds import compare_with_golden, every, subclasses

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/losses_activations.json").read_text())
ACTIVATIONS = subclasses(mg.Activation)
LACKING = {"Elementwise": "it is the user's own function"}
each = every(ACTIVATIONS)
EXTREME = [-1e4, -300.0, -90.0, -20.0, -1.0, 0.0, 1.0, 20.0, 90.0, 300.0, 1e4]


def values_and_slopes(activation, z):
    a, slope = np.empty_like(z), np.empty_like(z)
    activation.apply(z, a)
    activation.slope(z, a, slope)
    return a, slope


@pytest.mark.parametrize("name", GOLDEN["activations"]["of"])
def test_values_and_slopes_are_pytorchs(name):
    expected = GOLDEN["activations"]["of"][name]
    activation = eval(name, vars(mg).copy())
    a, slope = values_and_slopes(activation, np.array(GOLDEN["activations"]["z"]))
    assert_allclose(a, expected["a"], rtol=1e-13, atol=1e-15)
    assert_allclose(slope, expected["slope"], rtol=1e-13, atol=3e-16)


def test_every_activation_has_golden_values():
    named = {name.partition("(")[0] for name in GOLDEN["activations"]["of"]}
    compare_with_golden(ACTIVATIONS, named, LACKING, "tests/golden/make_losses_activations.py")


@each
def test_slope_is_the_complex_step_derivative(cls):
    z = np.array([-7.3, -1.9, -0.4, -1e-9, 1e-9, 0.3, 2.2, 8.1, 25.0])
    _, slope = values_and_slopes(cls.example(), z)
    stepped, _ = values_and_slopes(cls.example(), z + 1e-200j)
    assert_allclose(slope, stepped.imag / 1e-200, rtol=1e-14, atol=5e-16)
    assert_allclose(stepped.real, values_and_slopes(cls.example(), z)[0], rtol=1e-14, atol=1e-15)


@each
@pytest.mark.parametrize("dtype", "fdgFD")
def test_finite_and_right_at_ten_thousand(cls, dtype):
    z = np.array(EXTREME, dtype)
    a, slope = values_and_slopes(cls.example(), z)  # warnings are errors here
    assert a.dtype == slope.dtype == z.dtype
    exact, exact_slope = values_and_slopes(cls.example(), np.array(EXTREME))
    precision = max(np.finfo(z.dtype).eps, np.finfo(float).eps)
    allowed = 8 * precision * (1 + abs(np.array(EXTREME)))  # the rounding error of z
    assert (abs(a - exact) <= allowed).all()
    assert (abs(slope - exact_slope) <= allowed).all()


LIMITS = {  # values and slopes at -1e4 and 1e4
    mg.Sigmoid: (0, 1, 0, 0),
    mg.Tanh: (-1, 1, 0, 0),
    mg.Softsign: (-1e4 / 10001, 1e4 / 10001, 1 / 10001**2, 1 / 10001**2),
    mg.ReLU: (0, 1e4, 0, 1),
    mg.LeakyReLU: (-100, 1e4, 0.01, 1),
    mg.ELU: (-1, 1e4, 0, 1),
    mg.Softplus: (0, 1e4, 0, 1),
    mg.SiLU: (0, 1e4, 0, 1),
    mg.GELU: (0, 1e4, 0, 1),
    mg.Mish: (0, 1e4, 0, 1),
}


@pytest.mark.parametrize("cls", LIMITS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("dtype", "fd")
def test_limits(cls, dtype):
    a, slope = values_and_slopes(cls(), np.array([-1e4, 1e4], dtype))
    assert_allclose([*a, *slope], LIMITS[cls], rtol=1e-6, atol=0)


@each
def test_kinks_are_where_the_slope_jumps_and_nowhere_else(cls):
    activation = cls.example()
    z = np.linspace(-8, 8, 1601)
    _, left = values_and_slopes(activation, z - 1e-9)
    _, right = values_and_slopes(activation, z + 1e-9)
    assert_allclose(z[abs(right - left) > 1e-3], activation.kinks, atol=1e-12)


def test_kink_signature_tells_the_side():
    z = np.array([-1.0, 0.0, 2.0])
    assert_array_equal(mg.ReLU().kink_signature(z), [-1, 0, 1])
    assert mg.Tanh().kink_signature(z) is None
    assert mg.ELU().kink_signature(z) is None
    assert_array_equal(mg.ELU(2.0).kink_signature(z), [-1, 0, 1])


def test_a_users_function_with_two_kinks():
    class HardTanh(mg.Activation):
        kinks = (-1.0, 1.0)

        def apply(self, z, out):
            np.clip(z, -1, 1, out=out)

        def slope(self, z, a, out):
            out[...] = (z > -1) & (z < 1)

    sides = HardTanh().kink_signature(np.array([-3.0, 0.0, 3.0]))
    assert len(set(sides)) == 3


def test_elementwise_is_the_users_function():
    layers = [mg.Dense(3, 4), mg.Elementwise(np.sin, np.cos), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    x = np.random.default_rng(0).normal(size=(5, 3))
    model.backpropagate(x, x[:, :1])
    hidden = model.layers[1]
    assert_array_equal(hidden.outputs, np.sin(hidden.pre_activations))
    assert_array_equal(model.layers[0].delta, np.cos(hidden.pre_activations) * hidden.delta)
    assert repr(hidden) == "Elementwise(sin, cos)"


def test_apply_takes_a_shared_input_and_a_strided_one():
    z = np.random.default_rng(0).normal(size=(8, 6))
    for cls in ACTIVATIONS:
        activation = cls.example()
        a, slope = values_and_slopes(activation, z[::2, ::3].copy())
        tiled, tiled_slope = np.empty((3, 4, 2)), np.empty((3, 4, 2))
        activation.apply(z[::2, ::3], tiled)
        activation.slope(z[::2, ::3], tiled, tiled_slope)
        assert_allclose(tiled, np.stack([a] * 3), rtol=1e-15)
        assert_allclose(tiled_slope, np.stack([slope] * 3), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_has_its_slope_at_the_smallest_numbers_too(dtype):
    numbers = np.finfo(dtype)
    small = np.array([0, numbers.smallest_subnormal, 7 * numbers.smallest_subnormal, numbers.tiny])
    z = np.concatenate([small, -small, [-40, -9, -3, -1e-20, 1e-20, 1e-3, 3, 9, 40]]).astype(dtype)
    a, slope = np.empty_like(z), np.empty_like(z)
    gelu = mg.GELU()
    gelu.apply(z, a)
    gelu.slope(z, a, slope)
    exact = ndtr(z.astype(float)) + z * np.exp(-0.5 * z.astype(float) ** 2) / np.sqrt(2 * np.pi)
    assert_allclose(slope, exact, rtol=4 * numbers.eps, atol=numbers.eps)
    assert_array_equal(slope[:8], dtype(0.5))


@pytest.mark.parametrize("slope", [-0.1, 1.0, np.nan])
def test_leaky_relu_refuses_a_slope_that_bends_the_other_way(slope):
    with pytest.raises(ValueError, match="negative_slope from 0 to below 1"):
        mg.LeakyReLU(slope)
