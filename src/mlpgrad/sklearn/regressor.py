"""`MLPRegressor`, with scikit-learn's parameters and behaviour."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.losses import Poisson
from mlpgrad.losses.base import Loss
from mlpgrad.sklearn.base import BaseMLP, makes_steps
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.losses import OF_NUMBERS, loss_of_numbers, outputs_for
from mlpgrad.sklearn.solving import Rows


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Regression by a multilayer perceptron: scikit-learn's `MLPRegressor`, faster.

    The same parameters, defaults, attributes and random numbers, so that the same seed gives the
    same loss curve to rounding. Two things differ:

    - The gradient of the squared error of several outputs belongs to the loss, which is averaged
      over the outputs. scikit-learn's is as many times larger as there are outputs (its issue
      8349): there, multiply `learning_rate_init` for 'sgd', and divide `alpha`, by that number to
      compare.
    - With 'lbfgs' there is no `partial_fit`; scikit-learn's regressor has the method, which fails.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'huber', 'absolute_error', 'gaussian_nll'} or Loss
        Half the squared error, averaged over the outputs, or half the Poisson deviance, summed over
        them; with 'poisson' the output is an exponential, and `y >= 0`. Beyond scikit-learn: the
        losses `mlpgrad.Huber()`, `MeanAbsoluteError()` and `GaussianNLL()`, which predicts a
        variance too, or another one, such as `mlpgrad.Quantile([0.05, 0.5, 0.95])`. The default is
        'squared_error'.
    {options}
    target_scaling : {'standard'} or None, default=None
        Beyond scikit-learn, as all that follows: whether to train on targets of mean 0 and standard
        deviation 1. Losses are then in that unit, predictions in that of `y`.
    {further}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : The same for classes.

    Examples
    --------
    >>> from mlpgrad.sklearn import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=100, n_features=5, random_state=1)
    >>> regressor = MLPRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X, y)
    >>> regressor.predict(X[:2]).shape
    (2,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(OF_NUMBERS)), Loss],
        "target_scaling": [StrOptions({"standard"}), None],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
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
        target_scaling: str | None = None,
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
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y[:, None] if y.ndim == 1 else y

    def _checked_targets(self, y: Any) -> Array:
        targets: Array = check_array(y, ensure_2d=False, dtype="numeric")
        return targets[:, None] if targets.ndim == 1 else targets

    def _new_loss(self) -> tuple[Loss, int, str]:
        loss = loss_of_numbers(self.loss, self.n_outputs_)
        activation = "exp" if isinstance(loss, Poisson) else "identity"
        return loss, outputs_for(loss, self.n_outputs_), activation

    def _fit_scaling(self, rows: Rows) -> None:
        scaling = self.model_.scaling_of_targets
        if scaling is None:
            return
        mean = np.average(rows.y, axis=0, weights=rows.weights)
        variance = np.average((rows.y - mean) ** 2, axis=0, weights=rows.weights)
        scaling.take(mean, np.where(variance > 0, np.sqrt(variance), 1.0))

    def _targets(self, y: Array, dtype: Any) -> Array:
        loss = self.model_.loss
        return self.model_.cast_target(loss.check_target(y, outputs_for(loss, self.n_outputs_)))

    def _labels(self, y: Array) -> Array:
        return y

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        prediction = self._numbers(X, check_input=False)
        if not np.isfinite(prediction).all():
            return float("nan")
        return float(r2_score(y, prediction, sample_weight=sample_weight))

    def _numbers(self, X: Any, check_input: bool = True) -> Array:
        """The mean of the members' predictions, in the unit of the target."""
        numbers = self.model_.loss.numbers(self._output(X, check_input))
        return _column(numbers.astype(self.model_.dtype, copy=False))

    @available_if(makes_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch, going on from the weights there are. Not with 'lbfgs'.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Some rows.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array of shape (n_samples,), default=None
            Their weights: see `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predict numbers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        check_is_fitted(self)
        return self._numbers(X)

    def predict_std(self, X: Any) -> Array:
        """The standard deviation of a new target, or, where no noise is known, of its mean.

        `loss="gaussian_nll"` and `"poisson"` predict the noise; members (`n_members`) differ where
        the data leave the function open. `model_.predict(X, std=True)` says what is included.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Input.

        Returns
        -------
        std : array of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations, in the unit of the target.
        """
        return _column(self._uncertain(X, std=True).std)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Bounds that hold a target with this probability.

        Under `loss=mlpgrad.Quantile([0.05, 0.5, 0.95])` these are the two quantiles that belong
        to it; otherwise those of a law with the mean and standard deviation of `predict_std`.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Input.
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        low, high : array of shape (n_samples,) or (n_samples, n_outputs)
            In the unit of the target.
        """
        low, high = self._uncertain(X, interval=coverage)
        return _column(low), _column(high)

    def _uncertain(self, X: Any, **asked: Any) -> Any:
        """The network's answer with its uncertainty."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self._model(X).predict(X, **asked)


def _column(numbers: Array) -> Array:
    """Numbers as they are, or a single column as a vector."""
    return numbers.ravel() if numbers.shape[1] == 1 else numbers
