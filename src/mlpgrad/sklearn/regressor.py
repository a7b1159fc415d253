"""`MLPRegressor`, with scikit-learn's parameters and behaviour."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.losses import Poisson
from mlpgrad.losses.base import Loss
from mlpgrad.sklearn.advice import advising_on_arrays, refuse_dates, refuse_masks
from mlpgrad.sklearn.base import BaseMLP
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.losses import OF_NUMBERS, loss_of_numbers, outputs_for
from mlpgrad.sklearn.options import makes_steps
from mlpgrad.sklearn.solving import Rows
from mlpgrad.training.moments import Moments

MADE_DENSE = 1 << 20
"""Elements of a sparse input that are made dense at a time, for predictions with uncertainty."""


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor, a faster drop-in for scikit-learn's `MLPRegressor`.

    Parameters, defaults, attributes and random numbers are the same, so that the same seed gives
    the same loss curve up to rounding. There are these differences, and the last three
    of `MLPClassifier`:

    - For several outputs, the gradient of the squared error is that of the loss, which is averaged
      over the outputs. scikit-learn's gradient is larger by the number of outputs (its issue
      8349): to compare, multiply `learning_rate_init` for 'sgd' here by that number, and divide
      `alpha` by it.
    - With 'lbfgs' there is no `partial_fit`; scikit-learn's regressor has the method, which fails.
    - The Poisson deviance is computed from logarithms of the rate, and is finite where
      scikit-learn's is infinite, since the rate is rounded to 0.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'huber', 'absolute_error', 'gaussian_nll'} or Loss
        Half the squared error, averaged over the outputs, or half the Poisson deviance, summed
        over them; with 'poisson' the output is exponentiated, and `y >= 0`. Beyond scikit-learn,
        'huber', 'absolute_error' and 'gaussian_nll' are `mlpgrad.Huber()`, `MeanAbsoluteError()`
        and `GaussianNLL()`, which also predicts a variance; any other loss can be given as an
        object, such as `mlpgrad.Quantile([0.05, 0.5, 0.95])`. The default is 'squared_error'.
    {options}
    target_scaling : {'standard'} or None, default=None
        This and the following parameters are not in scikit-learn. Whether to train on targets
        scaled to mean 0 and standard deviation 1. Losses are then in scaled units, predictions in
        those of `y`.
    {further}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : The classifier.

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
        refuse_dates(y)
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
        refuse_dates(y)
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
        moments = Moments()
        moments.add(rows.y, None if rows.weights is None else rows.weights[:, None])
        with advising_on_arrays():
            scaling.take(*moments.scaling())

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
        """Return the mean of the members' predictions, in the units of the target."""
        output = self._output(X, check_input)
        return _column(self.model_.loss.numbers(output).astype(output.dtype, copy=False))

    @available_if(makes_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch from the current weights. Not available with 'lbfgs'.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Some rows of input.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights: see `fit`.

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
        check_is_fitted(self, "coefs_")
        return self._numbers(X)

    def predict_std(self, X: Any) -> Array:
        """Predict the standard deviation of a new target, or of its mean if the noise is not known.

        `loss="gaussian_nll"` and `"poisson"` predict the noise; the spread of ensemble members
        (`n_members`) shows where the data do not determine the function. The documentation of
        `model_.predict(X, std=True)` says what is included.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input; some rows of a sparse one are made dense at a time.

        Returns
        -------
        std : array of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations, in the units of the target.
        """
        return _column(self._uncertain(X, std=True).std)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Predict an interval that contains a target with the given probability.

        With `loss=mlpgrad.Quantile([0.05, 0.5, 0.95])` the bounds are the two predicted quantiles;
        otherwise those of a distribution with the mean and standard deviation of `predict_std`.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Input, as of `predict_std`.
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        low, high : array of shape (n_samples,) or (n_samples, n_outputs)
            Bounds, in the units of the target.
        """
        low, high = self._uncertain(X, interval=coverage)
        return _column(low), _column(high)

    def _uncertain(self, X: Any, **asked: Any) -> Any:
        """Return the network's prediction with its uncertainty."""
        check_is_fitted(self, "coefs_")
        refuse_masks(X=X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        model = self._model(X)
        with advising_on_arrays():
            if not issparse(X):
                return model.predict(X, **asked)
            X = X.tocsr()
            rows = max(1, MADE_DENSE // X.shape[1])
            starts = range(0, X.shape[0], rows)
            parts = [model.predict(X[start : start + rows].toarray(), **asked) for start in starts]
        return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))


def _column(numbers: Array) -> Array:
    """Return numbers unchanged, but a single column as a vector."""
    return numbers.ravel() if numbers.shape[1] == 1 else numbers
