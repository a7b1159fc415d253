"""The base class of losses: `forward(prediction, target)` gives the value, `backward()` delta."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, constant, fitting, ones, summing_dtype
from mlpgrad._core.checks import is_within
from mlpgrad._core.described import Described
from mlpgrad._core.unwritten import unwritten
from mlpgrad.losses.boundary import check_arguments, check_weights, not_arrays
from mlpgrad.losses.curvature import Curvature
from mlpgrad.losses.meaning import Meaning


class Loss(Curvature, Meaning, Described):
    """L = 1/B sum_b v_b l(prediction_b, target_b),  v_b = w_b / mean(w), with w_b = 1 by default

    Base class of losses. The mean over the batch is computed only here, so that the step size does
    not depend on the batch size. The weights w_b are those of the samples; a sample of weight 2
    counts as two samples. The mean of the weights is that of the batch, so that L = sum_b w_b l_b
    / sum_b w_b; `fit` gives that of all training rows instead. A batch whose weights are all 0 has
    the value 0 and a zero delta.

    A subclass implements two methods:

    - `losses(prediction, target)` returns each sample's loss l, `(..., B)`;
    - `slopes(prediction, target, out)` writes dl/d(prediction), `(..., B, O)`, into `out`. It is
      called after `losses` with the same arguments, so it may use what that has kept in attributes
      (but not `_work` or `_losses`, which anything may overwrite).

    and may override the others. `check_target` and `target_features` define which targets are
    valid, `cast` how they are stored, and `classes`, `true_classes`, `probabilities`, `numbers`
    and `noise` what the outputs mean. `rescaled` gives outputs in another unit of the target,
    `averaged` the combined outputs of several networks, `kink_signature` the places where the loss
    is not smooth, and `example` the data for tests. `mg.check_loss(loss, prediction, target)`
    checks whether the slopes are correct.

    Values and slopes are correct to a few units of the dtype's precision for all predictions and
    targets, as long as their differences are finite in the dtype; exceptions are documented in the
    classes. A loss that exceeds the largest number of the dtype is infinite (squares of
    differences beyond 1.8e19 in float32, or 256 in float16); NumPy then warns of an overflow,
    except in `fit`, which raises `DivergenceError`.

    Attributes
    ----------
    expects_logits : bool
        Set it to True in a class that a Softmax or Sigmoid must not precede.
    expects_probabilities : bool
        Set it to True in a class whose predictions must be probabilities.
    classifies : bool
        Set it to True in a class whose targets are classes: splits are then stratified, and
        accuracy is the default metric.
    fixed_unit : bool
        Set it to True in a class whose targets cannot be shifted and scaled, such as counts.
    repeatable : bool
        Set it to True in a class whose NumPy calls are the same for every batch of one shape:
        `fit` then records a step and replays it without the surrounding Python code.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class LogCosh(mg.Loss):
    ...     def losses(self, prediction, target):
    ...         return np.log(np.cosh(prediction - target)).sum(axis=-1)
    ...
    ...     def slopes(self, prediction, target, out):
    ...         np.tanh(prediction - target, out)
    >>> loss, prediction, target = LogCosh(), np.array([[0.5], [0.0]]), np.zeros((2, 1))
    >>> bool(mg.check_loss(loss, prediction, target))
    True
    >>> float(loss.forward(prediction, target).round(4))
    0.0601
    >>> loss.backward().round(4)
    array([[0.2311],
           [0.    ]])
    """

    _calls_checked = True
    _made_by = "its first batch; call forward first"
    _direct_forward: Callable[..., Any]  # and so on: the methods for inner loops
    _direct_backward: Callable[[], Array]
    _direct_cast: Callable[[Array, np.dtype[Any]], Array]
    _direct_losses: Callable[[Array, Array], Array]
    _direct_slopes: Callable[[Array, Array, Array], None]
    _options_act = True

    expects_logits: bool = False
    """True if a Softmax or Sigmoid must not precede this loss."""
    expects_probabilities: bool = False
    """True if the last layer must give probabilities."""
    classifies: bool = False
    """True if targets are classes: splits are stratified, accuracy is the default metric."""
    fixed_unit: bool = False
    """True if targets cannot be shifted and scaled, such as counts: no `target_scaling`."""
    repeatable: bool = False
    """Class attribute: True if every batch of one shape leads to the same NumPy calls."""
    _key: Any = None  # shapes and dtypes of the batch before
    _weights_key: Any = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The buffers that `allocate` makes."""

    # implemented by subclasses

    def losses(self, prediction: Array, target: Array) -> Array:
        """Return each sample's loss.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T)
            The target as `cast` returned it.

        Returns
        -------
        array (..., B)
            The losses, before weighting and averaging over the batch.
        """
        raise NotImplementedError(unwritten(self, "losses"))

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        """Write dl/d(prediction) for the arguments of the last `losses` into `out`.

        Parameters
        ----------
        prediction, target : arrays
            The arguments of `losses`, which must not be changed.
        out : array (..., B, O)
            The array to write the slopes to.
        """
        raise NotImplementedError(unwritten(self, "slopes"))

    def target_features(self, out_features: int) -> int:
        """Return the number of columns of the target for a network with `out_features` outputs."""
        return out_features

    def check_target(self, y: Array, out_features: int) -> Array:
        """Raise ValueError if `y` is not a valid target for this loss.

        It is called once, on all rows. `y` may be a memory-mapped file, which is never read as a
        whole: `checks.first_row` examines some rows at a time. Conversions are left to `cast`,
        which is given one batch at a time.

        Parameters
        ----------
        y : array (..., n, T)
            Finite numbers, one row per sample; `(..., n, 1)` if the caller gave one number per
            sample.
        out_features : int
            The number of the network's outputs.

        Returns
        -------
        array
            `y` itself.
        """
        expected = self.target_features(out_features)
        if y.shape[-1] != expected:
            raise ValueError(
                f"{type(self).__name__} expects targets with {expected} columns for a network "
                f"with {out_features} outputs, got {y.shape[-1]} (shape {y.shape}); "
                f"change the data or the last layer"
            )
        return y

    def cast(self, target: Array, dtype: np.dtype[Any]) -> Array:
        """Convert some rows of a checked target to what `losses` and `slopes` take."""
        return target.astype(dtype, copy=False)

    def converts_to(self, target: Array, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
        """Return the dtype of `cast(target, dtype)` if `cast` changes nothing else, or None.

        Batches are then converted while they are gathered, without a call of `cast`.
        """
        return dtype if type(self).cast is Loss.cast else None

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        """Return the side of each kink on which each number lies; None if the loss is smooth.

        A difference quotient of two points with different signatures is not the derivative.
        """
        return None

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        """Return a loss with a prediction `(4, 3)` and a checked target, for tests."""
        prediction = np.linspace(-1.3, 1.7, 12).reshape(4, 3)
        return cls(), prediction, np.cos(3 * prediction)

    # called by the model

    def forward(
        self,
        prediction: Array,
        target: Array,
        weights: Array | None = None,
        mean_weight: Any = None,
    ) -> Any:
        """Return the loss of a batch: a number, or `(E,)` for an ensemble.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, T) or (..., B, T)
            The target as `cast` returned it.
        weights : array (..., B, 1), optional
            Sample weights, not negative; by default all are equal.
        mean_weight : number or array (E, 1, 1), optional
            The divisor of the weights; by default their mean.
        """
        x, t = prediction, target
        try:
            key = x.shape, x.dtype, x.itemsize, t.shape, t.dtype, t.itemsize
        except AttributeError:  # lists, and arrays of other libraries, lack one of these
            raise not_arrays(self, prediction, target) from None
        fresh = key != self._key
        if fresh:
            self._key = self._weights_key = None
            check_arguments(self, prediction, target)
            self.resize(prediction.shape, prediction.dtype)
        self._prediction, self._target = prediction, target
        losses = self._direct_losses(prediction, target)
        if fresh:
            self._check_losses(losses, prediction.shape[:-1])
            self._key = key
        self._absent: Array | None = None
        if weights is not None:
            return self._weigh(losses, weights, mean_weight)
        self._scale = self._mean_scale
        if self._sum_dtype is None:
            return losses.dot(self._mean_weights)
        total = np.add.reduce(losses, -1, self._sum_dtype)
        return np.divide(total, losses.shape[-1]).astype(losses.dtype)

    def _weigh(self, losses: Array, weights: Array, mean_weight: Any) -> Any:
        """Return the weighted mean of the losses, and the scale of their slopes."""
        try:
            key = weights.shape, weights.dtype, weights.itemsize
        except AttributeError:
            key = None
        if key is None or key != self._weights_key:
            check_weights(self, weights, losses.shape)
            self._weights_key = key
        if mean_weight is None:
            axes, dtype = self._weight_axes, self._sum_dtype
            total = np.add.reduce(weights, axis=axes, dtype=dtype, keepdims=True)
            divisor = np.add(total, np.equal(total, 0))  # 0 / 1, not 0 / 0
        else:
            batch = constant(weights.shape[-2], weights.dtype)
            divisor = np.multiply(mean_weight, batch, dtype=weights.dtype)
        self._scale = fitting(self._sample_scale, weights)
        np.divide(weights, divisor, self._scale)
        # samples of weight 0 are left out even if their loss is infinite, since 0 * inf is NaN
        absent = self._absent = np.equal(weights, 0, fitting(self._absences, weights))
        kept: Array = self._losses
        np.copyto(kept, losses)
        np.copyto(kept, 0, "same_kind", absent[..., 0])
        if self._sum_dtype is None:
            return np.vecdot(self._scale[..., 0], kept)
        np.multiply(self._scale[..., 0], kept, kept)
        return np.add.reduce(kept, -1, self._sum_dtype).astype(losses.dtype)

    def _check_losses(self, losses: Any, shape: Shape) -> None:
        """Raise ValueError if `losses` has not returned one number for each sample."""
        if np.shape(losses) != shape:
            raise ValueError(
                f"{type(self).__name__}.losses: expected an array of shape {shape}, got "
                f"{shown(losses)}; return one number for each sample, such as the sum over the "
                f"outputs, .sum(axis=-1), and leave the mean over the batch to Loss"
            )

    def backward(self) -> Array:
        """Return dL/d(prediction) of the last `forward`, `(..., B, O)`: the first delta."""
        delta: Array = self._delta
        self._direct_slopes(self._prediction, self._target, delta)
        np.multiply(delta, self._scale, delta)
        if self._absent is not None:
            np.copyto(delta, 0, "same_kind", self._absent)
        return delta

    def resize(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Switch to the buffers for predictions of this shape and dtype, made once for each."""
        sets = self.__dict__.setdefault("_sets", {})
        key = (shape, dtype)
        if key not in sets:
            if len(sets) >= 3:
                sets.clear()
            sets[key] = self.allocate(shape, dtype)
        self.__dict__.update(sets[key])

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Return attributes to set for predictions of `shape`: buffers and constants, by name."""
        batch, outputs = shape[-2:]
        per_sample, per_output = (np.asarray(np.ones((), dtype) / n) for n in (batch, outputs))
        return {
            "_delta": np.empty(shape, dtype),
            "_work": np.empty(shape, dtype),
            "_losses": np.empty(shape[:-1], dtype),
            "_sample_scale": np.empty((*shape[:-1], 1), dtype),
            "_absences": np.empty((*shape[:-1], 1), bool),
            "_mean_scale": per_sample,
            "_mean_weights": np.full(batch, per_sample),
            "_sum_dtype": summing_dtype(dtype, batch),
            # along both axes NumPy uses pairwise summation, which is accurate for many weights
            "_weight_axes": -2 if batch < 1024 else (-2, -1),
            "_ones": ones((outputs,), dtype),
            # for losses that are a mean over the outputs
            "_per_output": per_output,
            "_output_weights": np.full(outputs, per_output),
        }

    def reader(self) -> Self:
        """Return a copy with its own buffers, for evaluation or another thread."""
        twin = type(self)(**self.config())
        twin.__setstate__(self.__getstate__())  # also what is no option, and replaced methods
        return twin

    def forget_buffers(self) -> None:
        """Drop the buffers, which the next `forward` makes again."""
        self._key = None
        self._sets: dict[Any, dict[str, Any]] = {}

    def _option_changed(self) -> None:
        self.forget_buffers()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the buffers."""
        return {k: v for k, v in super().__getstate__().items() if not k.startswith("_")}


def check_smoothing(loss: Loss, label_smoothing: float) -> None:
    """Raise ValueError if `label_smoothing` is not in [0, 1)."""
    if not is_within(label_smoothing, 0, 1):
        raise ValueError(
            f"{type(loss).__name__} expects label_smoothing from 0 to below 1, "
            f"got {shown(label_smoothing)}; 0.1 is usual"
        )
