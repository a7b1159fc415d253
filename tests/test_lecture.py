"""The founding document, formula by formula, in plain Python lists and loops.

R. Soletskyi, "Backpropagation" (2018). Each numbered formula (1) to (9) is one function on
lists `wa[i][j]`, `wb[j][k]`; the library must agree with them to 1e-12 in float64.
"""

import math
from itertools import pairwise

import numpy as np
import pytest

import mlpgrad as mg

TOLERANCE = 1e-12


# the lecture's formulas


def sigmoid(s):
    """(1): the logistic function."""
    return 1 / (1 + math.exp(-s))


def sigmoid_slope(s):
    """(1): its derivative."""
    return sigmoid(s) * (1 - sigmoid(s))


def squared_error(z, z_hat):
    """(2): the error."""
    return 0.5 * sum((z[k] - z_hat[k]) ** 2 for k in range(len(z)))


def update(weights, gradients, eta):
    """(3): a step of gradient descent."""
    return [
        [weights[i][j] - eta * gradients[i][j] for j in range(len(weights[i]))]
        for i in range(len(weights))
    ]


def layer_sums(x, w):
    """(4) and (6): s_j = sum_i x_i w_ij."""
    return [sum(x[i] * w[i][j] for i in range(len(x))) for j in range(len(w[0]))]


def output_gradient(y, z, z_hat, j, k):
    """(5): dL/dw^b_jk."""
    return (z[k] - z_hat[k]) * z[k] * (1 - z[k]) * y[j]


def hidden_gradient(x, y, z, z_hat, wb, i, j):
    """(7): dL/dw^a_ij."""
    total = sum((z[k] - z_hat[k]) * z[k] * (1 - z[k]) * wb[j][k] for k in range(len(z)))
    return total * y[j] * (1 - y[j]) * x[i]


def delta_recursion(values, weights, y_hat):
    """(8): the deltas of every layer, from the output layer downwards.

    `values` holds each layer's outputs from the first hidden one up, `weights` the tables
    between layers from the input up.
    """
    output = values[-1]
    deltas = [[(y - t) * y * (1 - y) for y, t in zip(output, y_hat, strict=True)]]
    for level in range(len(values) - 2, -1, -1):
        y, w, after = values[level], weights[level + 1], deltas[0]
        deltas.insert(
            0,
            [
                sum(after[k] * w[j][k] for k in range(len(after))) * y[j] * (1 - y[j])
                for j in range(len(y))
            ],
        )
    return deltas


def weight_gradients(x, delta):
    """(9): dL/dw_ij = delta_j x_i."""
    return [[delta[j] * x[i] for j in range(len(delta))] for i in range(len(x))]


def forward(x, weights):
    """The outputs of every layer, by (4) and (6)."""
    values = []
    for w in weights:
        x = [sigmoid(s) for s in layer_sums(x, w)]
        values.append(x)
    return values


# the library's network, and the same one as lists


def network(*widths, seed=0):
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [mg.Dense(inputs, outputs, bias=False), mg.Sigmoid()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype=np.float64, random_state=seed)
    model.params = np.random.default_rng(seed).normal(size=model.params.shape)
    return model


def tables(model):
    return [layer.params.weights.tolist() for layer in model.layers[::2]]


def sample(inputs, outputs, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=inputs), rng.random(outputs)


