"""The base class of layers: `forward(x)` gives the output, `backward(delta)` the gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad._core.described import Described
from mlpgrad._core.unwritten import unwritten
from mlpgrad.initializers import Initializer
from mlpgrad.layers.boundary import check_shape


class Layer(Described):
    """Base class of layers: a function of a batch, its gradients, and named buffers.

    A subclass implements

    - `forward(x)`: returns the output for the batch `x (..., B, in_features)`, and keeps what
      `backward` needs in attributes whose names begin with an underscore (they belong to the
      current batch: copies and pickles leave them out);
    - `backward(delta)`: for `delta = dL/d(output) (..., B, out_features)`, *writes* (never adds)
      the gradients of its parameters into `self.grads`, and returns `dL/dx (..., B, in_features)`.
      It must not change `delta` or what `forward` kept;
    - `parameters()`, if it has any, and `example()`, for tests that go through every class;
    - `__init__`, if it has options. It keeps each option under its own name (`self.rate = rate`),
      so that options can be shown, copied and saved, and it sets `in_features` and
      `out_features`. An option that is assigned later is also passed to `__init__`, on a new
      object, which checks it and updates what is derived from it.

    The model gives a layer views of its flat arrays, `params`, `grads` and `state`, with a leading
    ensemble axis if there is one. Formulas use the last two axes and never mention it. If samples
    have weights, a layer that computes statistics over the batch finds them in
    `self._sample_weights (..., B, 1)`, which is None otherwise.

    Arrays returned by `forward` and `backward` are borrowed: the next call may overwrite them.
    `mg.check_layer(layer)` checks whether `backward` is correct.

    Attributes
    ----------
    in_features : int or None
        Number of columns of the input; None, the default, if the layer takes any. A layer whose
        parameters have a shape must set it: the model checks it against the layer before and
        against the data, and an error then names this layer.
    out_features : int or None
        Number of columns of the output; None, the default, if it is that of the input. A layer that
        changes the width must set it: the model checks the next layer and the targets against it.
    params, grads : Views
        The parameters and their gradients by name: `self.params.weights`, `self.grads.weights`.
    state : Views
        The arrays that `statistics` describes, which training updates without a gradient.
    training : bool
        True in a training step, False in predictions.
    wants_input_delta : bool
        False in the first layer of a model: `backward` may then return None.
    dtype : numpy.dtype
        The dtype of all arrays, float32 by default.
    gives_probabilities : bool
        Set it to True in a class whose outputs are probabilities: such a layer is refused before a
        loss on logits.
    repeatable : bool
        Set it to True in a class whose NumPy calls are the same for every batch of one shape:
        `fit` then records a step and replays it without the surrounding Python code.
    mixes_samples, is_random : bool
        Set them to True in a class whose output for a sample, in training, depends on the other
        samples of the batch or is random: per-example gradients are then not defined.

    Examples
    --------
    A layer that multiplies each feature by a parameter:

    >>> import mlpgrad as mg
    >>> class Scale(mg.Layer):
    ...     def __init__(self, features):
    ...         self.features = features
    ...         self.in_features = self.out_features = features
    ...
    ...     def parameters(self):
    ...         return {"gain": ((self.features,), mg.Constant(1))}
    ...
    ...     def forward(self, x):
    ...         self._x = x
    ...         return x * self.params.gain[..., None, :]
    ...
    ...     def backward(self, delta):
    ...         self.grads.gain[...] = (delta * self._x).sum(axis=-2)
    ...         return delta * self.params.gain[..., None, :]
    ...
    ...     @classmethod
    ...     def example(cls):
    ...         return cls(5)
    >>> bool(mg.check_layer(Scale(5)))
    True
    >>> mg.Sequential([mg.Dense(3, 4), Scale(5)], loss=mg.MeanSquaredError())
    Traceback (most recent call last):
        ...
    ValueError: layer 1 Scale(5) expects 5 features, got 4 from layer 0 Dense(3, 4); make the sizes
    match
    """

    _calls_checked = True
    _made_by = "its first batch; call forward first"
    _options_act = True

    in_features: int | None = None
    """Number of columns of the input; None if the layer takes any."""
    out_features: int | None = None
    """Number of columns of the output; None if it is that of the input."""

    gives_probabilities: bool = False
    """True for a Softmax or Sigmoid, which a loss on logits must not follow."""

    repeatable: bool = False
    """Class attribute: True if every batch of one shape leads to the same NumPy calls."""

    mixes_samples: bool = False
    """True if, in training, a sample's output depends on the other samples of its batch."""
    is_random: bool = False
    """True if, in training, the output is random."""

    params: Views = Views()
    grads: Views = Views()
    state: Views = Views()
    training: bool = True
    wants_input_delta: bool = True
    """False in the first layer of a model: `backward` may then return None."""

    dtype: np.dtype[Any] = np.dtype(np.float32)
    _twin: bool = False
    _lead: Shape = ()  # () for one network, (E,) for an ensemble
    _rngs: Sequence[np.random.Generator] = ()  # one a network
    _following: Layer | None = None  # the activation that comes after, if any
    _direct_forward: Callable[[Array], Array]  # `forward` and `backward` for inner loops
    _direct_backward: Callable[[Array], Array | None]
    _shape: Shape | None = None  # shape of the input of the current buffers
    _inputs: Array | None = None
    _sample_weights: Array | None = None  # `(..., B, 1)`; None: all are equal
    _outputs: Array | None = None
    _delta: Array | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The buffers that `allocate` makes."""

    # implemented by subclasses

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        """Return shape (for one network) and initializer of each parameter, by name.

        Returns
        -------
        dict
            For example `{"bias": ((self.out_features,), mg.Zeros())}`; by default empty, for a
            layer without parameters. Views of these shapes are in `self.params` and `self.grads`.
        """
        return {}

    def statistics(self) -> dict[str, tuple[Shape, Initializer]]:
        """Return shape and initializer of each array that training updates without a gradient.

        Returns
        -------
        dict
            A dict by name, as for `parameters`; views of these shapes are in `self.state`.
        """
        return {}

    def children(self) -> Sequence[Layer]:
        """Return the layers inside this one; none by default."""
        return ()

    def forward(self, x: Array) -> Array:
        """Return the layer's output for a batch.

        Parameters
        ----------
        x : array (..., B, in_features)
            The batch, which must not be changed. In an ensemble whose members share the data, the
            first layer's `x` has no ensemble axis.

        Returns
        -------
        array (..., B, out_features)
            The output. It is borrowed: the next call may overwrite it.
        """
        raise NotImplementedError(unwritten(self, "forward"))

    def backward(self, delta: Array) -> Array | None:
        """Write the gradients of the last `forward` into `self.grads`, and return dL/dx.

        Parameters
        ----------
        delta : array (..., B, out_features)
            dL/d(output), which must not be changed.

        Returns
        -------
        array (..., B, in_features) or None
            dL/dx; borrowed. None is allowed if `wants_input_delta` is False.
        """
        raise NotImplementedError(unwritten(self, "backward"))

    @classmethod
    def example(cls) -> Self:
        """Return a new layer that takes five features, for tests that go through every class."""
        return cls()

    # buffers

    def allocate(self, shape: Shape) -> dict[str, Any]:
        """Return attributes to set for inputs of `shape`: buffers, and views made once.

        Parameters
        ----------
        shape : tuple of int
            The shape of `x` in `forward`.

        Returns
        -------
        dict
            Values by attribute name; names begin with an underscore.
        """
        return {}

    def resize(self, shape: Shape) -> None:
        """Switch to the attributes for inputs of `shape`, which are made once per shape.

        `forward` begins with `if x.shape != self._shape: self.resize(x.shape)`. A few shapes are
        kept, since the last batch of an epoch is often smaller.
        """
        sets = self.__dict__.setdefault("_sets", {})
        if shape not in sets:
            check_shape(self, shape)
            if len(sets) >= 3:
                sets.clear()
            sets[shape] = self.allocate(shape)
        self.__dict__.update(sets[shape])
        self._shape = shape

    def forget_buffers(self) -> None:
        """Drop the buffers, which the next `forward` makes again."""
        self._shape = None
        self._sets: dict[Shape, dict[str, Any]] = {}

    def empty(self, *shape: int) -> Array:
        """Return an uninitialized array of the model's dtype, with a leading ensemble axis."""
        return np.empty(self._lead + shape, self.dtype)

    # called by the model

    def bind(
        self,
        params: Views,
        grads: Views,
        state: Views,
        rngs: Sequence[np.random.Generator],
        dtype: np.dtype[Any],
        lead: Shape,
    ) -> None:
        """Take views of a model's arrays, and drop the buffers of an earlier binding.

        Parameters
        ----------
        params, grads, state : Views
            The parameters, gradients and statistics of this layer.
        rngs : sequence of Generator
            One random generator for each network of an ensemble, or a single one.
        dtype : numpy.dtype
            The model's dtype.
        lead : tuple of int
            `(E,)` for an ensemble, else `()`.
        """
        self.params, self.grads, self.state = params, grads, state
        self._rngs, self.dtype, self._lead = rngs, dtype, lead
        self._bound = True
        self.forget_buffers()

    def reader(self) -> Self:
        """Return a copy for predictions, with the same parameters but its own buffers."""
        twin: Self = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._twin = True  # its options are never assigned
        twin.forget_buffers()
        twin._inputs = twin._outputs = twin._delta = twin._sample_weights = None
        twin.training = False
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out views and buffers, since a copied or loaded model binds its layers again."""
        bound = ("params", "grads", "state", "dtype", "wants_input_delta")
        kept = super().__getstate__()
        return {k: v for k, v in kept.items() if not k.startswith("_") and k not in bound}

    # options assigned later

    def _for_trial(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the options, with copies of layers, which may belong to a model."""
        return copy.deepcopy(config) if "_bound" in self.__dict__ else config.copy()

    def _check_change(self, name: str, before: Any, after: Any) -> None:
        """Raise an error for a change that would need other parameters than those of the model."""
        if "_bound" in self.__dict__ and _structure(before) != _structure(after):
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot be changed once the layer belongs to a "
                f"model, whose parameters are laid out and drawn; make a new model"
            )

    def _option_changed(self) -> None:
        self.forget_buffers()

    # for inspection after `model.backpropagate`

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
        """A copy of dL/d(output) in the last step: for a Dense layer the lecture's delta (8).

        The loss is averaged over the batch, so the row of each sample is 1/B times its own delta.
        """
        return None if self._delta is None else self._delta.copy()

    @property
    def gradients(self) -> dict[str, Array]:
        """Copies of the gradients of the last step, by parameter name."""
        return {name: view.copy() for name, view in self.grads.items()}


def _structure(layer: Layer) -> Any:
    """Return what a model's storage depends on: widths, parameters and inner layers."""
    described = [
        [(name, shape, repr(initializer)) for name, (shape, initializer) in kinds.items()]
        for kinds in (layer.parameters(), layer.statistics())
    ]
    inside = [(repr(child), _structure(child)) for child in layer.children()]
    return layer.in_features, layer.out_features, described, inside
