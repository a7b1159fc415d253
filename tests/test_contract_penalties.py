"""The promises of every penalty."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import ENSEMBLE, every, every_dtype, example, one_and_many, subclasses

PENALTIES = subclasses(mg.Penalty)
every_penalty = every(PENALTIES)


def changed(cls, **options):
    """An object of a class with other options than the example."""
    return cls(**example(cls).config() | options)


def network(penalties, size=None, dtype=np.float64):
    """A small network with every kind of parameter, and data."""
    layers = [mg.Dense(3, 4), mg.LayerNorm(4), mg.Tanh(), mg.Dense(4, 2)]
    model = mg.Sequential(
        layers,
        loss=mg.MeanSquaredError(),
        penalties=penalties,
        dtype=dtype,
        random_state=0,
        ensemble_size=size,
    )
    rng = np.random.default_rng(1)
    model.params = rng.normal(size=model.params.shape)
    return model, rng.normal(size=(6, 3)), rng.normal(size=(6, 2))


def parameters(*shape, dtype=np.float64):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@every_penalty
@every_dtype
@pytest.mark.parametrize("shape", [(7,), (ENSEMBLE, 7), (5000,)])
def test_a_value_for_each_network_and_a_slope_for_each_parameter(cls, dtype, shape):
    params, out = parameters(*shape, dtype=dtype), np.full(shape, np.nan, dtype)
    before = params.copy()
    value = np.asarray(example(cls).value(params))
    example(cls).slope(params, out)  # overwrites the array
    assert value.shape == shape[:-1]
    assert (value > 0).all()
    assert value.dtype == dtype
    assert np.isfinite(value).all()
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(params, before)


@every_penalty
def test_nothing_is_penalised_at_zero(cls):
    assert example(cls).value(np.zeros(5)) == 0


@every_penalty
def test_slopes_are_central_differences(cls):
    penalty, params, out = example(cls), parameters(9), np.empty(9)
    penalty.slope(params, out)
    numeric = np.empty(9)
    for i in range(9):
        step = np.zeros(9)
        step[i] = 1e-6
        numeric[i] = (penalty.value(params + step) - penalty.value(params - step)) / 2e-6
    np.testing.assert_allclose(out, numeric, rtol=1e-7, atol=1e-9)


@every_penalty
def test_an_ensemble_equals_a_loop_over_its_members(cls):
    params = parameters(ENSEMBLE, 9)
    together, apart = np.empty_like(params), np.empty_like(params)
    example(cls).slope(params, together)
    for row, out in zip(params, apart, strict=True):
        example(cls).slope(row, out)
    values = [example(cls).value(row) for row in params]
    np.testing.assert_allclose(example(cls).value(params), values, rtol=1e-14)
    np.testing.assert_array_equal(together, apart)


@every_penalty
@one_and_many
@pytest.mark.parametrize("kinds", [("weights",), ("bias",), ("weights", "bias", "gain")])
def test_it_acts_on_the_kinds_it_names(cls, size, kinds):
    penalty = changed(cls, kinds=kinds)
    plain, x, y = network([], size)
    model, _, _ = network([penalty], size)
    difference = np.asarray(model.backpropagate(x, y)) - plain.backpropagate(x, y)
    named = [slot for slot in model.parameters if slot.kind in kinds]
    assert named
    expected = sum(
        penalty.value(slot.layer.params[slot.kind].reshape(*model.lead, -1)) for slot in named
    )
    np.testing.assert_allclose(difference, expected, rtol=1e-12)
    np.testing.assert_allclose(model.penalty(), expected, rtol=1e-12)
    for ours, theirs in zip(model.parameters, plain.parameters, strict=True):
        same = np.array_equal(ours.layer.grads[ours.kind], theirs.layer.grads[theirs.kind])
        assert same == (ours.kind not in kinds)


@every_penalty
def test_fit_refuses_names_that_no_array_has(cls):
    def train(kinds, decay_kinds):
        model, x, y = network([changed(cls, kinds=kinds)])
        optimizer = mg.SGD(0.1, weight_decay=0.1, decay_kinds=decay_kinds)
        model.fit(x, y, optimizer=optimizer, epochs=1, verbose=0)

    train(("weights", "gains"), ("bias",))
    train((), ())
    with pytest.raises(
        ValueError, match=r"penalties\[0\].kinds = \('weight',\) has no effect: .*'bia"
    ):
        train(("weight",), ("weights",))
    with pytest.raises(ValueError, match=r"decay_kinds = \('biases',\) has no effect: .*'weights'"):
        train(("weights",), ("biases",))


@every_penalty
@one_and_many
@every_dtype
def test_a_strength_of_zero_changes_nothing(cls, size, dtype):
    plain, x, y = network([], size, dtype)
    model, _, _ = network([changed(cls, strength=0.0)], size, dtype)
    np.testing.assert_array_equal(model.backpropagate(x, y), plain.backpropagate(x, y))
    np.testing.assert_array_equal(model.grads, plain.grads)


@every_penalty
def test_the_checker_agrees(cls):
    report = mg.check_gradients(*network([changed(cls, kinds=("weights", "bias"))]), seed=0)
    assert report, str(report)


@every_penalty
def test_kinks_are_told_by_their_signature(cls):
    penalty = example(cls)
    slopes = []
    for params in (np.full(3, -1e-9), np.full(3, 1e-9)):
        penalty.slope(params, out := np.empty(3))
        slopes.append(out)
    jumps = abs(slopes[1] - slopes[0]).max() > 1e-6
    left, right = (penalty.kink_signature(params) for params in (np.full(3, -1e-9), np.ones(3)))
    assert jumps == (left is not None and not np.array_equal(left, right))
