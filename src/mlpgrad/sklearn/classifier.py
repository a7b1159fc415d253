"""`MLPClassifier`, with scikit-learn's parameters and behaviour."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.losses.base import Loss
from mlpgrad.losses.binary import _SigmoidLoss
from mlpgrad.sklearn.base import BaseMLP
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.losses import loss_of_classes
from mlpgrad.sklearn.options import makes_steps


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron classifier, a faster drop-in for scikit-learn's `MLPClassifier`.

    Parameters, defaults, attributes and random numbers are the same, so that the same seed gives
    the same loss curve up to rounding. Outputs are logistic for two classes and for multilabel
    targets, and a softmax for more classes; the loss is the log-loss, summed over labels.

    There are four differences:

    - The log-loss and `predict_log_proba` are computed from logits, so they are not clipped,
      whereas scikit-learn clips the loss of a row at 36.04, the logarithm of the precision.
    - A batch whose sample weights are all 0 changes nothing; scikit-learn raises an error.
    - With `early_stopping` and `warm_start`, each fit ends with the best weights so far, from which
      the next one goes on. scikit-learn's next fit changes the best weights that it has kept.
    - A fit that raises an error before the end of its first epoch leaves the estimator as it was;
      scikit-learn's may then predict the new classes with the earlier weights.

    Parameters
    ----------
    {options}
    loss : 'log_loss' or Loss, default='log_loss'
        This and the following parameters are not in scikit-learn. A loss object takes logits, one
        for each class or label.
    label_smoothing : float, default=0.0
        Fraction of each label that is spread over all classes.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Factors for the weights of each class's rows in training: see `sample_weight` in `fit`.
        'balanced' gives all classes the same total weight; `partial_fit`, which does not see all
        rows, needs a dict. With several labels, a dict for each of them, whose factors are
        multiplied.
    {further}

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Class labels, in the order of the columns of `predict_proba`.
    {attributes}

    See Also
    --------
    MLPRegressor : The regressor.

    Examples
    --------
    >>> from mlpgrad.sklearn import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> classifier = MLPClassifier(random_state=1, max_iter=20, tol=0.1).fit(X, y)
    >>> classifier.predict_proba(X[:1]).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), Loss],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        dropout: float = 0.0,
        normalization: str | None = None,
        residual: bool = False,
        stop_on_loss: bool = False,
        refit: bool = False,
        n_members: int = 1,
        callbacks: Any = None,
        progress: bool = False,
    ) -> None:
        self._keep(locals())

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._learn_labels(y)
        else:
            self._check_labels(y)
        return X, self._indicators(y)

    def _checked_targets(self, y: Any) -> Array:
        self._check_known(y)
        return self._indicators(y)

    def _indicators(self, y: Any) -> Array:
        """Return the columns of `LabelBinarizer` for known classes, as booleans."""
        several = self._label_binarizer.y_type_.startswith("multilabel")
        if several or np.ndim(y) != 1 or len(self.classes_) < 2:
            return np.asarray(self._label_binarizer.transform(y).astype(bool))
        places = np.searchsorted(self.classes_, y)  # in a tenth of the binarizer's time
        columns = np.arange(len(self.classes_)) if len(self.classes_) > 2 else np.ones(1, int)
        indicators: Array = places[:, None] == columns
        return indicators

    def _learn_labels(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(_distinct(y))
        self.classes_ = self._label_binarizer.classes_

    def _check_labels(self, y: Any) -> None:
        """Raise ValueError if a continued fit is given other classes."""
        if self.warm_start and set(classes := unique_labels(y)) != set(self.classes_):
            raise ValueError(
                f"warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        self._check_known(y)

    def _check_known(self, y: Any) -> None:
        """Raise ValueError for classes that are not among those of the fit."""
        classes, kinds = unique_labels(y), ("one class", "several labels")
        if np.setdiff1d(classes, self.classes_, assume_unique=True).size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )
        several, known = (
            kind.startswith("multilabel")
            for kind in (type_of_target(y), self._label_binarizer.y_type_)
        )
        if several != known:
            raise ValueError(
                f"y has {kinds[several]} for each row, but {type(self).__name__} was fitted with "
                f"{kinds[known]}"
            )

    def _new_loss(self) -> tuple[Loss, int, str]:
        softmax = self._label_binarizer.y_type_ == "multiclass"
        loss = loss_of_classes(
            self.loss, softmax=softmax, labels=self.n_outputs_, smoothing=self.label_smoothing
        )
        return loss, self.n_outputs_, "softmax" if softmax else "logistic"

    def _targets(self, y: Array, dtype: Any) -> Array:
        loss = self.model_.loss
        target = y.argmax(axis=1)[:, None] if self.out_activation_ == "softmax" else y.astype(dtype)
        return loss.cast(loss.check_target(target, self.n_outputs_), np.dtype(dtype))

    def _labels(self, y: Array) -> Array:
        labels: Array = self._label_binarizer.inverse_transform(y)
        return labels

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        output = self._output(X, check_input=False)
        if not np.isfinite(output).all():
            return float("nan")
        return float(accuracy_score(y, self._decided(output), sample_weight=sample_weight))

    def _decided(self, output: Array) -> Array:
        """Return the label of the most probable class, or all labels with probability above 1/2."""
        found = self.model_.loss.classes(output)
        if self.out_activation_ == "softmax":
            return np.asarray(self.classes_.take(found))
        return self._labels(found)

    @available_if(makes_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train for one epoch from the current weights. Not available with 'lbfgs'.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Some rows of input.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Their classes or labels.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights: see `fit`.
        classes : array of shape (n_classes,), default=None
            All classes that may occur. Required in the first call, optional in later ones.

        Returns
        -------
        self : object
            The estimator.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predict classes.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_classes)
            Class labels; for multilabel targets, 0 or 1 for each label.
        """
        return self._decided(self._output(X))

    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input.

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            Columns in the order of `classes_`; for multilabel targets, the probability of each
            label.
        """
        output = self._output(X)
        if self.n_outputs_ == 1:
            output = np.hstack([-output, output])
        loss = self.model_.loss
        # the sigmoid of the loss would round small probabilities to 0
        exact = isinstance(loss, _SigmoidLoss)
        found: Array = expit(output) if exact else loss.probabilities(output)
        return found

    def predict_log_proba(self, X: Any) -> Array:
        """Predict logarithms of the probabilities.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input.

        Returns
        -------
        logarithms : array of shape (n_samples, n_classes)
            Logarithms of `predict_proba`; -inf where a probability underflows to 0.
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _distinct(y: Array) -> Array:
    """Return the labels, each once, if a binarizer then learns the same: it sorts them twice."""
    if y.ndim == 1 and y.dtype.kind in "biuU":
        return np.unique(y)
    if y.ndim == 1 and {*map(type, y.tolist())} == {str}:
        return np.array(sorted({*y.tolist()}), y.dtype)
    return y
