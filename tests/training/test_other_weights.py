"""Validation of the network with weights that a callback gives: see `OtherWeights`."""

import numpy as np

import mlpgrad as mg
from mlpgrad.training.other_weights import OtherWeights


def network(*layers):
    layers = layers or (mg.Dense(3, 4), mg.Dropout(0.5), mg.Dense(4, 1))
    return mg.Sequential([*layers], loss=mg.HalfSquaredError(), dtype="float64", random_state=0)


class Own(mg.Activation):
    """Does not declare that its calls can be repeated, so it may keep arrays."""

    def apply(self, z, out):
        np.copyto(out, z)

    def slope(self, z, a, out):
        out.fill(1)


def test_one_copy_is_given_the_weights_of_each_call():
    model = network()
    others = OtherWeights(model)
    before = model.params.copy()
    first = others.with_params(before + 1)
    np.testing.assert_array_equal(first.params, before + 1)
    again = others.with_params(before + 2)
    assert again is first
    np.testing.assert_array_equal(again.params, before + 2)
    np.testing.assert_array_equal(model.params, before)
    model.rngs[0].random(7)
    again = others.with_params(before)
    assert again.rngs[0].bit_generator.state == model.rngs[0].bit_generator.state
    assert again.rngs[0] is not model.rngs[0]


def test_the_copy_follows_options_and_statistics():
    model = network(mg.Dense(3, 4), mg.BatchNorm(4), mg.LeakyReLU(0.1), mg.Dense(4, 1))
    others, x = OtherWeights(model), np.random.default_rng(0).normal(size=(8, 3))
    for change in (
        lambda: None,
        lambda: setattr(model.layers[2], "negative_slope", 0.5),
        lambda: setattr(model, "state", model.state + 0.25),
    ):
        change()
        found = others.with_params(model.params)
        np.testing.assert_array_equal(found.predict(x), model.predict(x))


def test_a_layer_that_may_keep_something_is_copied_each_time():
    model = network(mg.Dense(3, 1), Own())
    others = OtherWeights(model)
    assert others.with_params(model.params) is not others.with_params(model.params)
