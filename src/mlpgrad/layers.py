"""Layers: `forward(x)` gives the output, `backward(delta)` the gradients and the delta before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core.arrays import (
    Array,
    Shape,
    Views,
    ones,
    product,
    row,
    spread,
    spread_buffer,
    with_ones,
)
from mlpgrad._core.described import Described
from mlpgrad.initializers import GlorotUniform, Initializer, Zeros


class Layer(Described):
    """Base of all layers: a function of a batch, its gradients, and named buffers.

    A subclass implements

    - `forward(x)`: the output for `x (..., B, I)`, keeping what `backward` needs in attributes
      whose names begin with an underscore (they belong to the current batch: copies and pickles
      leave them out);
    - `backward(delta)`: from `delta = dL/d(output)` *writes* (never adds) the gradients of its
      parameters into `self.grads` and returns `dL/dx`; it leaves `delta` and its caches as
      they are;
    - `parameters()` if it has any, and `example()`;
    - `__init__`, if it has options, which keeps each under its own name (`self.rate = rate`): so
      they are shown, copied and saved.

    The model gives a layer views of its own flat arrays: `params`, `grads` and `state`, with
    the ensemble axis in front where there is one. Formulas use the last two axes and never
    mention it.

    Arrays returned by `forward` and `backward` are borrowed: the next call may overwrite them.
    """

    in_features: int | None = None
    """Width of the input, or None for any."""
    out_features: int | None = None
    """Width of the output, or None for that of the input."""

    gives_probabilities: bool = False
    """True for a Softmax or Sigmoid: nothing to put in front of a loss on logits."""

    repeatable: bool = False
    """True, in the class itself, where every batch of one shape leads to the same NumPy calls."""

    params: Views = Views()
    grads: Views = Views()
    state: Views = Views()
    training: bool = True
    wants_input_delta: bool = True
    """False in the first layer of a model: `backward` may then return None."""

    dtype: np.dtype[Any] = np.dtype(np.float32)
    _lead: Shape = ()  # () for one network, (E,) for an ensemble
    _rngs: Sequence[np.random.Generator] = ()  # one a network
    _following: Layer | None = None  # the activation that comes after, if any
    _shape: Shape | None = None  # of the input that the current buffers are for
    _inputs: Array | None = None
    _outputs: Array | None = None
    _delta: Array | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What `allocate` has made."""

    # what a subclass says

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        """Shape (for one network) and initializer of each parameter, by name."""
        return {}

    def statistics(self) -> dict[str, tuple[Shape, Initializer]]:
        """The same for what training keeps beside the parameters (no gradient)."""
        return {}

    def children(self) -> Sequence[Layer]:
        """The layers inside this one."""
        return ()

    def forward(self, x: Array) -> Array:
        """The layer's output for the batch `x: (..., B, in_features)`."""
        raise NotImplementedError

    def backward(self, delta: Array) -> Array | None:
        """Write the gradients; return `dL/dx` for `delta = dL/d(output): (..., B, out)`."""
        raise NotImplementedError

    @classmethod
    def example(cls) -> Self:
        """A layer that takes five features, for tests that go through every class."""
        return cls()

    # buffers

    def allocate(self, shape: Shape) -> dict[str, Any]:
        """Attributes to set for inputs of `shape`: buffers, and views prepared once."""
        return {}

    def resize(self, shape: Shape) -> None:
        """Switch to the attributes for inputs of `shape`, made once each.

        `forward` begins with `if x.shape != self._shape: self.resize(x.shape)`. A few shapes
        are kept, since an epoch's last batch is often a shorter one.
        """
        sets = self.__dict__.setdefault("_sets", {})
        if shape not in sets:
            if len(sets) >= 3:
                sets.clear()
            sets[shape] = self.allocate(shape)
        self.__dict__.update(sets[shape])
        self._shape = shape

    def forget_buffers(self) -> None:
        """Have them made anew at the next `forward`."""
        self._shape = None
        self.__dict__.pop("_sets", None)

    def empty(self, *shape: int) -> Array:
        """An uninitialised array of the model's dtype, with the ensemble axis in front."""
        return np.empty(self._lead + shape, self.dtype)

    # what the model does with it

    def bind(
        self,
        params: Views,
        grads: Views,
        state: Views,
        rngs: Sequence[np.random.Generator],
        dtype: np.dtype[Any],
        lead: Shape,
    ) -> None:
        """Take views of a model's arrays; buffers of an earlier binding are dropped."""
        self.params, self.grads, self.state = params, grads, state
        self._rngs, self.dtype, self._lead = rngs, dtype, lead
        self._bound = True
        self.forget_buffers()

    def reader(self) -> Self:
        """A twin for predictions: the same parameters, buffers of its own, not training."""
        twin: Self = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.forget_buffers()
        twin._inputs = twin._outputs = twin._delta = None
        twin.training = False
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Without views and buffers: a model rebinds its layers when it is copied or loaded."""
        bound = ("params", "grads", "state", "dtype", "wants_input_delta")
        kept = self.__dict__.items()
        return {k: v for k, v in kept if not k.startswith("_") and k not in bound}

    # what a person can look at after `model.backpropagate`

    @property
    def inputs(self) -> Array | None:
        """A copy of the layer's input in the last step, `(..., B, in_features)`."""
        return None if self._inputs is None else self._inputs.copy()

    @property
    def outputs(self) -> Array | None:
        """A copy of the layer's output in the last step, `(..., B, out_features)`."""
        return None if self._outputs is None else self._outputs.copy()

    @property
    def delta(self) -> Array | None:
        """A copy of `dL/d(output)` in the last step: the lecture's delta (8) for a Dense layer.

        The loss averages over the batch, so each sample's row holds `1/B` of its own delta.
        """
        return None if self._delta is None else self._delta.copy()

    @property
    def gradients(self) -> dict[str, Array]:
        """Copies of the gradients of the last step, by parameter name."""
        return {name: view.copy() for name, view in self.grads.items()}


