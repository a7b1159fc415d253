"""Models with one mistake each in their backward pass, which a gradient checker must find.

A mutant patches one object of a correct model by a subclass. `place` says where the mistake is
reported (part of a line of the report), and `codes` the verdicts or hints that explain it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import mlpgrad as mg
from mlpgrad.layers.chain import walk


def patch(target: Any, **methods: Any) -> None:
    """Give one object a subclass of its class with other methods."""
    kind = type(target)
    target.__class__ = type(kind.__name__, (kind,), {**methods, "__qualname__": kind.__name__})


def layers_of(model: mg.Sequential, *kinds: type) -> list[tuple[str, Any]]:
    """All layers of these classes with their names, including nested ones."""
    return [(f"layers[{p}]", layer) for p, layer in walk(model.layers) if isinstance(layer, kinds)]


def square(model: mg.Sequential) -> tuple[str, Any]:
    dense = layers_of(model, mg.Dense)
    return next((n, d) for n, d in dense if d.in_features == d.out_features)


def oblong(model: mg.Sequential) -> tuple[str, Any]:
    """The first Dense layer that is not square, from the second on."""
    dense = layers_of(model, mg.Dense)[1:]
    return next((n, d) for n, d in dense if d.in_features != d.out_features)


def after_backward(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A backward pass followed by a mistake, which may return another delta."""

    def backward(self: Any, delta: Any) -> Any:
        passed = super(type(self), self).backward(delta)
        other = change(self, delta)
        return passed if other is None else other

    return backward


class Mutant(NamedTuple):
    name: str
    apply: Callable[[mg.Sequential], str]
    codes: frozenset[str]


MUTANTS: list[Mutant] = []


def mutant(*codes: str) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        MUTANTS.append(Mutant(function.__name__, function, frozenset(codes)))
        return function

    return add


SMOOTH = (mg.Tanh, mg.Sigmoid, mg.SiLU, mg.GELU, mg.Softplus)

# 1: the activation's derivative


@mutant("OMITTED")
def derivative_omitted(model):
    name, layer = layers_of(model, mg.Activation)[1]
    patch(layer, backward=lambda self, delta: delta.copy())
    return name


@mutant("AT_A")
def derivative_at_a(model):
    name, layer = layers_of(model, *SMOOTH)[0]

    def slope(self, z, a, out):
        again = np.empty_like(a)
        self.apply(a, again)
        super(type(self), self).slope(a, again, out)
        self.apply(z, a)  # fills the buffers of the class as usual

    patch(layer, slope=slope)
    return name


@mutant("AT_Z")
def derivative_at_z(model):
    name, layer = layers_of(model, mg.Tanh, mg.Sigmoid)[0]
    patch(layer, slope=lambda self, z, a, out: super(type(self), self).slope(z, z, out))
    return name


# 2: transposed


@mutant("TRANSPOSED")
def delta_w_not_transposed(model):
    name, layer = square(model)
    patch(layer, backward=after_backward(lambda self, delta: delta @ self.params.weights))
    return name


@mutant("TRANSPOSED")
def dw_transposed(model):
    name, layer = square(model)

    def change(self, delta):
        self.grads.weights[...] = self.grads.weights.mT.copy()

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("TRANSPOSED")
def dw_written_transposed(model):
    name, layer = oblong(model)

    def change(self, delta):
        dw = self.grads.weights
        dw[...] = dw.mT.copy().reshape(dw.shape)

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


# 3: the bias


