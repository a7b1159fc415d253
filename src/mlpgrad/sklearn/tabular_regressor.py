"""`TabularMLPRegressor`: regression on table rows without preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d

from mlpgrad._core.arrays import Array, counting
from mlpgrad.losses import HalfSquaredError
from mlpgrad.losses.base import Loss
from mlpgrad.sklearn.advice import (
    advising_on_arrays,
    advising_on_frames,
    how_to_convert,
    refuse_dates,
)
from mlpgrad.sklearn.candidate import Table
from mlpgrad.sklearn.documentation import documented
from mlpgrad.sklearn.tabular import TabularMLP
from mlpgrad.uncertainty import Noise

LEAST_NOISE = 1e-4
"""The least variance of the noise, as a fraction of that of the out-of-fold errors."""


@documented
class TabularMLPRegressor(RegressorMixin, TabularMLP):
    """Regression on table rows by multilayer perceptrons, without preprocessing or tuning.

    {tabular}

    The networks are trained on targets scaled to mean 0 and standard deviation 1, with the squared
    error; the members' predictions, in the units of `y`, are averaged.

    Parameters
    ----------
    {tabular_options}

    Attributes
    ----------
    oof_prediction_ : array of shape (n_samples,) or (n_samples, n_outputs)
        Out-of-fold prediction of each training row.
    oof_score_ : float
        R^2 of the out-of-fold predictions. It is slightly optimistic, because each member stopped
        where its own fold was predicted best, and the candidate was chosen by these predictions.
    {tabular_attributes}

    See Also
    --------
    TabularMLPClassifier : The classifier.
    MLPRegressor : A single network on an array of numbers, with scikit-learn's options.

    Examples
    --------
    >>> import pandas as pd
    >>> from mlpgrad.sklearn import TabularMLPRegressor
    >>> table = pd.DataFrame({"rooms": [3, 2, None, 4] * 10, "town": ["Bonn", "Ulm"] * 20})
    >>> regressor = TabularMLPRegressor(candidates=["plain"], max_epochs=50, random_state=0)
    >>> regressor.fit(table, [900.0, 600.0, 750.0, 1100.0] * 10).predict(table[:2]).shape
    (2,)
    """

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
        progress: bool = False,
        random_state: Any = None,
    ) -> None:
        self._keep(locals())

    def _checked_y(self, y: Any) -> Array:
        refuse_dates(y)  # by column, before a common type of all columns is found
        return super()._checked_y(y)

    def _learn_target(self, y: Any) -> tuple[Array, Array]:
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        except ValueError as error:
            text = next((one for one in np.asarray(y).ravel() if isinstance(one, str)), None)
            if text is None:
                raise
            raise ValueError(
                f"{type(self).__name__} expects numbers in y, got the text {str(text)!r}; "
                f"{how_to_convert(y)}, or use TabularMLPClassifier for classes"
            ) from error
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._one_column = y.ndim == 1
        target: Array = y[:, None] if y.ndim == 1 else y
        self.n_outputs_ = target.shape[1]
        return target, target

    def _new_loss(self) -> tuple[Callable[[], Loss], int, str | None]:
        return HalfSquaredError, self.n_outputs_, "standard"

    def _conclude(self, table: Table, weights: Array | None) -> None:
        outputs = self._outputs.mean(axis=0)
        self.oof_prediction_ = self._as_given(outputs)
        target, predicted, counted = _counting(weights, table.target, outputs)
        self.oof_score_ = float(r2_score(target, predicted, sample_weight=counted))
        if self.model_.uncertainty is None:  # 'evidence' has estimated the noise
            self.model_.uncertainty = self._noise(table, outputs)

    def _noise(self, table: Table, outputs: Array) -> Noise:
        """Estimate the noise: the out-of-fold errors beyond the disagreement of the members."""
        with advising_on_frames():
            spread = self.model_.predict(table.x).var(axis=0)
        target, predicted, known, counted = _counting(table.weights, table.target, outputs, spread)
        squares = np.square(predicted - target)
        errors, known = (np.average(a, axis=0, weights=counted) for a in (squares, known))
        least = np.maximum(LEAST_NOISE * errors, np.finfo(np.float64).tiny)
        return Noise(np.sqrt(np.maximum(errors - known, least)))

    def _as_given(self, numbers: Array) -> Array:
        """Return numbers in the shape of the `y` of `fit`."""
        return numbers[:, 0] if self._one_column else numbers

    def predict(self, X: Any) -> Array:
        """Predict numbers.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        return self._as_given(self._predicted(X).mean(axis=0))

    def predict_std(self, X: Any) -> Array:
        """Predict the standard deviation of new targets.

        The variance is the sum of the variance of the members' predictions for the row and that of
        the noise, which is the same for all rows: the mean squared out-of-fold error minus the mean
        variance of the members. With 'evidence', the noise is that of the evidence, and the
        posterior variance due to the weights is included.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.

        Returns
        -------
        std : array of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations, in the unit of `y`.
        """
        return self._as_given(self._predicted(X, std=True).std)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Predict intervals that contain new targets with a given probability.

        They are central intervals of a normal distribution with the prediction as mean and the
        standard deviation of `predict_std`; with 'evidence' it is Student's distribution if the
        noise has heavy tails.

        Parameters
        ----------
        X : DataFrame or array of shape (n_samples, n_features)
            Rows with the columns of `fit`.
        coverage : float, default=0.9
            The probability, between 0 and 1.

        Returns
        -------
        low, high : array of shape (n_samples,) or (n_samples, n_outputs)
            Bounds, in the unit of `y`.
        """
        with advising_on_arrays():
            low, high = self._predicted(X, interval=coverage)
        return self._as_given(low), self._as_given(high)


def _counting(weights: Array | None, *arrays: Array) -> tuple[Any, ...]:
    """Return the rows of arrays (n, T) whose weight is positive, and these weights (n,)."""
    *counted, weights = counting(None if weights is None else weights[:, None], *arrays)
    return *counted, None if weights is None else weights[:, 0]
