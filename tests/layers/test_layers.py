"""Layers: PyTorch's numbers, randomness, statistics, and nested blocks."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpgrad as mg

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/losses_activations.json").read_text())


class Given(mg.Loss):
    """The loss sum_bk delta_bk y_bk, whose delta is the target: any delta can be given."""

    def losses(self, prediction, target):
        return (prediction * target).sum(axis=-1)

    def slopes(self, prediction, target, out):
        out[...] = target


def network(*layers, **options):
    options = {"dtype": "float64", "random_state": 0} | options
    return mg.Sequential(list(layers), loss=Given(), **options)


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def directional(model, x, y):
    """dL/dx by the complex step, with the model's randomness restored each time."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        twin = model.lifted(np.complex128)
        moved = x.astype(complex)
        moved[index] += 1e-200j
        gradient[index] = twin.backpropagate(moved, y).imag / 1e-200
    return gradient


# PyTorch's numbers


@pytest.mark.parametrize("name", GOLDEN["layers"])
def test_outputs_and_gradients_are_pytorchs(name):
    case = {key: np.array(value) for key, value in GOLDEN["layers"][name].items()}
    model = network(eval(name, vars(mg).copy()))
    if "gain" in case:
        model.set_weights(
            model.get_weights() | {"layers[0].gain": case["gain"], "layers[0].bias": case["bias"]}
        )
        model.backpropagate(case["first"], case["delta"])
    batch = len(case["x"])
    input_delta = model.input_gradient(case["x"], batch * case["delta"])  # the loss averages
    layer = model.layers[0]
    assert_allclose(layer.outputs, case["y"], rtol=1e-13, atol=1e-14)
    assert_allclose(input_delta, case["input_delta"], rtol=1e-12, atol=1e-14)
    for parameter, gradient in layer.gradients.items():
        assert_allclose(gradient, case[f"grad_{parameter}"], rtol=1e-12, atol=1e-14)
    for statistic, value in layer.state.items():
        assert_allclose(value, case[statistic], rtol=1e-13)
    assert_allclose(model.predict(case["x"]), case.get("predicted", case["y"]), rtol=1e-12)


def scaled_dense():
    """A Dense layer with one more parameter, before or after the others."""

    class Scaled(mg.Dense):
        first = False

        def parameters(self):
            scale = {"scale": ((self.out_features,), mg.Zeros())}
            own = super().parameters()
            return scale | own if self.first else own | scale

    class ScaledFirst(Scaled):
        first = True

    return [Scaled(4, 3), ScaledFirst(4, 3)]


@pytest.mark.parametrize("batch", [1, 6, 5000])  # in small batches the bias is a row of the weights
@pytest.mark.parametrize("layer", [mg.Dense(4, 3), *scaled_dense()], ids=lambda a: type(a).__name__)
def test_dense_is_its_three_formulas(layer, batch):
    layer = copy.deepcopy(layer)
    model = network(layer)
    layer.params.bias[...] = [1, 2, 3]
    x, delta = data(batch, 4), data(batch, 3, seed=1)
    input_delta = model.input_gradient(x, batch * delta)
    w = layer.params.weights
    close = {"rtol": 1e-13, "atol": 1e-13}
    assert_allclose(layer.inputs, x)
    assert_allclose(layer.outputs, np.einsum("bi,io->bo", x, w) + layer.params.bias, **close)
    assert_allclose(layer.gradients["weights"], np.einsum("bi,bo->io", x, delta), **close)
    assert_allclose(layer.gradients["bias"], delta.sum(axis=0), **close)
    assert_allclose(input_delta, np.einsum("bo,io->bi", delta, w), **close)
    assert_allclose(model.predict(x), layer.outputs, **close)


def test_dense_without_bias():
    model = network(mg.Dense(4, 3, bias=False))
    assert [slot.kind for slot in model.parameters] == ["weights"]
    assert not model.predict(np.zeros((2, 4))).any()


