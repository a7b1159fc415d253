"""The base class of losses: `forward(prediction, target)` gives the value, `backward()` delta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, Shape, ones
from mlpgrad._core.described import Described


class Loss(Described):
    """L = sum_b w_b l(prediction_b, target_b) / sum_b w_b, with w_b = 1 by default

    The mean over the batch is here and nowhere else: the step size must not depend on the batch
    size. Weights `w` are per sample; a sample of weight 2 counts as two samples. An all-zero
    batch has the value 0 and a zero delta.

    A subclass implements two methods and may override the others:

    - `losses(prediction, target)`: each sample's loss l, `(..., B)`;
    - `slopes(prediction, target, out)`: writes dl/d(prediction), `(..., B, O)`. It is called
      after `losses` with the same arguments, so it may use what that has kept (but not `_work`
      or `_losses`, which are free for anyone).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class LogCosh(mg.Loss):
    ...     def losses(self, prediction, target):
    ...         return np.log(np.cosh(prediction - target)).sum(axis=-1)
    ...
    ...     def slopes(self, prediction, target, out):
    ...         np.tanh(prediction - target, out)
    >>> loss = LogCosh()
    >>> float(loss.forward(np.array([[0.5], [0.0]]), np.array([[0.0], [0.0]])).round(4))
    0.0601
    >>> loss.backward().round(4)
    array([[0.2311],
           [0.    ]])
    """

    _options_act = True

    expects_logits: bool = False
    """True where a Softmax or Sigmoid in front would be a mistake."""
    expects_probabilities: bool = False
    """True where anything but probabilities from the last layer would be a mistake."""
    classifies: bool = False
    """True where targets are classes: splits are stratified, accuracy is the default metric."""
    repeatable: bool = False
    """True, in the class itself, where every batch of one shape leads to the same NumPy calls."""
    _key: Any = None  # shapes that the current buffers are for

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What `allocate` has made."""

    # what a subclass says

    def losses(self, prediction: Array, target: Array) -> Array:
        """Each sample's loss, `(..., B)`."""
        raise NotImplementedError

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        """Write dl/d(prediction), `(..., B, O)`, into `out`."""
        raise NotImplementedError

    def target_features(self, out_features: int) -> int:
        """Width of the target for a network with `out_features` outputs."""
        return out_features

    def check_target(self, y: Array, out_features: int) -> Array:
        """Refuse what is no target for this loss; called once, on all rows.

        Returns `y`, which may be a memory-mapped file: `checks.first_row` looks at some rows at a
        time. What has to be converted is left to `cast`, a batch at a time.

        Parameters
        ----------
        y : array
            Finite numbers with one row a sample: `(..., n, O)`, or `(..., n, 1)` where the
            caller gave one number a sample.
        out_features : int
            Number of the network's outputs.
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
        """Some rows of a checked target as the other methods take them."""
        return target.astype(dtype, copy=False)

    def converts_to(self, target: Array, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
        """The dtype of `cast(target, dtype)` where `cast` changes nothing else, or None.

        Batches are then converted while they are gathered, without a call of `cast`.
        """
        return dtype if type(self).cast is Loss.cast else None

    def numbers(self, prediction: Array) -> Array:
        """What the outputs say the targets are, `(..., B, T)`: for metrics of numbers."""
        return prediction

    def probabilities(self, prediction: Array) -> Array:
        """Probabilities for `predict_proba`, where the loss defines them."""
        raise TypeError(f"{type(self).__name__} defines no probabilities; use predict(x)")

    def classes(self, prediction: Array) -> Array:
        """Predicted class indices `(..., B)`, where the loss defines them."""
        raise TypeError(f"{type(self).__name__} defines no classes; use predict(x)")

    def true_classes(self, target: Array) -> Array:
        """The classes of a checked target, as `classes` gives those of a prediction."""
        raise TypeError(f"{type(self).__name__} defines no classes; its targets are numbers")

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        """On which side of each kink of the loss each number lies; None where it is smooth.

        A difference quotient between two points is no derivative where their signatures differ.
        """
        return None

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        """A loss with a prediction `(4, 3)` and a checked target, for tests of every class."""
        prediction = np.linspace(-1.3, 1.7, 12).reshape(4, 3)
        return cls(), prediction, np.cos(3 * prediction)

    # what the model calls

    def forward(self, prediction: Array, target: Array, weights: Array | None = None) -> Any:
        """Value of the loss: a number, or `(E,)` for an ensemble.

        Parameters
        ----------
        prediction : array (..., B, O)
            The network's output.
        target : array (B, O') or (..., B, O')
            As `cast` returned it.
        weights : array (..., B, 1), optional
            Of the samples, none negative.
        """
        if (prediction.shape, prediction.dtype) != self._key:
            self.resize(prediction.shape, prediction.dtype)
        self._prediction, self._target = prediction, target
        losses = self.losses(prediction, target)
        if weights is None:
            self._scale = self._mean_scale
            return losses.dot(self._mean_weights)
        total = np.add.reduce(weights, axis=-2, keepdims=True)
        self._scale = fitting(self._sample_scale, weights)
        np.divide(weights, np.add(total, np.equal(total, 0)), self._scale)  # 0 / 1, not 0 / 0
        return np.vecdot(self._scale[..., 0], losses)

    def backward(self) -> Array:
        """dL/d(prediction) of the last `forward`, `(..., B, O)`: the first delta."""
        delta: Array = self._delta
        self.slopes(self._prediction, self._target, delta)
        np.multiply(delta, self._scale, delta)
        return delta

    def resize(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Switch to the buffers for predictions of this shape and dtype, made once each."""
        sets = self.__dict__.setdefault("_sets", {})
        key = (shape, dtype)
        if key not in sets:
            if len(sets) >= 3:
                sets.clear()
            sets[key] = self.allocate(shape, dtype)
        self.__dict__.update(sets[key])
        self._key = key

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Attributes to set for predictions of `shape`: buffers and constants."""
        batch, outputs = shape[-2:]
        per_sample, per_output = (np.asarray(np.ones((), dtype) / n) for n in (batch, outputs))
        return {
            "_delta": np.empty(shape, dtype),
            "_work": np.empty(shape, dtype),
            "_losses": np.empty(shape[:-1], dtype),
            "_sample_scale": np.empty((*shape[:-1], 1), dtype),
            "_mean_scale": per_sample,
            "_mean_weights": np.full(batch, per_sample),
            "_ones": ones((outputs,), dtype),
            # for losses that are a mean over the outputs
            "_per_output": per_output,
            "_output_weights": np.full(outputs, per_output),
        }

    def reader(self) -> Self:
        """A twin with buffers of its own: for evaluation, or in another thread."""
        twin = type(self)(**self.config())
        twin.__dict__.update(self.__getstate__())  # also what is no option, or a method replaced
        return twin

    def forget_buffers(self) -> None:
        """Have them made anew at the next `forward`."""
        self._key = None
        self._sets: dict[Any, dict[str, Any]] = {}

    def _option_changed(self) -> None:
        self.forget_buffers()

    def __getstate__(self) -> dict[str, Any]:
        """Without buffers."""
        kept = self.__dict__.copy()  # another thread may add buffers
        return {k: v for k, v in kept.items() if not k.startswith("_")}


def fitting(buffer: Array, target: Array) -> Array:
    """The buffer `(E, ...)`, or one network's part where the ensemble shares the target."""
    return buffer if buffer.ndim == target.ndim else buffer[0]


def check_smoothing(loss: Loss, label_smoothing: float) -> None:
    """Refuse a share of smoothing outside [0, 1)."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"{type(loss).__name__} expects label_smoothing from 0 to below 1, "
            f"got {label_smoothing}; 0.1 is usual"
        )
