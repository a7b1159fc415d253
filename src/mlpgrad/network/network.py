"""`Network`: a stack of layers with a loss, and all parameters in one flat array."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad._core.frames import column_names
from mlpgrad._core.options import assignments
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import check_chain, giving_input_delta, run_backward, run_forward, walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.acquainted import Acquainted
from mlpgrad.network.copies import MOST_MEMBERS, Copied
from mlpgrad.network.encoding import own_encoder
from mlpgrad.network.fitting import Reading
from mlpgrad.network.labels import as_tuple
from mlpgrad.network.own import Own
from mlpgrad.network.prediction import Prediction
from mlpgrad.network.scaled import Scaled
from mlpgrad.network.shown import Shown
from mlpgrad.network.storage import Layers, initialize
from mlpgrad.network.target_scaling import checked_kind, scaling_for
from mlpgrad.network.warnings import warn_of_structure
from mlpgrad.penalties import Penalty, penalise


class Network(Copied, Shown, Scaled, Acquainted):
    """The computing part of a model: storage, forward and backward pass, objective, predictions.

    `mlpgrad.Sequential` is the public class: it adds training, evaluation and files, and documents
    the constructor's arguments. The gradient checker, the optimizers and the explanations accept
    any network.
    """

    _options_act = True
    _fixed = (
        *("layers", "dtype", "random_state", "ensemble_size"),
        *("target_scaling", "classes", "encoder"),
    )

    compiled_because: str | None = "it has not been trained yet"
    """Why the steps of the latest `fit` were not compiled; None if they were."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: Loss,
        penalties: Sequence[Penalty] = (),
        dtype: Any = np.float32,
        random_state: int | np.random.Generator | None = None,
        ensemble_size: int | None = None,
        target_scaling: str | None = None,
        classes: Any = None,
        encoder: Any = None,
    ) -> None:
        if ensemble_size is not None:
            ensemble_size = arguments.count(ensemble_size, "ensemble_size", 1, MOST_MEMBERS)
        self.layers = Layers(arguments.objects(layers, "layers", Layer, "Dense(2, 8)"))
        self.loss, self.penalties = _checked_loss(loss), _checked_penalties(penalties)
        self.dtype = arguments.floating(dtype)
        self.random_state, self.ensemble_size = random_state, ensemble_size
        self.target_scaling, self.classes = checked_kind(target_scaling), as_tuple(classes)
        self.encoder = own_encoder(encoder)
        self._check()
        self.streams = {}
        self._fill()

    def _fill(self) -> None:
        """Make the generators and arrays, and draw initial values; loading a file replaces this."""
        networks = self.ensemble_size or 1
        *self.rngs, self.rng = checks.random_generators(self.random_state, networks + 1)
        self._bind()
        initialize(self.parameters, self._params, self.rngs)
        initialize(self.statistics, self._state, self.rngs)
        warn_of_structure(self.layers, self.loss)

    def _check(self) -> None:
        """Raise an error unless layers are unused, widths match and the loss is suitable."""
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
        self._scale_targets()
        self._introduce()

    def _scale_targets(self) -> None:
        """Make the target scaling, if the option requests it and the loss allows it."""
        before = self._target_scaling
        scaling = scaling_for(self.target_scaling, self.loss, self.out_features)
        if before is not None and scaling is not None and before.features != scaling.features:
            raise ValueError(
                f"loss expects {before.features} targets, as the scaling of the model's targets "
                f"does, got {self.loss!r} with {scaling.features}; make a new model"
            )
        self._target_scaling = scaling

    def _bind(self, flats: tuple[Array, Array, Array] | None = None) -> None:
        """Lay out the flat arrays, if there are none, and give each layer its views of them."""
        self._scale_targets()
        super()._bind(flats)
        self._has_scaling = self.scales()  # every `predict` asks
        self.layers[0].wants_input_delta = False
        self._prediction = Prediction(self.layers, self.dtype)
        self._slopes = np.empty(0, self.dtype)
        self._own = Own(self)
        self._use_objective()

    def _use_objective(self) -> None:
        """Compute with the current loss and penalties."""
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
        """Accept another loss or other penalties; refuse changes that the storage depends on."""
        if name in self._fixed:
            raise AttributeError(
                f"{name} cannot be changed once the model is made; make a new model"
            )
        if name in ("loss", "penalties"):
            value = _checked_loss(value) if name == "loss" else _checked_penalties(value)
            if name == "loss" and self._fitting is not None:
                self._check_takes_same_targets(value)
        probe = object.__new__(type(self))
        vars(probe).update(vars(self) | {"layers": copy.deepcopy(self.layers), name: value})
        probe._check()
        vars(self)[name] = value
        self._use_objective()
        assignments.announce(self)

    def _notice(self, thing: Any) -> None:
        """Follow the assignment of an option of the loss or of a penalty."""
        self._use_objective()

    def _parts(self) -> list[Any]:
        """Return what the objective depends on besides numbers: all layers, loss, penalties."""
        return [*(layer for _, layer in walk(self.layers)), self.loss, *self.penalties]

    def follow(self) -> None:
        """Follow other changes of a loss or penalty that is shared with another model."""
        if self._own.changed():
            self._use_objective()

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, lists as lists."""
        config = super().config()
        lists = config.keys() & {"layers", "penalties"}
        return {name: [*value] if name in lists else value for name, value in config.items()}

    # one step

    @suggesting
    def backpropagate(self, x: Any, y: Any, *, sample_weight: Any = None) -> Any:
        """Write dL/d(params) to `grads` and return the objective L, in training mode.

        Afterwards, the attributes `inputs`, `outputs`, `pre_activations`, `delta` and `gradients`
        of each layer return copies of its values in this step.

        Parameters
        ----------
        x : array (B, I) or (E, B, I)
        y : array (B, O) or (E, B, O), or classes (B,)
        sample_weight : array (B,) or (E, B), optional
            Numbers >= 0; a sample of weight 2 counts as two samples, one of weight 0 is ignored.

        Returns
        -------
        number, or array (E,)
            The loss, averaged over the batch by weight, sum(w l) / sum(w), plus penalties.
        """
        with self._alone():
            return self._step(*self._cast(x, y, sample_weight))

    @suggesting
    def input_gradient(self, x: Any, y: Any, *, sample_weight: Any = None) -> Array:
        """Return dL/dx, in the shape of `x` (with a leading ensemble axis if there is one)."""
        with self._alone(), giving_input_delta(self.layers):
            self._step(*self._cast(x, y, sample_weight))
            assert self._input_delta is not None
            return self._input_delta.copy()

    @suggesting
    def objective(
        self, x: Any, y: Any, *, sample_weight: Any = None
    ) -> Callable[[Any], tuple[Any, Array]]:
        """Return the function `params -> (value, grads)` on fixed data, for SciPy and checkers.

        It works on a copy, so this model is not changed; random numbers (dropout) are the same at
        every call.

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
        """Return the sum of the penalties at the current parameters: a number, or `(E,)`."""
        return sum((penalty._direct_value(params) for penalty, params, _ in self._penalised), 0.0)

    def _step(
        self, x: Array, target: Array, weights: Array | None = None, mean_weight: Any = None
    ) -> Any:
        """Compute `backpropagate` on arrays that have been checked and cast.

        The weights are divided by `mean_weight`, or by their own mean: see `Loss.forward`.
        """
        loss = self._loss
        prediction = run_forward(self.layers, x, weights)
        if weights is None or mean_weight is None:
            value = loss._direct_forward(prediction, target, weights)
        else:
            value = loss._direct_forward(prediction, target, weights, mean_weight)
        self._input_delta = run_backward(self.layers, loss._direct_backward())
        return penalise(value, self._penalised, self._slopes) if self._penalised else value

    def _cast(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """Return inputs, targets and weights as `_step` takes them."""
        checked = self.checked(x, y, sample_weight, some_weight=False)
        if self._has_scaling:
            self.check_fitted()
        return self.cast(*checked)

    def cast(
        self, x: Array, target: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Return checked rows as `_step` takes them."""
        if weights is not None:
            weights = weights.astype(self.dtype, copy=False)
        return x.astype(self.dtype, copy=False), self.cast_target(target), weights

    def checked(
        self, x: Any, y: Any, sample_weight: Any, *, some_weight: bool = True, learns: bool = False
    ) -> tuple[Array, Array, Array | None]:
        """Return inputs, targets and weights with rows on axis -2, checked but not cast or copied.

        The weights of a single batch may all be zero by chance, which `some_weight=False` allows.
        With `learns=True`, for training data, new names of columns and classes are stored.
        """
        self.follow()
        names = column_names(x) if learns and self.encoder is None else None
        x = self.checked_inputs(x)
        target, weights = self.checked_targets(
            y, sample_weight, x.shape[-2], x.shape[-1], some_weight=some_weight, learns=learns
        )
        if learns:
            self._columns = self._columns or names
        return x, target, weights

    # predictions

    def predict(self, x: Any) -> Array:
        """Predict: the network's output, `(B, O)` or `(E, B, O)`; logits if the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. The method may be called from
        several threads, even while another thread fits the model: it then uses a copy of the
        weights taken between two steps.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble

        Returns
        -------
        array (B, O) or (E, B, O)
            The output, in the model's dtype; with `target_scaling` in float64, in the units of the
            targets. Raises ValueError if a scaling of inputs or targets is not fitted yet.
        """
        x = self.inputs_to_predict(x)
        return self._predict_in_own_unit(x) if self._has_scaling else self._predict(x)

    def predict_proba(self, x: Any) -> Array:
        """Predict probabilities, `(..., B, O)`; TypeError if the loss does not define them."""
        return self.loss.probabilities(self.predict(x))

    def predict_classes(self, x: Any) -> Array:
        """Predict the most probable class of each sample, `(..., B)`, by its label."""
        return self._answer(self.predict(x))

    def _predict_in_own_unit(self, x: Array) -> Array:
        """`predict` of a network with scalings, with consistent weights and scalings."""
        with Reading(self) as network:
            network.check_fitted()
            return network.in_own_unit(network._prediction(x))

    def _predict(self, x: Array) -> Array:
        """Return the outputs for a checked array, in scaled units."""
        reading, readers = object(), self._readers  # inlined `Reading`
        readers[reading] = get_ident()
        try:
            if self._fitting is None or self._fitting.here():
                return self._prediction(x)
        finally:
            readers.pop(reading, None)
        with Reading(self) as network:
            return network._prediction(x)


def _checked_loss(loss: Any) -> Loss:
    return arguments.instance(loss, "loss", Loss, "HalfSquaredError()")


def _checked_penalties(penalties: Any) -> tuple[Penalty, ...]:
    return tuple(arguments.objects(penalties, "penalties", Penalty, "L2(1e-4)"))