# Dropout


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    model = network(mg.Dropout(0.3))
    x = np.ones((200, 500))
    model.backpropagate(x, x)
    y = model.layers[0].outputs
    assert_allclose(np.unique(y), [0, 1 / 0.7])
    assert abs((y == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / y.size)
    assert_array_equal(model.predict(x), x)


def test_dropout_passes_delta_through_the_same_mask():
    model = network(mg.Dropout(0.4))
    x, delta = data(5, 6), data(5, 6, seed=1)
    input_delta = model.input_gradient(x, 5 * delta)
    mask = model.layers[0].outputs / x
    assert 0 < (mask == 0).sum() < mask.size
    assert_allclose(input_delta, mask * delta, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "longdouble", "complex128"])
def test_the_mask_does_not_depend_on_the_dtype(dtype):
    x = np.ones((20, 30))
    masks = []
    for kind in ("float64", dtype):
        model = network(mg.Dropout(0.5), dtype=kind, random_state=3)
        model.backpropagate(x, x)
        masks.append(model.layers[0].outputs != 0)
    assert_array_equal(*masks)


def test_each_member_draws_its_own_mask():
    model = network(mg.Dropout(0.5), mg.Dense(6, 2), ensemble_size=3)
    members = [model.member(i) for i in range(3)]
    x, y = data(8, 6), data(8, 2, seed=1)
    for _ in range(2):
        values = model.backpropagate(x, y)
        for i, member in enumerate(members):
            assert_allclose(values[i], member.backpropagate(x, y), rtol=1e-13)
            assert_array_equal(model.layers[0].outputs[i], member.layers[0].outputs)
    masks = model.layers[0].outputs != 0
    assert (masks[0] != masks[1]).any()


def test_dropout_shows_the_ensemble_axis_in_predictions():
    model = network(mg.Dropout(0.5), ensemble_size=3)
    x = data(4, 5)
    assert_array_equal(model.predict(x), np.stack([x] * 3))


@pytest.mark.parametrize("probability", [-0.1, 1.0, np.nan])
def test_dropout_refuses_to_drop_all(probability):
    with pytest.raises(ValueError, match="drop_probability from 0 to below 1"):
        mg.Dropout(probability)


def test_a_drop_probability_of_zero_changes_nothing():
    model = network(mg.Dropout(0.0))
    x = data(4, 5)
    model.backpropagate(x, x)
    assert_array_equal(model.layers[0].outputs, x)


# BatchNorm and LayerNorm


def test_batch_norm_of_one_sample_has_no_spread():
    model = network(mg.Dense(3, 2), mg.BatchNorm(2))
    layer = model.layers[1]
    layer.params.bias[...] = [5, 7]
    before = model.state.copy()
    model.backpropagate(data(1, 3), data(1, 2))
    assert_array_equal(layer.outputs, [[5, 7]])
    assert not model.layers[0].delta.any()
    assert_array_equal(model.state, before)


def test_batch_norm_follows_the_data():
    model = network(mg.BatchNorm(2, momentum=0.2))
    rng = np.random.default_rng(0)
    for _ in range(60):
        x = rng.normal([1, -4], [3, 0.5], (400, 2))
        model.backpropagate(x, x)
    weights = model.get_weights()
    assert_allclose(weights["layers[0].running_mean"], [1, -4], rtol=0.1)
    assert_allclose(weights["layers[0].running_var"], [9, 0.25], rtol=0.1)
    y = model.predict(x)
    assert_allclose(y.mean(axis=0), 0, atol=0.15)
    assert_allclose(y.std(axis=0), 1, rtol=0.1)


