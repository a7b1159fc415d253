"""`Network`: layers in a row, their parameters in one flat array, and a loss on top."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array
from mlpgrad._core.options import assignments
from mlpgrad._core.stateful import Stateful, generator_state, restore_generator
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import check_chain, run_backward, run_forward
from mlpgrad.losses.base import Loss
from mlpgrad.network import boundary
from mlpgrad.network.fitting import Reading, Threaded
from mlpgrad.network.own import Own
from mlpgrad.network.prediction import Prediction
from mlpgrad.network.storage import initialize
from mlpgrad.penalties import Penalty, penalise


class Network(Threaded, Stateful):
    """What computes: storage, forward, backward, the objective, predictions and copies.

    `mlpgrad.Sequential` is the class that people use: it adds training, evaluation and files, and
    describes the constructor's arguments. The gradient checker, the optimizers and the
    explanations take any network.
    """

    streams: dict[str, np.random.Generator]
    """Streams that have been asked for by name."""

    _options_act = True

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
        self.layers = tuple(layers)
        self.loss = loss
        self.penalties = tuple(penalties)
        self.dtype = np.dtype(dtype)
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self._check()
        *self.rngs, self.rng = checks.random_generators(random_state, (ensemble_size or 1) + 1)
        self.streams = {}
        self._bind()
        initialize(self.parameters, self._params, self.rngs)
        initialize(self.statistics, self._state, self.rngs)

    def _check(self) -> None:
        """Refuse what is not a chain of fresh layers under a fitting loss."""
        check_chain(self.layers)
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss expects a Loss such as HalfSquaredError(), got {self.loss!r}")
        for penalty in self.penalties:
            if not isinstance(penalty, Penalty):
                raise TypeError(f"penalties expects objects such as L2(1e-4), got {penalty!r}")
        if self.dtype.kind not in "fc":
            raise TypeError(f"dtype expects a floating type such as float32, got {self.dtype}")
        size = self.ensemble_size
        if size is not None and (not isinstance(size, (int, np.integer)) or size < 1):
            raise ValueError(f"ensemble_size expects None or an int >= 1, got {size!r}")
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
        self._slopes = np.empty(0, self.dtype)
        self._own = Own(self)
        self._use_objective()

    def _use_objective(self) -> None:
        """Compute with the loss and the penalties as they are now."""
        self._loss, *penalties = self._own.made([self.loss, *self.penalties])
        acting = [
            (penalty, self._params[part], self._grads[part])
            for penalty in penalties
            for slot in self.parameters
            if slot.kind in penalty.kinds
            for part in [np.s_[..., slot.start : slot.stop]]
        ]
        largest = max((params.size for _, params, _ in acting), default=0)
        if largest > self._slopes.size:
            self._slopes = np.empty(largest, self.dtype)
        self._penalised = acting

    def _reassign(self, name: str, value: Any) -> None:
        """Take another loss or other penalties at once; refuse what the storage depends on."""
        if name in ("layers", "dtype", "random_state", "ensemble_size"):
            raise AttributeError(
                f"{name} cannot be changed once the model is made; make a new model"
            )
        value = tuple(value) if name == "penalties" else value
        probe = object.__new__(type(self))
        vars(probe).update(vars(self) | {"layers": copy.deepcopy(self.layers), name: value})
        probe._check()
        vars(self)[name] = value
        self._use_objective()
        assignments.announce(self)

    def notice(self, thing: Any) -> None:
        """An option of the loss or of a penalty has been assigned."""
        self._use_objective()

    def follow(self) -> None:
        """Notice other changes of a loss or penalty that is shared with another model."""
        if self._own.changed():
            self._use_objective()

    def config(self) -> dict[str, Any]:
        """The constructor's arguments by name, lists as lists."""
        config = super().config()
        lists = config.keys() & {"layers", "penalties"}
        return {name: [*value] if name in lists else value for name, value in config.items()}

    @property
    def in_features(self) -> int | None:
        """Width of the input, or None for any."""
        for layer in self.layers:  # every `predict` asks, and a generator takes twice the time
            if layer.in_features is not None:
                return layer.in_features
        return None

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

        Returns
        -------
        number, or array (E,)
            The loss, averaged over the batch, plus penalties.
        """
        with self._alone():
            return self._step(*self._cast(x, y, sample_weight))

    def input_gradient(self, x: Any, y: Any, *, sample_weight: Any = None) -> Array:
        """dL/dx, in the shape of `x` (with the ensemble axis in front where there is one)."""
        first = self.layers[0]
        with self._alone():
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

    def _step(self, x: Array, target: Array, weights: Array | None = None) -> Any:
        """`backpropagate` on arrays that have been checked and cast."""
        loss = self._loss
        value = loss.forward(run_forward(self.layers, x), target, weights)
        self._input_delta = run_backward(self.layers, loss.backward())
        return penalise(value, self._penalised, self._slopes) if self._penalised else value

    def _cast(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and weights as `_step` takes them."""
        return self.cast(*self.checked(x, y, sample_weight))

    def cast(
        self, x: Array, target: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Checked rows as `_step` takes them."""
        if weights is not None:
            weights = weights.astype(self.dtype, copy=False)
        return x.astype(self.dtype, copy=False), self.loss.cast(target, self.dtype), weights

    def checked(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and weights with rows on axis -2, checked but not yet cast or copied."""
        self.follow()
        x = boundary.inputs(x, self.in_features, self.lead, self.dtype)
        width = self.out_features or x.shape[-1]
        target = boundary.targets(y, self.loss, width, x.shape[-2], self.lead, self.dtype)
        return x, target, boundary.sample_weights(sample_weight, x.shape[-2], self.lead)

    # predictions

    def predict(self, x: Any) -> Array:
        """The network's output, `(B, O)` or `(E, B, O)`: logits where the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. Safe from several threads: also
        while another one fits the model, from whose weights it takes a copy between two steps.

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
        reading, readers = object(), self._readers  # as `Reading` does, without its calls
        readers.add(reading)
        try:
            if self._fitting is None or self._fitting.here():
                return self._prediction(x)
        finally:
            readers.discard(reading)
        with Reading(self) as network:
            return network._prediction(x)

    # randomness and state

    def stream(self, name: str) -> np.random.Generator:
        """The random numbers for one purpose: drawing from them moves no other stream.

        They are derived from the seed and the name, whatever has been drawn before. The initial
        weights and dropout of each network have streams of their own (`rngs`), and so has the
        order of the rows (`rng`).
        """
        if name not in self.streams:
            source: Any = self.rng.bit_generator.seed_seq
            key = (*source.spawn_key, zlib.crc32(name.encode()))
            seed = np.random.SeedSequence(source.entropy, spawn_key=key)
            self.streams[name] = np.random.default_rng(seed)
        return self.streams[name]

    def snapshot(self) -> dict[str, Any]:
        """Copies of parameters and statistics, and the states of all random streams."""
        params, state = self._weights()
        return {
            "params": params.copy(),
            "state": state.copy(),
            "rngs": [generator_state(rng) for rng in self.rngs],
            "rng": generator_state(self.rng),
            "streams": {name: generator_state(rng) for name, rng in self.streams.items()},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` has returned: of a network with the same layers."""
        for name, flat in (("params", self._params), ("state", self._state)):
            found = snapshot[name]
            if found.shape != flat.shape or found.dtype != flat.dtype:
                raise ValueError(
                    f"restore expects {name} of shape {flat.shape} and {flat.dtype}, got "
                    f"{found.shape} and {found.dtype}; the snapshot is of another network"
                )
        with self._writing():
            self.params, self.state = snapshot["params"], snapshot["state"]
        for rng, state in zip(
            [*self.rngs, self.rng], [*snapshot["rngs"], snapshot["rng"]], strict=True
        ):
            restore_generator(rng, state)
        for name, state in snapshot["streams"].items():
            restore_generator(self.stream(name), state)

    # copies

    def member(self, index: int) -> Self:
        """Network `index` of an ensemble as a model of its own, a copy."""
        if self.ensemble_size is None:
            raise ValueError("member(i) expects an ensemble, got one network; use copy()")
        if not -self.ensemble_size <= index < self.ensemble_size:
            raise IndexError(f"member expects 0 to {self.ensemble_size - 1}, got {index}")
        params, state = self._weights()
        return self._rebuilt(params[index], state[index], [self.rngs[index]])

    def share(self, networks: slice) -> Self:
        """Some networks of an ensemble on the same memory, with layers and buffers of their own.

        For a thread that trains them while others train the rest.
        """
        part: Self = type(self).__new__(type(self))
        arrays = ("rngs", "rng")
        part.__dict__.update(
            copy.deepcopy({k: v for k, v in self._described().items() if k not in arrays})
        )
        part.rngs, part.rng = self.rngs[networks], self.rng
        vars(part)["ensemble_size"] = len(part.rngs)
        part._bind((self._params[networks], self._grads[networks], self._state[networks]))
        return part

    def tiled(self, count: int) -> Self:
        """An ensemble of `count` copies of this one network: same values, same randomness."""
        if self.ensemble_size is not None:
            raise ValueError("tiled(count) expects one network, got an ensemble; use member(i)")
        params, state = (np.tile(flat, (count, 1)) for flat in self._weights())
        return self._rebuilt(params, state, self.rngs * count)

    def lifted(self, dtype: Any = np.float64) -> Self:
        """A copy that computes in another dtype, from the same values."""
        dtype = np.dtype(dtype)
        params, state = self._weights()
        return self._rebuilt(params.astype(dtype), state.astype(dtype), self.rngs)

    def _rebuilt(self, params: Array, state: Array, rngs: Sequence[np.random.Generator]) -> Self:
        twin: Self = type(self).__new__(type(self))
        described = self._described() | {
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
        params, state = self._weights()
        return self._described() | {"params": params, "state": state}

    def _described(self) -> dict[str, Any]:
        """All but the arrays."""
        kept = ("layers", "loss", "penalties", "dtype", "random_state", "ensemble_size")
        state = (*kept, "rngs", "rng", "streams", "_stop_training")
        return {name: getattr(self, name) for name in state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        params, statistics = state.pop("params"), state.pop("state")
        super().__setstate__(state)
        self._bind()
        self.params, self.state = params, statistics

    @contextmanager
    def same_randomness(self) -> Iterator[None]:
        """Restore the generators afterwards: the next forward draws the same dropout masks."""
        saved = [rng.bit_generator.state for rng in self.rngs]
        try:
            yield
        finally:
            for rng, state in zip(self.rngs, saved, strict=True):
                rng.bit_generator.state = state

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        options = [f"loss={self.loss!r}"]
        if self.penalties:
            options.append(f"penalties={[*self.penalties]!r}")
        if self.dtype != np.float32:
            options.append(f'dtype="{self.dtype}"')
        if self.ensemble_size is not None:
            options.append(f"ensemble_size={self.ensemble_size}")
        return f"{type(self).__name__}([\n{lines}], {', '.join(options)})"