@mutant("NOT_SUMMED")
def bias_not_summed(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.bias[...] = delta[..., 0, :]

    patch(layer, backward=after_backward(change))
    return f"{name}.bias"


@mutant("FACTOR")
def bias_averaged(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.bias[...] /= delta.shape[-2]

    patch(layer, backward=after_backward(change))
    return f"{name}.bias"


@mutant("ZERO")
def bias_zero(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.bias[...] = 0

    patch(layer, backward=after_backward(change))
    return f"{name}.bias"


# 4, 5, 6: the loss


@mutant("FACTOR")
def mean_over_batch_missing(model):
    def backward(self):
        delta = super(type(self), self).backward()
        return delta * delta.shape[-2]

    patch(model.loss, backward=backward)
    return "loss"


@mutant("SIGN")
def sign_wrong(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.weights[...] *= -1

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("FACTOR")
def factor_two(model):
    patch(model.loss, backward=lambda self: 2 * super(type(self), self).backward())
    return "loss"


@mutant("SAMPLE_SUM", "SLOPE")
def softmax_diagonal_only(model):
    softmax = layers_of(model, mg.Softmax)
    if softmax:
        name, layer = softmax[0]
        patch(layer, backward=lambda self, delta: delta * self.outputs * (1 - self.outputs))
        return name

    def slopes(self, prediction, target, out):
        super(type(self), self).slopes(prediction, target, out)
        rows = self.rows(target)
        out[...] = -rows * (1 - (out + rows))

    patch(model.loss, slopes=slopes)
    return "loss"


# 7, 9: BatchNorm


@mutant("BATCH_MEAN")
def batchnorm_constants(model):
    name, layer = layers_of(model, mg.BatchNorm)[0]
    patch(layer, backward=after_backward(lambda self, d: d * self._gain * self._inverse))
    return name


@mutant("BATCH_MEAN")
def batchnorm_variance_only(model):
    name, layer = layers_of(model, mg.BatchNorm)[0]

    def change(self, delta):
        normal = self._normal
        along = (delta * normal).mean(axis=-2, keepdims=True)
        return (delta - normal * along) * self._gain * self._inverse

    patch(layer, backward=after_backward(change))
    return name


@mutant("BATCH_VARIANCE")
def batchnorm_mean_only(model):
    name, layer = layers_of(model, mg.BatchNorm)[0]

    def change(self, delta):
        return (delta - delta.mean(axis=-2, keepdims=True)) * self._gain * self._inverse

    patch(layer, backward=after_backward(change))
    return name


@mutant("WRONG_AXIS")
def gain_over_wrong_axis(model):
    name, layer = layers_of(model, mg.BatchNorm)[0]

    def change(self, delta):
        rows = (delta * self._normal).sum(axis=-1)
        self.grads.gain[...] = np.resize(rows, self.grads.gain.shape)

    patch(layer, backward=after_backward(change))
    return f"{name}.gain"


# 8: another layer's derivative


@mutant("SLOPE")
def derivative_of_wrong_layer(model):
    name, layer = layers_of(model, mg.Activation)[0]

    def slope(self, z, a, out):
        out[...] = 1 / (1 + abs(z)) ** 2  # Softsign's

    patch(layer, slope=slope)
    return name


# 10: dropout


@mutant("OTHER_MASK")
def dropout_fresh_mask(model):
    name, layer = layers_of(model, mg.Dropout)[0]
    mask_rng = np.random.default_rng(3)

    def backward(self, delta):
        keep = mask_rng.permutation(self._mask.ravel()).reshape(self._mask.shape)
        return delta * keep

    patch(layer, backward=backward)
    return name


@mutant("FACTOR")
def dropout_factor_missing(model):
    name, layer = layers_of(model, mg.Dropout)[0]
    patch(layer, backward=lambda self, delta: delta * (self._mask != 0))
    return name


# 11: the penalty


@mutant("PENALTY")
def penalty_missing(model):
    patch(model.penalties[0], slope=lambda self, params, out: out.fill(0))
    return "weights"


@mutant("PENALTY")
def penalty_doubled(model):
    def slope(self, params, out):
        super(type(self), self).slope(params, out)
        out *= 2

    patch(model.penalties[0], slope=slope)
    return "weights"


# 12, 13: remains of an earlier call


@mutant("ACCUMULATES")
def accumulates(model):
    name, layer = oblong(model)

    def backward(self, delta):
        before = self.grads.weights.copy()
        passed = super(type(self), self).backward(delta)
        self.grads.weights[...] += before
        return passed

    patch(layer, backward=backward)
    return f"{name}.weights"


@mutant("STALE_CACHE")
def stale_input(model):
    name, layer = oblong(model)

    def forward(self, x):
        self._stale = getattr(self, "_newest", x)
        self._newest = x.copy()
        return super(type(self), self).forward(x)

    def change(self, delta):
        self.grads.weights[...] = self._stale.mT @ delta

    patch(layer, forward=forward, backward=after_backward(change))
    return f"{name}.weights"


@mutant("STALE_CACHE")
def first_input_forever(model):
    name, layer = oblong(model)

    def forward(self, x):
        if getattr(self, "_first", x).shape != x.shape or not hasattr(self, "_first"):
            self._first = x.copy()
        return super(type(self), self).forward(x)

    def change(self, delta):
        self.grads.weights[...] = self._first.mT @ delta

    patch(layer, forward=forward, backward=after_backward(change))
    return f"{name}.weights"


# 13, too: remains of a longer batch in buffers that only grow


def kept(layer, name, rows, dtype=None):
    """A buffer with `rows` at its top, which only a longer batch replaces."""
    buffer = layer.__dict__.get(name)
    if buffer is None or buffer.shape[-2] < rows.shape[-2]:
        buffer = layer.__dict__[name] = np.zeros(rows.shape, dtype or rows.dtype)
    buffer[..., : rows.shape[-2], :] = rows
    return buffer


@mutant("STALE_CACHE")
def grow_only_buffer(model):
    """The gradient of a shorter batch includes rows of the longer one."""
    name, layer = oblong(model)

    def change(self, delta):
        x, delta = kept(self, "_kept", self._inputs), kept(self, "_deltas", delta)
        self.grads.weights[...] = x.mT @ delta

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("STALE_CACHE")
def stale_column_of_ones(model):
    """A buffer [x 1] has as many ones as the longest batch had rows."""
    name, layer = oblong(model)

    def change(self, delta):
        ones = np.ones((*delta.shape[:-1], 1), delta.dtype)
        with_ones = kept(self, "_rows_and_ones", np.concatenate([self._inputs, ones], axis=-1))
        self.grads.bias[...] = (with_ones.mT @ kept(self, "_deltas", delta))[..., -1, :]

    patch(layer, backward=after_backward(change))
    return f"{name}.bias"


@mutant("STALE_CACHE")
def mean_over_longest_batch(model):
    """The mean over the batch is divided by the length of a buffer."""

    def backward(self):
        delta = super(type(self), self).backward()
        return delta * (delta.shape[-2] / kept(self, "_deltas", delta).shape[-2])

    patch(model.loss, backward=backward)
    return "shorter batch"


@mutant("STALE_CACHE")
def input_delta_of_longest_batch(model):
    """The first layer's dL/dx has too large a norm, which only `input_gradient` shows."""
    layer = model.layers[0]

    def change(self, delta):
        if self.wants_input_delta:
            rows = delta.shape[-2]
            kept(self, "_deltas", delta)
            return (delta * len(self._deltas) / rows) @ self.params.weights.mT
        return None

    patch(layer, backward=after_backward(change))
    return "dL/dx"


# 14: in-place aliasing


@mutant("MUTATES_INPUT")
def edits_delta(model):
    name, layer = layers_of(model, mg.Activation)[1]

    def backward(self, delta):
        delta *= super(type(self), self).backward(np.ones_like(delta))
        return delta

    patch(layer, backward=backward)
    return name


@mutant("MUTATES_INPUT")
def edits_input(model):
    name, layer = oblong(model)

    def change(self, delta):
        self._inputs[...] *= 0.5

    patch(layer, backward=after_backward(change))
    return name


@mutant("MUTATES_INPUT")
def edits_parameter(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.params.weights[...] *= 1 - 1e-6

    patch(layer, backward=after_backward(change))
    return name


# 15: short number formats


@mutant("ROUNDING")
def cached_in_float16(model):
    name, layer = oblong(model)

    def change(self, delta):
        x = self._inputs.astype(np.float16).astype(self.dtype)
        self.grads.weights[...] = x.mT @ delta

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("ROUNDING")
def product_in_float32(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.weights[...] = self._inputs.astype(np.float32).mT @ delta.astype(np.float32)

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("ROUNDING")
def buffer_of_another_dtype(model):
    """The first call makes a buffer in float32, before the model is lifted to float64."""
    name, layer = oblong(model)

    def forward(self, x):
        kept(self, "_kept", x, np.float32)
        return super(type(self), self).forward(x)

    def change(self, delta):
        x = self._kept[..., : delta.shape[-2], :]
        self.grads.weights[...] = x.mT @ delta

    patch(layer, forward=forward, backward=after_backward(change))
    return f"{name}.weights"


# 16: few elements


@mutant("ZERO_LINE")
def last_row_zero(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.weights[..., -1, :] = 0

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("SINGLE")
def one_element(model):
    name, layer = oblong(model)

    def change(self, delta):
        flat = self.grads.weights.reshape(-1)
        middle = np.argsort(abs(flat))[flat.size // 2]
        flat[middle] *= 1.5

    patch(layer, backward=after_backward(change))
    return f"{name}.weights["


# 17: the upstream delta


@mutant("NOT_LINEAR_IN_SEED")
def upstream_ignored(model):
    name, layer = layers_of(model, mg.Activation)[1]

    def backward(self, delta):
        return super(type(self), self).backward(np.ones_like(delta)).copy()

    patch(layer, backward=backward)
    return name


@mutant("NOT_LINEAR_IN_SEED")
def upstream_divided(model):
    name, layer = layers_of(model, mg.Activation)[1]

    def backward(self, delta):
        slope = super(type(self), self).backward(np.ones_like(delta))
        return slope / np.where(delta == 0, 1, delta)

    patch(layer, backward=backward)
    return name


# 18: clipping


@mutant("CLIPPED")
def clipping_left_on(model):
    def step(self, *batch):
        value = super(type(self), self)._step(*batch)
        norm = np.linalg.norm(self.grads)
        self.grads *= min(1, 0.01 / norm)  # the gradients of all nets here are longer
        return value

    patch(model, _step=step)
    return "parameters"


# 19: the residual branch


@mutant("OMITTED", "ZERO")
def branch_without_gradient(model):
    name, layer = layers_of(model, mg.Residual)[0]

    def change(self, delta):
        for inner in self.layers:
            for _, view in inner.grads.items():
                view[...] = 0
        return delta.copy()

    patch(layer, backward=after_backward(change))
    return name[:-1]


# 20: slightly wrong


@mutant("FACTOR")
def off_by_1e_4(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.weights[...] *= 1 + 1e-4

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("FACTOR")
def off_by_1e_6(model):
    name, layer = oblong(model)

    def change(self, delta):
        self.grads.weights[...] *= 1 + 1e-6

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


@mutant("ROUNDING")
def random_error_1e_6(model):
    """A relative L2 error of 1e-6 perpendicular to the gradient."""
    name, layer = oblong(model)

    def change(self, delta):
        gradient = self.grads.weights
        error = np.random.default_rng(5).standard_normal(gradient.shape)
        gradient += error * (1e-6 * np.linalg.norm(gradient) / np.linalg.norm(error))

    patch(layer, backward=after_backward(change))
    return f"{name}.weights"


# equivalent code, which must pass


def equivalent_relu_at_zero(model):
    """ReLU'(z) is 1 for z >= 0 instead of z > 0: the same away from the kink."""
    for _, layer in layers_of(model, mg.ReLU):
        patch(layer, slope=lambda self, z, a, out: np.greater_equal(z, 0, out=out))


def equivalent_bias_before_batchnorm(model):
    """BatchNorm cancels a bias in front of it, so its gradient is 0 however it is scaled."""
    for (_, layer), after in zip(layers_of(model, mg.Dense), model.layers[1:], strict=False):
        if isinstance(after, mg.BatchNorm):
            patch(layer, backward=after_backward(lambda self, delta: self.grads.bias.fill(0)))


def equivalent_dead_unit(model):
    """No row activates a unit, so its gradient is 0 whatever the factor."""
    _, layer = layers_of(model, mg.Dense)[0]
    layer.params.bias[..., 0] = -100

    def change(self, delta):
        self.grads.weights[..., 0] *= 3
        self.grads.bias[..., 0] *= 3

    patch(layer, backward=after_backward(change))


# the nets: batch > 1, random biases, one square layer, the others not, lambda > 0


def tanh_net(seed: int) -> tuple[mg.Sequential, np.ndarray, np.ndarray]:
    branch = mg.Residual([mg.Dense(9, 9), mg.Sigmoid()])
    layers = [mg.Dense(6, 9), mg.Tanh(), mg.BatchNorm(9), branch, mg.Dropout(0.25)]
    return _net([*layers, mg.Dense(9, 4)], mg.SoftmaxCrossEntropy(), seed, 10)


def relu_net(seed: int) -> tuple[mg.Sequential, np.ndarray, np.ndarray]:
    branch = mg.Residual([mg.Dense(12, 12), mg.ReLU(), mg.Dense(12, 12), mg.Tanh()])
    layers = [mg.Dense(5, 12), mg.BatchNorm(12), mg.LeakyReLU(), branch, mg.Dropout(0.4)]
    return _net([*layers, mg.Dense(12, 3)], mg.SoftmaxCrossEntropy(), seed, 14)


def squared_net(seed: int) -> tuple[mg.Sequential, np.ndarray, np.ndarray]:
    branch = mg.Residual([mg.Dense(8, 8), mg.Softplus()])
    layers = [mg.Dense(7, 8), mg.BatchNorm(8), mg.Sigmoid(), branch, mg.Dropout(0.2)]
    return _net([*layers, mg.Dense(8, 4), mg.Softmax()], mg.HalfSquaredError(), seed, 11)


def _net(layers, loss, seed, rows):
    rng = np.random.default_rng(seed)
    model = mg.Sequential(
        layers, loss=loss, penalties=[mg.L2(1e-4)], dtype=np.float64, random_state=seed
    )
    for slot in model.parameters:
        if slot.kind == "bias":
            slot.view(model.params)[...] += 0.3 * rng.standard_normal(slot.shape)
    x = rng.standard_normal((rows, model.in_features))
    if loss.classifies:
        return model, x, rng.integers(model.out_features, size=rows)
    return model, x, rng.dirichlet(np.ones(model.out_features), rows)


NETS = {"tanh": tanh_net, "relu": relu_net, "squared": squared_net}


def diagnosed(report: mg.GradientReport, place: str, codes: frozenset[str]) -> bool:
    """Whether a report names the place and the reason of a mistake."""
    said = {*report.codes, *(verdict.value for verdict in report.protocol)}
    text = str(report)
    return bool(codes & said) and place in text
