"""`TabularMLPClassifier`: classification of table rows without preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from mlpgrad._core.arrays import Array
from mlpgrad.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from mlpgrad.losses.base import Loss
from mlpgrad.network.boundary import check_have_classes
from mlpgrad.network.label_arrays import given_labels
from mlpgrad.sklearn.candidate import Table
from mlpgrad.sklearn.class_weights import class_factors
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.tabular import TabularMLP

PRIOR = 0.25
"""Standard deviation of the logarithm of the temperature before any row is known."""


@documented
class TabularMLPClassifier(ClassifierMixin, TabularMLP):
    """Classification of table rows by multilayer perceptrons, without preprocessing or tuning.

    {tabular}

    The probabilities of the members are averaged and calibrated: one temperature for all logits
    minimizes the out-of-fold log-loss (Guo, Pleiss, Sun and Weinberger 2017, "On calibration of
    modern neural networks"), with a normal prior of its logarithm, of standard deviation 1/4, which
    keeps it near 1 where few out-of-fold predictions are wrong.

    Parameters
    ----------
    {tabular_options}
    class_weight : dict, 'balanced' or None, default=None
        Factors for the weights of each class's rows, in training and in early stopping; the keys
        are labels. 'balanced' gives all classes the same total weight.
    calibrate : bool, default=True
        Whether to calibrate the probabilities. With False the temperature is 1.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Class labels, in the order of the columns of `predict_proba`.
    temperature_ : float
        The divisor of the logits of `model_`: above 1 if they were overconfident.
    oof_prediction_ : array of shape (n_samples, n_classes)
        Calibrated out-of-fold probabilities of each training row.
    oof_score_ : float
        Accuracy of the out-of-fold predictions. It is slightly optimistic, because each member
        stopped where its own fold was predicted best, and the candidate was chosen by these
        predictions.
    {tabular_attributes}

    See Also
    --------
    TabularMLPRegressor : The regressor.
    MLPClassifier : A single network on an array of numbers, with scikit-learn's options.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlpgrad.sklearn import TabularMLPClassifier
    >>> table = pd.DataFrame({"rooms": [3, 2, None, 4] * 10, "town": ["Bonn", "Ulm"] * 20})
    >>> rented = ["yes", "no", "yes", "no"] * 10
    >>> classifier = TabularMLPClassifier(candidates=["plain"], max_epochs=20, random_state=0)
    >>> classifier.fit(table, rented).predict(table[:2]).tolist()
    ['yes', 'no']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TabularMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128),
        *,
        n_members: int = 5,
        n_folds: int = 5,
        candidates: Any = ("plain", "quantile", "target", "evidence", "linear", "long"),
        rows: str = "auto",
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        patience: int | str = "auto",
        class_weight: Any = None,
        calibrate: bool = True,
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        self._keep(locals())

    def _learn_target(self, y: Any) -> tuple[Array, Array]:
        y = column_or_1d(y, warn=True)
        labels = given_labels(y).array  # refuses dates, before anything is trained
        y = y if labels.dtype.kind in "US" else labels  # objects may be numbers or booleans
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes, got one class: "
                f"{self.classes_.tolist()[0]!r}"
            )
        return indices[:, None], np.eye(len(self.classes_))[indices]

    def _new_loss(self) -> tuple[Callable[[], Loss], int, str | None]:
        if len(self.classes_) == 2:
            return SigmoidCrossEntropy, 1, None
        return SoftmaxCrossEntropy, len(self.classes_), None

    def _weighted(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        factors = class_factors(self.class_weight, np.ravel(y), self.classes_, weights)
        return factors if weights is None else weights * factors

    def _conclude(self, table: Table, weights: Array | None) -> None:
        labels = table.target[:, 0]
        self.temperature_ = 1.0
        if self.calibrate:
            self.temperature_ = _temperature(self._outputs, labels, table.weights)
        self.oof_prediction_ = _probabilities(self._outputs / self.temperature_).mean(axis=0)
        self.model_.uncertainty = None  # the temperature calibrates 'evidence', too
        logits = self.model_.layers[-1].params
        for name in logits:
            logits[name][...] /= self.temperature_
        self.model_.know_of_data({"classes": self.classes_})
        decided = self.oof_prediction_.argmax(axis=1)
        self.oof_score_ = float(accuracy_score(labels, decided, sample_weight=weights))

    def predict(self, X: Any) -> Array:
        """Predict classes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.

        Returns
        -------
        y : array of shape (n_samples,)
            Labels.
        """
        outputs = self._predicted(X)
        check_have_classes(outputs)
        return np.asarray(self.classes_[_mean_probabilities(outputs).argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.

        Returns
        -------
        probabilities : array of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return _mean_probabilities(self._predicted(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Predict logarithms of the probabilities.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.

        Returns
        -------
        logarithms : array of shape (n_samples, n_classes)
            Logarithms of `predict_proba`; -inf where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))


def _probabilities(logits: Array) -> Array:
    """Return a column for each class; a single logit, of the second class, gives two columns."""
    logits = logits.astype(np.float64)
    if logits.shape[-1] == 1:
        return np.asarray(expit(np.concatenate([-logits, logits], axis=-1)))
    return np.asarray(softmax(logits, axis=-1))


def _mean_probabilities(logits: Array) -> Array:
    return np.asarray(_probabilities(logits).mean(axis=0))


def _temperature(logits: Array, labels: Array, weights: Array | None) -> float:
    """Return the most probable temperature for the mean of members, between 1/10 and 10.

    The logits (M, n, O) are those of members whose probabilities are averaged. The logarithm of the
    temperature has a normal prior with mean 0 and standard deviation `PRIOR`: where all rows are
    predicted right, the log-loss alone would be smallest at the bound.
    """
    rows = np.arange(len(labels))
    counted = len(labels) if weights is None else weights.sum() ** 2 / np.square(weights).sum()

    def surprise(log_temperature: float) -> float:
        likelihood = _probabilities(logits / np.exp(log_temperature)).mean(axis=0)[rows, labels]
        tiny = np.finfo(np.float64).tiny
        loss = -np.average(np.log(np.maximum(likelihood, tiny)), weights=weights)
        return float(loss + (log_temperature / PRIOR) ** 2 / (2 * counted))

    bound = np.log(10)
    return float(np.exp(minimize_scalar(surprise, bounds=(-bound, bound), method="bounded").x))
