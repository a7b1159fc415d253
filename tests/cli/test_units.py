"""The saved network takes and predicts the data's own units, as the scaled one was trained."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpgrad as mg
from mlpgrad.cli.units import in_own_units
from mlpgrad.datasets.splitting import Scaling

sizes = st.floats(-12, 12).map(lambda exponent: 10.0**exponent)


@settings(max_examples=50, deadline=None)
@given(
    widths=st.sampled_from([(3, 2), (3, 5, 2), (3, 4, 4, 2)]),
    size=sizes,
    ratio=st.floats(0, 1e4),
    target_size=sizes,
    seed=st.integers(0, 99),
)
def test_predictions_are_those_of_the_scaled_network(widths, size, ratio, target_size, seed):
    rng = np.random.default_rng(seed)
    x = size * (ratio + rng.normal(size=(20, 3)))
    y = target_size * (3 + rng.normal(size=(20, 2)))
    inputs, outputs = Scaling(x), Scaling(y)
    layers = []
    for wide, narrow in pairwise(widths):
        layers += [mg.Dense(wide, narrow), mg.Tanh()]
    model = mg.Sequential(layers[:-1], loss=mg.MeanSquaredError(), random_state=seed)
    model.params = rng.normal(size=model.params.shape)
    scaled = model.lifted(np.float64).predict(inputs(x))
    before = model.params.copy()
    found = in_own_units(model, inputs, outputs).predict(x)
    expected = scaled * outputs.deviation + outputs.mean
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * target_size)
    np.testing.assert_array_equal(model.params, before)
    only_inputs = in_own_units(model, inputs, None).predict(x)
    np.testing.assert_allclose(only_inputs, scaled, rtol=1e-8, atol=1e-8)
    assert in_own_units(model, None, None) is model


def test_a_constant_column_has_no_effect():
    x = np.c_[np.arange(5.0), np.full(5, 7.0)]
    scaling = Scaling(x)
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    unscaled = in_own_units(model, scaling, None)
    other = x + np.array([0, 100])
    np.testing.assert_allclose(unscaled.predict(other), model.predict(scaling(other)), rtol=1e-6)


def test_scaling_states_mean_and_deviation():
    x = np.random.default_rng(0).normal(1e6, 2, size=(50, 3)) * [1, 1e-200, 1e200]
    scaling = Scaling(x)
    np.testing.assert_allclose(scaling.mean, x.mean(axis=0), rtol=1e-13)
    unit = x / [1, 1e-200, 1e200]
    np.testing.assert_allclose(scaling.deviation / [1, 1e-200, 1e200], unit.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("layers", [[mg.Dense(2, 1, bias=False)], [mg.Tanh(), mg.Dense(2, 1)]])
def test_only_a_dense_layer_with_bias_can_take_the_scaling(layers):
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    with pytest.raises(TypeError, match="expects a Dense with bias"):
        in_own_units(model, Scaling(np.arange(6.0).reshape(3, 2)), None)