def test_frozen_batch_norm_has_the_gradient_of_its_running_statistics():
    model = network(mg.Dense(3, 4), mg.BatchNorm(4))
    x, y = data(5, 3), data(5, 4, seed=1)
    for _ in range(3):
        model.backpropagate(x, y)
    model.layers[1].training = False
    before = model.state.copy()
    model.backpropagate(x, y)
    assert_array_equal(model.state, before)
    gain, bias = model.layers[1].params.items()
    running = model.layers[1].state
    inverse = 1 / np.sqrt(running.running_var + 1e-5)
    normal = (model.layers[0].outputs - running.running_mean) * inverse
    assert_allclose(model.layers[1].outputs, gain[1] * normal + bias[1], rtol=1e-13)
    assert_allclose(model.layers[0].delta, y / 5 * gain[1] * inverse, rtol=1e-13)
    assert_allclose(model.layers[1].gradients["gain"], (y / 5 * normal).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("make", [mg.BatchNorm, mg.LayerNorm])
def test_an_ensemble_normalises_each_member_by_itself(make):
    model = network(make(4), mg.Dense(4, 2), ensemble_size=3)
    model.params = model.params + 0.3 * data(*model.params.shape)
    x, y = data(3, 6, 4), data(6, 2, seed=1)
    for inputs in (x, x[0]):
        members = [model.member(i) for i in range(3)]
        model.backpropagate(inputs, y)
        for i, member in enumerate(members):
            member.backpropagate(inputs[i] if inputs.ndim == 3 else inputs, y)
            assert_allclose(model.grads[i], member.grads, rtol=1e-12, atol=1e-15)
            assert_allclose(model.state[i], member.state, rtol=1e-13)


def test_layer_norm_treats_each_sample_by_itself():
    model = network(mg.LayerNorm(6, epsilon=1e-12))
    x = 3 * data(5, 6) + 2
    y = model.predict(x)
    assert_allclose(y.mean(axis=1), 0, atol=1e-14)
    assert_allclose(y.std(axis=1), 1, rtol=1e-9)
    assert_allclose(model.predict(x[2:3]), y[2:3], rtol=1e-13)


@pytest.mark.parametrize("make", [mg.BatchNorm, mg.LayerNorm, lambda _: mg.Softmax()])
def test_constant_inputs_give_finite_numbers(make):
    model = network(mg.Dense(5, 5), make(5))
    model.params = model.params * 0
    model.backpropagate(data(4, 5), data(4, 5))
    assert np.isfinite(model.grads).all()


# Residual


def deep_block():
    inner = mg.Residual([mg.Dense(5, 5), mg.LayerNorm(5), mg.Tanh()])
    return mg.Residual(
        [mg.Dropout(0.3), mg.Dense(4, 5), mg.BatchNorm(5), inner, mg.SiLU(), mg.Dense(5, 4)]
    )


def test_residual_adds_its_input():
    model = network(mg.Residual([mg.Dense(4, 4), mg.Tanh()]))
    x, delta = data(6, 4), data(6, 4, seed=1)
    block = model.layers[0]
    input_delta = model.input_gradient(x, 6 * delta)
    w, a = block.layers[0].params.weights, block.layers[1].outputs
    assert_allclose(block.outputs, x + np.tanh(x @ w), rtol=1e-13)
    assert_allclose(input_delta, delta + (delta * (1 - a * a)) @ w.T, rtol=1e-12)


@pytest.mark.parametrize("position", ["first", "middle"])
def test_blocks_inside_blocks_have_right_gradients(position):
    before = [mg.Dense(4, 4)] if position == "middle" else []
    model = network(*before, deep_block(), mg.Dense(4, 2))
    x, y = data(6, 4), data(6, 2, seed=1)
    expected = directional(model, x, y)
    state = model.state.copy()
    at = model.params.copy()
    gradient = model.lifted(np.float64)
    assert_allclose(gradient.input_gradient(x, y), expected, rtol=1e-9, atol=1e-14)
    stepped = np.empty_like(at)
    for i in range(len(at)):
        twin = model.lifted(np.complex128)
        twin.params[i] += 1e-200j
        stepped[i] = twin.backpropagate(x, y).imag / 1e-200
    model.backpropagate(x, y)
    assert_allclose(model.grads, stepped, rtol=1e-9, atol=1e-14)
    assert (model.state != state).any()


def test_predictions_leave_blocks_alone():
    model = network(deep_block(), mg.Dense(4, 2))
    x, y = data(6, 4), data(6, 2, seed=1)
    model.backpropagate(x, y)
    grads, state = model.grads.copy(), model.state.copy()
    inner = model.layers[0].layers[1]
    seen = inner.inputs
    first = model.predict(x[:3])
    assert_array_equal(model.predict(x[:3]), first)  # no dropout inside the block
    assert_array_equal(inner.inputs, seen)
    assert_array_equal(model.grads, grads)
    assert_array_equal(model.state, state)
    twin_layers = model._prediction.twins()[0].layers
    assert not any(a is b for a, b in zip(twin_layers, model.layers[0].layers, strict=True))
    assert not any(layer.training for layer in twin_layers)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_blocks_are_bound_to_their_own_params(clone):
    model = network(deep_block())
    twin = clone(model)
    x, y = data(6, 4), data(6, 4, seed=1)
    assert model.backpropagate(x, y) == twin.backpropagate(x, y)
    assert_array_equal(model.grads, twin.grads)
    twin.params = 0 * twin.params
    assert not twin.layers[0].layers[3].layers[0].params.weights.any()
    assert model.layers[0].layers[3].layers[0].params.weights.any()


def test_an_ensemble_of_blocks_equals_its_members():
    model = network(deep_block(), mg.Dense(4, 2), ensemble_size=2)
    members = [model.member(i) for i in range(2)]
    x, y = data(6, 4), data(6, 2, seed=1)
    values = model.backpropagate(x, y)
    for i, member in enumerate(members):
        assert_allclose(values[i], member.backpropagate(x, y), rtol=1e-12)
        assert_allclose(model.grads[i], member.grads, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [mg.Dense(4, 3)], "got 4 in and 3 out"),
        (lambda: [mg.Dense(4, 3), mg.Dense(4, 4)], r"layer Residual\.1 .* expects 4 features"),
        (list, "at least one layer"),
        (lambda: [mg.Tanh] * 1, r"write Tanh\(\.\.\.\)"),
        (lambda: [mg.Tanh()] * 2, "same object"),
    ],
)
def test_blocks_that_do_not_fit(layers, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mg.Residual(layers())


def test_a_block_without_widths_takes_any():
    block = mg.Residual([mg.Tanh()])
    assert block.in_features is None
    x = data(3, 7)
    assert_allclose(network(block).predict(x), x + np.tanh(x), rtol=1e-14)


# Softmax


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_at_ten_thousand(dtype):
    model = network(mg.Softmax(), dtype=dtype)
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, 0]])
    assert_allclose(model.predict(x), [[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]], rtol=1e-6)
    assert np.isfinite(model.input_gradient(x, x)).all()


def test_softmax_over_many_classes():
    model = network(mg.Softmax())
    x = data(4, 60)
    assert_allclose(model.predict(x), np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), rtol=1e-13)


def test_softmax_and_cross_entropy_equal_the_fused_loss():
    x, y = data(8, 4), np.arange(8) % 3
    layers = [mg.Dense(4, 3), mg.Softmax()]
    apart = mg.Sequential(layers, loss=mg.CrossEntropy(), dtype="float64", random_state=0)
    fused = mg.Sequential(
        [mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy(), dtype="float64", random_state=0
    )
    assert_allclose(apart.backpropagate(x, y), fused.backpropagate(x, y), rtol=1e-13)
    assert_allclose(apart.grads, fused.grads, rtol=1e-11, atol=1e-15)
    assert_allclose(apart.predict_proba(x), fused.predict_proba(x), rtol=1e-13)