def close(ours, lecture):
    np.testing.assert_allclose(ours, lecture, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("s", [-30.0, -2.0, -0.1, 0.0, 0.3, 5.0, 30.0])
def test_1_sigmoid_and_its_derivative(s):
    z, a, slope = np.array([s]), np.empty(1), np.empty(1)
    mg.Sigmoid().apply(z, a)
    mg.Sigmoid().slope(z, a, slope)
    close(a[0], sigmoid(s))
    close(slope[0], sigmoid_slope(s))


def test_2_squared_error():
    z, z_hat = sample(4, 4)
    close(mg.HalfSquaredError().forward(z[None], z_hat[None]), squared_error(z, z_hat))


def test_3_gradient_descent():
    model = network(3, 2)
    before, (x, y) = tables(model), sample(3, 2)
    model.backpropagate(x[None], y[None])
    gradients = model.layers[0].gradients["weights"]
    mg.SGD(0.7).step(model.params, model.grads)
    close(tables(model)[0], update(before[0], gradients, 0.7))


def test_4_and_6_sums_and_outputs():
    model = network(3, 4, 2)
    x, y = sample(3, 2)
    model.backpropagate(x[None], y[None])
    inputs = x.tolist()
    for dense, activation, w in zip(
        model.layers[::2], model.layers[1::2], tables(model), strict=True
    ):
        sums = layer_sums(inputs, w)
        close(dense.pre_activations[0], sums)
        close(activation.pre_activations[0], sums)
        inputs = [sigmoid(s) for s in sums]
        close(activation.outputs[0], inputs)


def test_5_every_gradient_of_the_output_weights():
    model = network(3, 4, 2)
    x, z_hat = sample(3, 2)
    model.backpropagate(x[None], z_hat[None])
    y, z = forward(x, tables(model))
    ours = model.layers[2].gradients["weights"]
    for j in range(4):
        for k in range(2):
            close(ours[j, k], output_gradient(y, z, z_hat, j, k))


def test_7_every_gradient_of_the_hidden_weights():
    model = network(3, 4, 2)
    x, z_hat = sample(3, 2)
    model.backpropagate(x[None], z_hat[None])
    wa, wb = tables(model)
    y, z = forward(x, (wa, wb))
    ours = model.layers[0].gradients["weights"]
    for i in range(3):
        for j in range(4):
            close(ours[i, j], hidden_gradient(x, y, z, z_hat, wb, i, j))


WIDTHS = [(3, 4, 2), (2, 5, 3, 1), (4, 3, 6, 2, 3), (3, 5, 2, 4, 6, 2), (2, 6, 3, 5, 4, 7, 3)]


@pytest.mark.parametrize("widths", WIDTHS, ids=lambda widths: f"{len(widths) - 2} hidden")
def test_8_and_9_recursion_for_one_to_five_hidden_layers(widths):
    model = network(*widths)
    x, y_hat = sample(widths[0], widths[-1])
    model.backpropagate(x[None], y_hat[None])
    weights = tables(model)
    values = forward(x, weights)
    deltas = delta_recursion(values, weights, y_hat)
    for level, dense in enumerate(model.layers[::2]):
        close(dense.delta[0], deltas[level])
        inputs = x if level == 0 else values[level - 1]
        close(dense.gradients["weights"], weight_gradients(inputs, deltas[level]))


@pytest.mark.parametrize("widths", WIDTHS, ids=lambda widths: f"{len(widths) - 2} hidden")
def test_weights_after_100_updates(widths):
    model = network(*widths)
    weights, optimizer = tables(model), mg.SGD(0.5)
    x, y_hat = sample(widths[0], widths[-1])
    for _ in range(100):
        model.backpropagate(x[None], y_hat[None])
        optimizer.step(model.params, model.grads)
        values = forward(x, weights)
        deltas = delta_recursion(values, weights, y_hat)
        inputs = [x, *values[:-1]]
        weights = [
            update(w, weight_gradients(v, d), 0.5)
            for w, v, d in zip(weights, inputs, deltas, strict=True)
        ]
    for ours, theirs in zip(tables(model), weights, strict=True):
        close(ours, theirs)


def test_a_batch_is_the_mean_of_its_samples():
    model = network(3, 4, 2)
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(6, 3)), rng.random((6, 2))
    weights = tables(model)
    gradients = []
    for sample_x, sample_y in zip(x, y, strict=True):
        values = forward(sample_x, weights)
        deltas = delta_recursion(values, weights, sample_y)
        gradients.append(weight_gradients(values[0], deltas[1]))
    value = model.backpropagate(x, y)
    close(
        value,
        np.mean([squared_error(forward(a, weights)[-1], b) for a, b in zip(x, y, strict=True)]),
    )
    close(model.layers[2].gradients["weights"], np.mean(gradients, axis=0))


ACTIVATIONS = {
    "tanh": (mg.Tanh, math.tanh, lambda s: 1 - math.tanh(s) ** 2),
    "softsign": (mg.Softsign, lambda s: s / (1 + abs(s)), lambda s: 1 / (1 + abs(s)) ** 2),
    "relu": (mg.ReLU, lambda s: max(s, 0.0), lambda s: float(s > 0)),
    "softplus": (mg.Softplus, lambda s: math.log1p(math.exp(s)), sigmoid),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_arguments_work_for_any_activation(name):
    layer, f, slope = ACTIVATIONS[name]
    widths = (3, 5, 4, 2)
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [mg.Dense(inputs, outputs, bias=False), layer()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype=np.float64, random_state=3)
    x, y_hat = sample(3, 2)
    model.backpropagate(x[None], y_hat[None])
    weights, values, sums = tables(model), [x.tolist()], []
    for w in weights:
        sums.append(layer_sums(values[-1], w))
        values.append([f(s) for s in sums[-1]])
    delta = [(y - t) * slope(s) for y, t, s in zip(values[-1], y_hat, sums[-1], strict=True)]
    for level in (2, 1, 0):
        close(model.layers[2 * level].delta[0], delta)
        close(model.layers[2 * level].gradients["weights"], weight_gradients(values[level], delta))
        if level:
            w = weights[level]
            delta = [
                sum(delta[k] * w[j][k] for k in range(len(delta))) * slope(sums[level - 1][j])
                for j in range(len(w))
            ]


def test_what_a_person_reads_cannot_corrupt_the_model():
    model = network(3, 4, 2)
    x, y = sample(3, 2)
    model.backpropagate(x[None], y[None])
    grads = model.grads.copy()
    for layer in model.layers:
        for array in (layer.inputs, layer.outputs, layer.pre_activations, layer.delta):
            array[...] = np.nan
        for array in layer.gradients.values():
            array[...] = np.nan
    np.testing.assert_array_equal(model.grads, grads)
    model.backpropagate(x[None], y[None])
    np.testing.assert_array_equal(model.grads, grads)
