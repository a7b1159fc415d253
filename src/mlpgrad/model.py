"""`Sequential`: layers in a row, their parameters in one flat array, and a loss on top."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad import _checks, binding
from mlpgrad._arrays import Array
from mlpgrad._describe import Described, suggesting
from mlpgrad.layers import Layer, run_backward, run_forward, walk
from mlpgrad.losses import Loss
from mlpgrad.penalties import Penalty, penalise

if TYPE_CHECKING:
    from pathlib import Path

    from mlpgrad.callbacks import Callback
    from mlpgrad.history import History
    from mlpgrad.metrics import Metric
    from mlpgrad.optimizer_base import Optimizer

ROWS_AT_ONCE = 1024  # in predictions: bounds the memory, not the result


class Sequential(Described):
    """Layers in a row with a loss on top: a multilayer perceptron, or an ensemble of them.

    Parameters
    ----------
    layers : sequence of Layer
        Neighbours' widths must agree; each object may be used once.
    loss : Loss
        What training reduces.
    penalties : sequence of Penalty
        Added to the loss, for instance `[mg.L2(1e-4)]`.
    dtype : dtype
        float32 by default; float64, longdouble and complex128 work as well.
    random_state : int, numpy.random.Generator or None
        The only source of randomness: initial weights, dropout, shuffling.
    ensemble_size : int, optional
        E independent networks trained together; outputs become `(E, B, O)`.

    Attributes
    ----------
    params, grads : array (P,) or (E, P)
        Every parameter and its gradient. Layers hold views: change values, never the array.
    state : array (S,) or (E, S)
        What else the layers keep between batches, such as running means.
    parameters, statistics : list of Slot
        Name, place and shape of each array in `params` and in `state`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=200, batch_size=4, verbose=0)
    >>> model.predict_classes(x)
    array([0, 1, 1, 0])
    """

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
        self.layers = list(layers)
        self.loss = loss
        self.penalties = list(penalties)
        self.dtype = np.dtype(dtype)
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self.stop_training = False
        self._check()
        *self.rngs, self.rng = _checks.random_generators(random_state, (ensemble_size or 1) + 1)
        self._bind()
        binding.initialize(self.parameters, self._params, self.rngs)
        binding.initialize(self.statistics, self._state, self.rngs)

    def _check(self) -> None:
        """Refuse what is not a chain of fresh layers under a fitting loss."""
        binding.check_chain(self.layers)
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
        """Make the flat arrays, if there are none, and give each layer its views of them."""
        binding.link(self.layers)
        self.parameters, self.statistics = slots = binding.lay_out(self.layers)
        if flats is None:
            sizes = [kept[-1].stop if kept else 0 for kept in (slots[0], *slots)]
            params, grads, state = (np.zeros((*self.lead, n), self.dtype) for n in sizes)
            flats = params, grads, state
        self._params, self._grads, self._state = flats
        binding.bind(self.layers, slots, flats, self.rngs)
        self.layers[0].wants_input_delta = False
        self._readers = threading.local()
        self._penalised = [
            (penalty, self._params[part], self._grads[part])
            for penalty in self.penalties
            for slot in self.parameters
            if slot.kind in penalty.kinds
            for part in [np.s_[..., slot.start : slot.stop]]
        ]
        largest = max((params.size for _, params, _ in self._penalised), default=0)
        self._slopes = np.empty(largest, self.dtype)

    # storage

    @property
    def params(self) -> Array:
        """All parameters, `(P,)` or `(E, P)`; assigning copies the values into the array."""
        return self._params

    @params.setter
    def params(self, values: Any) -> None:
        self._params[...] = values

    @property
    def grads(self) -> Array:
        """The gradient of the last `backpropagate`, in the shape of `params`."""
        return self._grads

    @grads.setter
    def grads(self, values: Any) -> None:
        self._grads[...] = values

    @property
    def state(self) -> Array:
        """What the layers keep beside parameters, such as running means: `(S,)` or `(E, S)`."""
        return self._state

    @state.setter
    def state(self, values: Any) -> None:
        self._state[...] = values

    @property
    def in_features(self) -> int | None:
        """Width of the input, or None for any."""
        return next((n for layer in self.layers if (n := layer.in_features) is not None), None)

    @property
    def out_features(self) -> int | None:
        """Width of the output, or None where it is that of the input, whatever that is."""
        widths = (layer.out_features or layer.in_features for layer in reversed(self.layers))
        return next((n for n in widths if n is not None), None)

    def get_weights(self) -> dict[str, Array]:
        """Copies of all parameters and statistics, by name such as `layers[0].weights`."""
        arrays = {slot.name: slot.view(self._params).copy() for slot in self.parameters}
        return arrays | {slot.name: slot.view(self._state).copy() for slot in self.statistics}

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Copy in arrays by name, as `get_weights` gives them; all names must be there."""
        slots = {slot.name: slot.view(self._params) for slot in self.parameters}
        slots |= {slot.name: slot.view(self._state) for slot in self.statistics}
        if weights.keys() != slots.keys():
            odd = sorted(weights.keys() ^ slots.keys())
            raise ValueError(f"weights expects the names of get_weights(); differing: {odd}")
        arrays = {name: _checks.numeric(value, name) for name, value in weights.items()}
        for name, array in arrays.items():
            if array.shape != slots[name].shape:
                raise ValueError(f"{name} expects shape {slots[name].shape}, got {array.shape}")
        for name, array in arrays.items():
            slots[name][...] = array

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

    def _step(self, x: Array, target: Array, weights: Array | None = None) -> Any:
        """`backpropagate` on arrays that have been checked and cast."""
        value = self.loss.forward(run_forward(self.layers, x), target, weights)
        self._input_delta = run_backward(self.layers, self.loss.backward())
        return penalise(value, self._penalised, self._slopes) if self._penalised else value

    def _cast(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and weights as `_step` takes them."""
        x, target, weights = self.checked(x, y, sample_weight)
        if weights is not None:
            weights = weights.astype(self.dtype, copy=False)
        return x.astype(self.dtype, copy=False), self.loss.cast(target, self.dtype), weights

    def checked(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and weights with rows on axis -2, checked but not yet cast or copied."""
        x = _checks.inputs(x, self.in_features, self.lead, self.dtype)
        width = self.out_features or x.shape[-1]
        target = _checks.targets(y, self.loss, width, x.shape[-2], self.lead, self.dtype)
        return x, target, _checks.sample_weights(sample_weight, x.shape[-2], self.lead)

    # training and use

    @suggesting
    def fit(
        self,
        x: Any,
        y: Any,
        *,
        optimizer: Optimizer,
        epochs: int = 10,
        batch_size: int = 32,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        validation_shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | str | None = None,
        shuffle: bool = True,
        verbose: int = 1,
    ) -> History:
        """Train on minibatches; see `mlpgrad.training.fit` for each option.

        Returns
        -------
        History
            Losses and metrics by name, one value an epoch.
        """
        from mlpgrad.training import fit

        return fit(
            self,
            x,
            y,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=validation_data,
            validation_split=validation_split,
            validation_shuffle=validation_shuffle,
            callbacks=callbacks,
            metrics=metrics,
            sample_weight=sample_weight,
            class_weight=class_weight,
            shuffle=shuffle,
            verbose=verbose,
        )

    def predict(self, x: Any) -> Array:
        """The network's output, `(B, O)` or `(E, B, O)`: logits where the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. Safe from several threads.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        """
        return self._predict(_checks.inputs(x, self.in_features, self.lead, self.dtype))

    def predict_proba(self, x: Any) -> Array:
        """Probabilities, `(..., B, O)`, where the loss defines them; a TypeError elsewhere."""
        return self.loss.probabilities(self.predict(x))

    def predict_classes(self, x: Any) -> Array:
        """The likeliest class of each sample, `(..., B)`, where the loss defines classes."""
        return self.loss.classes(self.predict(x))

    def _predict(self, x: Array) -> Array:
        """`predict` on a checked array, a bounded number of rows at a time."""
        layers = self._reading_layers()
        samples = x.shape[-2]
        if samples <= ROWS_AT_ONCE:
            return run_forward(layers, x.astype(self.dtype, copy=False)).copy()
        parts = (x[..., i : i + ROWS_AT_ONCE, :] for i in range(0, samples, ROWS_AT_ONCE))
        first = run_forward(layers, next(parts).astype(self.dtype, copy=False))
        out = np.empty((*first.shape[:-2], samples, first.shape[-1]), first.dtype)
        out[..., :ROWS_AT_ONCE, :] = first
        for number, part in enumerate(parts, start=1):
            rows = slice(number * ROWS_AT_ONCE, (number + 1) * ROWS_AT_ONCE)
            out[..., rows, :] = run_forward(layers, part.astype(self.dtype, copy=False))
        return out

    def _reading_layers(self) -> list[Layer]:
        """This thread's twins of the layers: same parameters, own buffers, not training."""
        layers: list[Layer] | None = getattr(self._readers, "layers", None)
        if layers is None:
            layers = self._readers.layers = [layer.reader() for layer in self.layers]
        return layers

    @suggesting
    def evaluate(
        self, x: Any, y: Any, *, sample_weight: Any = None, metrics: Sequence[Metric] | None = None
    ) -> dict[str, Any]:
        """The objective and metrics on data, in prediction mode.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`.
        metrics : sequence of Metric, optional
            By default those of the loss: accuracy where it classifies.

        Returns
        -------
        dict
            `"loss"` (with penalties, as in training) and each metric by name; a float, or an
            array `(E,)` for an ensemble.
        """
        from mlpgrad.evaluating import evaluate

        return evaluate(self, *self.checked(x, y, sample_weight), metrics)

    def penalty(self) -> Any:
        """The sum of the penalties at the current parameters: a number, or `(E,)`."""
        return sum((penalty.value(params) for penalty, params, _ in self._penalised), 0.0)

    def learning_rate_range_test(self, x: Any, y: Any, **options: Any) -> Any:
        """Train a copy with a growing rate; see `mlpgrad.training.learning_rate_range_test`."""
        from mlpgrad.training import learning_rate_range_test

        return learning_rate_range_test(self, x, y, **options)

    def save(self, path: str | Path) -> None:
        """Write the model to a `.npz` file with a JSON description; `mg.load(path)` reads it."""
        from mlpgrad.persistence import save

        save(self, path)

    # copies

    @property
    def lead(self) -> tuple[int, ...]:
        """`()` for one network, `(E,)` for an ensemble."""
        return () if self.ensemble_size is None else (self.ensemble_size,)

    def copy(self) -> Self:
        """An independent copy: parameters, statistics and generators included."""
        return copy.deepcopy(self)

    def member(self, index: int) -> Self:
        """Network `index` of an ensemble as a model of its own, a copy."""
        if self.ensemble_size is None:
            raise ValueError("member(i) expects an ensemble, got one network; use copy()")
        if not -self.ensemble_size <= index < self.ensemble_size:
            raise IndexError(f"member expects 0 to {self.ensemble_size - 1}, got {index}")
        return self._rebuilt(self._params[index], self._state[index], [self.rngs[index]])

    def share(self, networks: slice) -> Self:
        """Some networks of an ensemble on the same memory, with layers and buffers of their own.

        For a thread that trains them while others train the rest.
        """
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
        params, state = (np.tile(flat, (count, 1)) for flat in (self._params, self._state))
        return self._rebuilt(params, state, self.rngs * count)

    def lifted(self, dtype: Any = np.float64) -> Self:
        """A copy that computes in another dtype, from the same values."""
        dtype = np.dtype(dtype)
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
        state = {name: getattr(self, name) for name in (*kept, "rngs", "rng", "stop_training")}
        return state | {"params": self._params, "state": self._state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        params, statistics = state.pop("params"), state.pop("state")
        self.__dict__.update(state)
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

    # text

    def summary(self) -> str:
        """A table of the layers: position, layer, output shape, number of parameters.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        ...                       loss=mg.HalfSquaredError())
        >>> print(model.summary())
           layer        output  parameters
        0  Dense(2, 4)  (B, 4)          12
        1  Tanh()       (B, 4)           0
        2  Dense(4, 1)  (B, 1)           5
        17 parameters, 68 bytes (float32), HalfSquaredError()
        """
        rows = [("", "layer", "output", "parameters")]
        lead = "".join(f"{size}, " for size in self.lead)
        width: int | None = self.in_features
        for position, layer in walk(self.layers):
            width = layer.out_features or layer.in_features or width
            count = sum(slot.stop - slot.start for slot in self.parameters if slot.layer is layer)
            label = "  " * position.count(".") + repr(layer)
            rows.append((position, label, f"({lead}B, {width or 'I'})", f"{count:,}"))
        a, b, c, d = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{p:<{a}}  {n:<{b}}  {o:<{c}}  {k:>{d}}" for p, n, o, k in rows]
        networks = f" in each of {self.ensemble_size} networks" if self.lead else ""
        total = (
            f"{self._params.shape[-1]:,} parameters{networks}, {self._params.nbytes:,} bytes "
            f"({self.dtype}), {self.loss!r}"
        )
        return "\n".join([*lines, total])

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        options = [f"loss={self.loss!r}"]
        if self.penalties:
            options.append(f"penalties={self.penalties!r}")
        if self.dtype != np.float32:
            options.append(f'dtype="{self.dtype}"')
        if self.ensemble_size is not None:
            options.append(f"ensemble_size={self.ensemble_size}")
        return f"Sequential([\n{lines}], {', '.join(options)})"
