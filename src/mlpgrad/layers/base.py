"""The base class of layers: `forward(x)` gives the output, `backward(delta)` the gradients."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, Shape, Views
from mlpgrad._core.described import Described
from mlpgrad.initializers import Initializer


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
      they are shown, copied and saved. An option that is assigned later goes through `__init__`
      as well, on a new object: it is checked there, and what `__init__` derives from it follows.

    The model gives a layer views of its own flat arrays: `params`, `grads` and `state`, with
    the ensemble axis in front where there is one. Formulas use the last two axes and never
    mention it.

    Arrays returned by `forward` and `backward` are borrowed: the next call may overwrite them.
    """

    _options_act = True

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
    _twin: bool = False
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
        self._sets: dict[Shape, dict[str, Any]] = {}

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
        twin._twin = True  # nobody assigns options to it
        twin.forget_buffers()
        twin._inputs = twin._outputs = twin._delta = None
        twin.training = False
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Without views and buffers: a model rebinds its layers when it is copied or loaded."""
        bound = ("params", "grads", "state", "dtype", "wants_input_delta")
        kept = self.__dict__.copy()  # another thread may add buffers
        return {k: v for k, v in kept.items() if not k.startswith("_") and k not in bound}

    # options assigned later

    def _for_trial(self, config: dict[str, Any]) -> dict[str, Any]:
        """Options with copies of the layers among them, which may belong to a model."""
        return copy.deepcopy(config) if "_bound" in self.__dict__ else config.copy()

    def _check_change(self, name: str, before: Any, after: Any) -> None:
        """Refuse what would need other parameters than the model has laid out."""
        if "_bound" in self.__dict__ and _structure(before) != _structure(after):
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot be changed once the layer belongs to a "
                f"model, whose parameters are laid out and drawn; make a new model"
            )

    def _option_changed(self) -> None:
        self.forget_buffers()

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


def _structure(layer: Layer) -> Any:
    """What a model's storage depends on: widths, parameters, and the layers inside."""
    described = [
        [(name, shape, repr(initializer)) for name, (shape, initializer) in kinds.items()]
        for kinds in (layer.parameters(), layer.statistics())
    ]
    inside = [(repr(child), _structure(child)) for child in layer.children()]
    return layer.in_features, layer.out_features, described, inside
