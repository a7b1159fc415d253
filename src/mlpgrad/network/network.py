"""`Network`: layers in a row, their parameters in one flat array, and a loss on top."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import check_chain, run_backward, run_forward
from mlpgrad.losses.base import Loss
from mlpgrad.network import boundary
from mlpgrad.network.prediction import Prediction
from mlpgrad.network.randomness import Seeded
from mlpgrad.network.storage import check_memory, initialize
from mlpgrad.network.warnings import warn_of_structure
from mlpgrad.penalties import Penalty, penalise

MOST_MEMBERS = 1_000_000  # networks of an ensemble: each has a random generator


class Network(Seeded):
    """What computes: storage, forward, backward, the objective, predictions and copies.

    `mlpgrad.Sequential` is the class that people use: it adds training, evaluation and files, and
    describes the constructor's arguments. The gradient checker, the optimizers and the
    explanations take any network.
    """

    stop_training: bool = False
    """Set to True, by a callback for instance, to end a running `fit` after the batch."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: Loss,
        penalties: Sequence[Penalty] = (),
        dtype: Any = np.float32,
        random_state: int | np.random.Generator | None = None,
        ensemble_size: int | None = None,
    ) -> None:
        self.layers = arguments.objects(layers, "layers", Layer, "Dense(2, 8)")
        self.loss = arguments.instance(loss, "loss", Loss, "HalfSquaredError()")
        self.penalties = arguments.objects(penalties, "penalties", Penalty, "L2(1e-4)")
        self.dtype = arguments.floating(dtype)
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        if ensemble_size is not None:
            self.ensemble_size = arguments.count(ensemble_size, "ensemble_size", 1, MOST_MEMBERS)
        self._check()
        self.streams = {}
        self._fill()

    def _fill(self) -> None:
        """Make the generators and arrays, and draw initial values; reading a file replaces this."""
        networks = self.ensemble_size or 1
        *self.rngs, self.rng = checks.random_generators(self.random_state, networks + 1)
        self._bind()
        initialize(self.parameters, self._params, self.rngs)
        initialize(self.statistics, self._state, self.rngs)
        warn_of_structure(self.layers, self.loss)

    def _check(self) -> None:
        """Refuse what is not a chain of fresh layers under a fitting loss."""
        check_chain(self.layers)
        last = self.layers[-1]
        if self.loss.expects_logits and last.gives_probabilities:
            raise ValueError(
                f"{self.loss!r} expects logits, got probabilities from layer "
                f"{len(self.layers) - 1} {last!r}; remove that layer (the loss contains it)"
            )
        if self.loss.expects_probabilities and not last.gives_probabilities:
            raise ValueError(
                f"{self.loss!r} expects probabilities, got the output of layer "
                f"{len(self.layers) - 1} {last!r}; add Softmax() or Sigmoid(), or use the "
                f"cross-entropy on logits, which is faster and stable"
            )

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        """Lay out the flat arrays, if there are none, and give each layer its views of them."""
        super()._bind(flats)
        self.layers[0].wants_input_delta = False
        self._prediction = Prediction(self.layers, self.dtype)
        self._penalised = [
            (penalty, self._params[part], self._grads[part])
            for penalty in self.penalties
            for slot in self.parameters
            if slot.kind in penalty.kinds
            for part in [np.s_[..., slot.start : slot.stop]]
        ]
        largest = max((params.size for _, params, _ in self._penalised), default=0)
        self._slopes = np.empty(largest, self.dtype)

    @property
    def in_features(self) -> int | None:
        """Width of the input, or None for any."""
        return next((n for layer in self.layers if (n := layer.in_features) is not None), None)

    @property
    def out_features(self) -> int | None:
        """Width of the output, or None where it is that of the input, whatever that is."""
        widths = (layer.out_features or layer.in_features for layer in reversed(self.layers))
        return next((n for n in widths if n is not None), None)

    # one step

    def backpropagate(self, x: Any, y: Any, *, sample_weight: Any = None) -> Any:
        """Write dL/d(params) into `grads` and return the objective L, in training mode.

        Afterwards each layer shows its `inputs`, `outputs`, `pre_activations`, `delta` and
        `gradients`, as copies.

        Parameters
        ----------
        x : array (B, I) or (E, B, I)
        y : array (B, O) or (E, B, O), or classes (B,)
        sample_weight : array (B,) or (E, B), optional
            Numbers >= 0; a sample of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        number, or array (E,)
            The loss, averaged over the batch by weight, sum(w l) / sum(w), plus penalties.
        """
        return self._step(*self._cast(x, y, sample_weight))

    def input_gradient(self, x: Any, y: Any, *, sample_weight: Any = None) -> Array:
        """dL/dx, in the shape of `x` (with the ensemble axis in front where there is one)."""
        first = self.layers[0]
        first.wants_input_delta = True
        first.forget_buffers()
        try:
            self._step(*self._cast(x, y, sample_weight))
            assert self._input_delta is not None
            return self._input_delta.copy()
        finally:
            first.wants_input_delta = False
            first.forget_buffers()

    def objective(
        self, x: Any, y: Any, *, sample_weight: Any = None
    ) -> Callable[[Any], tuple[Any, Array]]:
        """The function `params -> (value, grads)` on fixed data, for SciPy and checkers.

        It works on a copy of the model, so this one stays as it is; randomness (dropout) is the
        same at every call.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> from scipy.optimize import minimize
        >>> x, y = mg.datasets.xor()
        >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), dtype="float64", random_state=0)
        >>> result = minimize(model.objective(x, y), model.params, jac=True, method="L-BFGS-B")
        >>> model.params = result.x
        >>> model.predict_classes(x)
        array([0, 1, 1, 0])
        """
        twin = self.copy()
        checked = twin._cast(x, y, sample_weight)
        state = twin.state.copy()

        def value_and_grads(params: Any) -> tuple[Any, Array]:
            twin.params, twin.state = params, state
            with twin.same_randomness():
                value = twin._step(*checked)
            return value, twin.grads.copy()

        return value_and_grads

    def penalty(self) -> Any:
        """The sum of the penalties at the current parameters: a number, or `(E,)`."""
        return sum((penalty.value(params) for penalty, params, _ in self._penalised), 0.0)

    def _step(
        self, x: Array, target: Array, weights: Array | None = None, mean_weight: Any = None
    ) -> Any:
        """`backpropagate` on arrays that have been checked and cast.

        The weights are divided by `mean_weight`, or by their own mean: see `Loss.forward`.
        """
        prediction = run_forward(self.layers, x, weights)
        if weights is None or mean_weight is None:
            value = self.loss.forward(prediction, target, weights)
        else:
            value = self.loss.forward(prediction, target, weights, mean_weight)
        self._input_delta = run_backward(self.layers, self.loss.backward())
        return penalise(value, self._penalised, self._slopes) if self._penalised else value

    def _cast(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and weights as `_step` takes them."""
        return self.cast(*self.checked(x, y, sample_weight, some_weight=False))

    def cast(
        self, x: Array, target: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Checked rows as `_step` takes them."""
        if weights is not None:
            weights = weights.astype(self.dtype, copy=False)
        return x.astype(self.dtype, copy=False), self.loss.cast(target, self.dtype), weights

    def checked(
        self, x: Any, y: Any, sample_weight: Any, *, some_weight: bool = True
    ) -> tuple[Array, Array, Array | None]:
        """Input, target and weights with rows on axis -2, checked but not yet cast or copied.

        The weights of a single batch may all be zero by chance: `some_weight=False`.
        """
        x = boundary.inputs(x, self.in_features, self.lead, self.dtype)
        width, samples = self.out_features or x.shape[-1], x.shape[-2]
        target = boundary.targets(y, self.loss, width, samples, self.lead, self.dtype)
        weights = boundary.sample_weights(sample_weight, samples, self.lead, self.dtype)
        if weights is not None and some_weight:
            boundary.check_some_weight(weights, "the samples")
        return x, target, weights

    # predictions

    def predict(self, x: Any) -> Array:
        """The network's output, `(B, O)` or `(E, B, O)`: logits where the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. Safe from several threads.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        """
        return self._predict(boundary.inputs(x, self.in_features, self.lead, self.dtype))

    def predict_proba(self, x: Any) -> Array:
        """Probabilities, `(..., B, O)`, where the loss defines them; a TypeError elsewhere."""
        return self.loss.probabilities(self.predict(x))

    def predict_classes(self, x: Any) -> Array:
        """The likeliest class of each sample, `(..., B)`, where the loss defines classes."""
        return self.loss.classes(self.predict(x))

    def _predict(self, x: Array) -> Array:
        """`predict` on a checked array."""
        return self._prediction(x)

    # copies

    def copy(self) -> Self:
        """An independent copy: parameters, statistics and generators included."""
        return copy.deepcopy(self)

    def member(self, index: int) -> Self:
        """Network `index` of an ensemble as a model of its own, a copy."""
        if self.ensemble_size is None:
            raise ValueError("member(i) expects an ensemble, got one network; use copy()")
        size = self.ensemble_size
        if not arguments.is_integer(index) or not -size <= index < size:
            kind = IndexError if arguments.is_integer(index) else TypeError
            raise kind(f"member expects an int from 0 to {size - 1}, got {arguments.shown(index)}")
        return self._rebuilt(self._params[index], self._state[index], [self.rngs[index]])

    def share(self, networks: slice) -> Self:
        """Some networks of an ensemble on the same memory, with layers and buffers of their own.

        For a thread that trains them while others train the rest.
        """
        if self.ensemble_size is None or not isinstance(networks, slice):
            raise TypeError(
                f"share expects an ensemble and a slice such as slice(0, 2), "
                f"got {'one network' if self.ensemble_size is None else arguments.shown(networks)}"
            )
        part: Self = type(self).__new__(type(self))
        arrays = ("params", "state", "rngs", "rng")
        part.__dict__.update(
            copy.deepcopy({k: v for k, v in self.__getstate__().items() if k not in arrays})
        )
        part.rngs, part.rng = self.rngs[networks], self.rng
        part.ensemble_size = len(part.rngs)
        part._bind((self._params[networks], self._grads[networks], self._state[networks]))
        return part

    def tiled(self, count: int) -> Self:
        """An ensemble of `count` copies of this one network: same values, same randomness."""
        if self.ensemble_size is not None:
            raise ValueError("tiled(count) expects one network, got an ensemble; use member(i)")
        count = arguments.count(count, "count", 1, MOST_MEMBERS)
        check_memory(count * self._params.nbytes, f"{count} copies")
        params, state = (np.tile(flat, (count, 1)) for flat in (self._params, self._state))
        return self._rebuilt(params, state, self.rngs * count)

    def lifted(self, dtype: Any = np.float64) -> Self:
        """A copy that computes in another dtype, from the same values."""
        dtype = arguments.floating(dtype)
        return self._rebuilt(self._params.astype(dtype), self._state.astype(dtype), self.rngs)

    def _rebuilt(self, params: Array, state: Array, rngs: Sequence[np.random.Generator]) -> Self:
        twin: Self = type(self).__new__(type(self))
        described = self.__getstate__() | {
            "params": params,
            "state": state,
            "dtype": params.dtype,
            "ensemble_size": len(params) if params.ndim == 2 else None,
        }
        # each generator copied by itself: the copies of a tiled network must not share one
        described["rngs"] = [copy.deepcopy(rng) for rng in rngs]
        twin.__setstate__({k: v if k == "rngs" else copy.deepcopy(v) for k, v in described.items()})
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Arguments, arrays and generators; views, buffers and readers are made anew."""
        kept = ("layers", "loss", "penalties", "dtype", "random_state", "ensemble_size")
        state = {
            name: getattr(self, name) for name in (*kept, "rngs", "rng", "streams", "stop_training")
        }
        return state | {"params": self._params, "state": self._state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        params, statistics = state.pop("params"), state.pop("state")
        self.__dict__.update(state)
        self._bind()
        self.params, self.state = params, statistics

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        options = [f"loss={self.loss!r}"]
        if self.penalties:
            options.append(f"penalties={self.penalties!r}")
        if self.dtype != np.float32:
            options.append(f'dtype="{self.dtype}"')
        if self.ensemble_size is not None:
            options.append(f"ensemble_size={self.ensemble_size}")
        return f"{type(self).__name__}([\n{lines}], {', '.join(options)})"
