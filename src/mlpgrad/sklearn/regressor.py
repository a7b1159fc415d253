"""`MLPRegressor`, with scikit-learn's parameters and behaviour."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.losses import HalfSquaredError
from mlpgrad.losses.base import Loss
from mlpgrad.sklearn.base import BaseMLP, makes_steps
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.losses import _HalfMeanSquaredError, _HalfPoissonDeviance


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
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, averaged over the outputs, or half the Poisson deviance, summed over
        them; with 'poisson' the output is an exponential, and `y >= 0`.
    {options}

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
        "loss": [StrOptions({"squared_error", "poisson"})],
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

    def _loss_and_activation(self) -> tuple[Loss, str]:
        if self.loss == "poisson":
            return _HalfPoissonDeviance(), "exp"
        return (HalfSquaredError if self.n_outputs_ == 1 else _HalfMeanSquaredError)(), "identity"

    def _targets(self, y: Array, dtype: Any) -> Array:
        return self.model_.loss.check_target(y.astype(dtype), self.n_outputs_)

    def _labels(self, y: Array) -> Array:
        return y

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        prediction = self._numbers(X, check_input=False)
        if not np.isfinite(prediction).all():
            return float("nan")
        return float(r2_score(y, prediction, sample_weight=sample_weight))

    def _numbers(self, X: Any, check_input: bool = True) -> Array:
        output = self._output(X, check_input)
        return self.model_.loss.numbers(output)

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
        numbers = self._numbers(X)
        return numbers.ravel() if numbers.shape[1] == 1 else numbers