def run_forward(layers: Sequence[Layer], x: Array) -> Array:
    """Pass a batch through the layers, upwards; each keeps what it saw."""
    for layer in layers:
        layer._inputs = x
        layer._outputs = x = layer.forward(x)
    return x


def run_backward(layers: Sequence[Layer], delta: Array) -> Array | None:
    """Pass a delta through the layers, downwards: the recursion (8) of the lecture."""
    passed: Array | None = delta
    for layer in reversed(layers):
        layer._delta = passed
        passed = layer.backward(passed)  # type: ignore[arg-type]  # None only from the first
    return passed


def walk(layers: Sequence[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer with its position (`2`, or `2.0` inside layer 2), in order."""
    for index, layer in enumerate(layers):
        yield f"{prefix}{index}", layer
        yield from walk(layer.children(), f"{prefix}{index}.")


class Dense(Layer):
    """z = x W + b;  dL/dW = x^T delta,  dL/db = sum over the batch of delta,  dL/dx = delta W^T

    The lecture's (4) to (9), a batch at a time: row `b` of `x` is one sample, and the outer
    products `delta_j x_i` of (9) are summed over the batch by the matrix product. For a small
    batch the bias is one more row of the weights, with a one behind each sample: z = [x 1] [W; b].

    Parameters
    ----------
    in_features, out_features : int
        Widths of input and output.
    bias : bool
        Whether to add a bias.
    initializer : Initializer, optional
        Of the weights; by default the right one for the activation that follows (He for the
        ReLU family, LeCun for SELU, Glorot else).

    Attributes
    ----------
    params.weights : array (..., in_features, out_features)
        The lecture's `w_ij`: i counts inputs, j outputs.
    params.bias : array (..., out_features)

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(3, 2)], loss=mg.HalfSquaredError(), random_state=0)
    >>> model.layers[0].params.weights.shape
    (3, 2)
    """

    repeatable = True

    in_features: int
    out_features: int

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        self.initializer = initializer

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        following = getattr(self._following, "initializer", None)
        weights = self.initializer or following or GlorotUniform()
        described: dict[str, tuple[Shape, Initializer]] = {}
        described["weights"] = (self.in_features, self.out_features), weights
        if self.bias:
            described["bias"] = (self.out_features,), Zeros()
        return described

    def allocate(self, shape: Shape) -> dict[str, Any]:
        batch = shape[-2]
        z = self.empty(batch, self.out_features)
        neighbours = z.ndim == 2 and [*self.params] == ["weights", "bias"]  # in the flat array
        whole = with_ones(shape, self.dtype) if neighbours else None
        prepared = {
            "_multiply": product(z.ndim),
            # of a column and a row, in an ensemble: `matmul` needs four times as long
            "_spread": np.multiply if z.shape[-1] == 1 and z.ndim > 2 else product(z.ndim),
            "_z": z,
            "_weights": self.params.weights,
            "_weights_t": self.params.weights.mT,
            "_grad_weights": self.grads.weights,
            "_input_delta": self.empty(*shape[-2:]) if self.wants_input_delta else None,
            "_with_ones": whole,
            "_bias": None,
        }
        if whole is not None:
            prepared["_room"] = whole[:, :-1]
            prepared["_weights"] = self.params._flat.reshape(-1, self.out_features)
            prepared["_grad_weights"] = self.grads._flat.reshape(-1, self.out_features)
        elif self.bias:
            prepared["_bias"] = row(self.params.bias)
            prepared["_grad_bias"] = row(self.grads.bias)
            prepared["_ones"] = ones((1, batch), self.dtype)
            prepared["_rows"] = spread_buffer(z.shape, self.dtype)
        return prepared

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        z: Array = self._z
        if self._with_ones is not None:
            self._room[...] = x
            x = self._with_ones
        self._x = x
        self._multiply(x, self._weights, z)
        if self._bias is not None:
            np.add(z, spread(self._bias, self._rows), z)
        return z

    def backward(self, delta: Array) -> Array | None:
        multiply = self._multiply
        multiply(self._x.mT, delta, self._grad_weights)
        if self._bias is not None:
            multiply(self._ones, delta, self._grad_bias)
        if not self.wants_input_delta:
            return None
        input_delta: Array = self._input_delta
        return self._spread(delta, self._weights_t, input_delta)  # type: ignore[no-any-return]

    @property
    def pre_activations(self) -> Array | None:
        """A copy of the layer's output `z` in the last step: the lecture's s_j."""
        return self.outputs

    @classmethod
    def example(cls) -> Self:
        return cls(5, 3)
