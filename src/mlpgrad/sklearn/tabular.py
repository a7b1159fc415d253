"""Common base of the two estimators for tables: folds, choice of a candidate, predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from mlpgrad._core.arrays import Array
from mlpgrad.losses.base import Loss
from mlpgrad.sklearn.advice import advising_on_frames, refuse_masks
from mlpgrad.sklearn.candidate import Candidate, Recipe, Table
from mlpgrad.sklearn.candidates import CANDIDATES
from mlpgrad.sklearn.joining import joined, together
from mlpgrad.sklearn.options import sizes_of
from mlpgrad.tables.columns import is_gap

BATCHES = 10
"""Batches per epoch if `batch_size` is not given, within the bounds of batch sizes."""
BATCH_SIZES = 32, 256
EPOCHS = 50, 1000
STEPS = 10_000
"""Maximum number of steps if `max_epochs` is not given; early stopping usually ends it sooner."""
PATIENCE = 10, 100
WAITED = 300
"""Steps without improvement to allow if `patience` is not given."""


class Choice(NamedTuple):
    """A candidate that was tried: an entry of `candidates_`."""

    name: str
    loss: float
    """The loss of the out-of-fold predictions."""
    standard_error: float
    epochs: int
    """The number of epochs with the lowest mean loss over the members."""
    all_rows: bool
    """Whether its members may train on all rows: see `rows`."""
    seconds: float

    @classmethod
    def of(cls, candidate: Candidate) -> Choice:
        """Return the results of a candidate."""
        c, all_rows = candidate, candidate.fits_all_rows()
        return cls(c.name, c.loss, c.standard_error, c.epochs, all_rows, c.seconds)


class TabularMLP(BaseEstimator):
    """Base class of `TabularMLPClassifier` and `TabularMLPRegressor`; not to be used directly."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "n_members": [Interval(Integral, 2, None, closed="left")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "candidates": [list, tuple],
        "rows": [StrOptions({"auto", "folds", "all"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "patience": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "progress": ["boolean"],
        "random_state": ["random_state"],
    }

    def _keep(self, options: Mapping[str, Any]) -> None:
        """Set the constructor's arguments, given as its `locals()`, as attributes."""
        for name, value in options.items():
            if name != "self":
                setattr(self, name, value)

    # implemented by subclasses

    @abstractmethod
    def _learn_target(self, y: Any) -> tuple[Array, Array]:
        """Return the target as the loss takes it, and as encodings take it."""

    @abstractmethod
    def _new_loss(self) -> tuple[Callable[[], Loss], int, str | None]:
        """Return a loss, the number of outputs, and the target scaling."""

    @abstractmethod
    def _conclude(self, table: Table, weights: Array | None) -> None:
        """Set the out-of-fold attributes and the calibration from `_outputs (members, n, O)`.

        `weights` are those given by the user, without class weights.
        """

    def _weighted(self, y: Array, weights: Array | None) -> Array | None:
        """Return the weights of the rows times their class weights."""
        return weights

    # fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, folds: Any = None) -> Any:
        """Fit networks to a table, and choose the candidates that predict.

        Parameters
        ----------
        X : DataFrame (pandas, polars) or array of shape (n_samples, n_features)
            The table, with numbers, categories and missing values.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Classes, or numbers.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights, as in `mlpgrad.Sequential.fit`: a row of weight 2 counts as two rows.
        folds : array of int of shape (n_samples,), default=None
            The fold of each row, with at most as many folds as members. Rows that belong together,
            such as those of one person, must be in the same fold. By default `n_folds` folds are
            drawn at random, stratified by class.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        refuse_masks(y=y, sample_weight=sample_weight, folds=folds)
        X, y = self._checked_rows(X, reset=True), self._checked_y(y)
        check_consistent_length(X, y, folds)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        self.__dict__.pop("model_", None)  # if Ctrl-C or an error comes, nothing predicts
        rng = check_random_state(self.random_state)
        target, indicators = self._learn_target(y)
        weights = self._weighted(y, sample_weight)
        drawn = folds is None
        folds = self._drawn_folds(target, weights, rng) if drawn else self._given_folds(folds)
        table = Table(X, target, indicators, weights, folds)
        self.folds_ = folds
        recipe = self._recipe(len(target), rng)
        with advising_on_frames():
            tried = self._tried(table, recipe)
        self.candidates_ = [Choice.of(candidate) for candidate in tried]
        best, *others = together(tried, table)
        self.chosen_, self.oof_loss_ = best.name, best.loss
        self.all_rows_ = self.rows == "all" or (self.rows == "auto" and best.fits_all_rows())
        self.joined_ = [one.name for one in (best, *others)]
        models = [
            one.on_all_rows(table) if self.all_rows_ else one.model for one in (best, *others)
        ]
        self.model_ = joined(models, best.network) if others else models[0]
        self._outputs = np.concatenate([one.apart(table) for one in (best, *others)])
        self.encoder_ = self.model_.encoder
        self._conclude(table, sample_weight)
        del self._outputs
        return self

    def _checked_rows(self, X: Any, reset: bool) -> Any:
        """Return a data frame unchanged, or an array after a check of its shape and numbers."""
        refuse_masks(X=X)
        if not hasattr(X, "columns"):
            X = check_array(X, dtype=None, ensure_all_finite="allow-nan", estimator=self)
        validate_data(self, X, skip_check_array=True, reset=reset)
        if _num_samples(X) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return X

    def _checked_y(self, y: Any) -> Array:
        """Return the target as an array without missing values."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                f"is None."
            )
        y = _without_mask(y)
        values = y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
        if values.dtype == object:
            for row, value in enumerate(values):
                for gap in filter(is_gap, np.ravel(value)):
                    raise ValueError(
                        f"Input y contains {gap}, first in row {row}; leave out rows without a "
                        "target"
                    )
            y = values  # the columns of a frame may have no common type but this
        return np.asarray(check_array(y, ensure_2d=False, dtype=None, input_name="y"))

    def _drawn_folds(
        self, target: Array, weights: Array | None, rng: np.random.RandomState
    ) -> Array:
        """Draw the fold of each row, so that those of positive weight are in all folds alike."""
        counted = np.arange(len(target)) if weights is None else np.flatnonzero(weights > 0)
        count = min(self.n_folds, self.n_members, len(counted))
        if count < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 rows, for 2 folds; got {len(counted)} "
                "sample" + " with a positive weight" * (weights is not None)
            )
        seed = int(rng.randint(np.iinfo(np.int32).max))
        kind, labels = KFold, target[counted, 0]
        if is_classifier(self):
            fewest = int(np.unique(labels, return_counts=True)[1].min())
            kind = StratifiedKFold if fewest >= count else KFold
        splitter = kind(count, shuffle=True, random_state=seed)
        folds: Array = np.arange(len(target)) % count
        for fold, (_, rows) in enumerate(splitter.split(np.zeros((len(labels), 1)), labels)):
            folds[counted[rows]] = fold
        return folds

    def _given_folds(self, folds: Any) -> Array:
        """Return the folds given by the user, counted from 0."""
        names, numbers = np.unique(folds, return_inverse=True)
        if not 2 <= len(names) <= self.n_members:
            raise ValueError(
                f"folds expects from 2 to {self.n_members} folds, since each of the n_members "
                f"leaves one out, got {len(names)}; give other folds or another n_members"
            )
        return numbers

    def _names(self, table: Table, recipe: Recipe) -> list[str]:
        """Return the candidates to try: those of `candidates` that suit the table."""
        names = list(dict.fromkeys(map(str, self.candidates)))
        unknown = [name for name in names if name not in CANDIDATES]
        if unknown or not names:
            raise ValueError(
                f"candidates expects some of {[*CANDIDATES]}, got {list(self.candidates)!r}"
            )
        suiting = [name for name in names if CANDIDATES[name].suits(table, recipe)]
        if not suiting:
            raise ValueError(
                f"candidates={names!r} has no candidate that suits {len(table.target)} rows of "
                f"{'classes' if is_classifier(self) else 'numbers'} and hidden_layer_sizes="
                f"{recipe.hidden}; add 'plain'"
            )
        return suiting

    def _tried(self, table: Table, recipe: Recipe) -> list[Candidate]:
        """Train the candidates; one that stays behind an earlier one ends early.

        One that only helps others is left out where the best so far predicts alone.
        """
        names, bar = self._names(table, recipe), np.inf
        tried: dict[str, Candidate] = {}
        for name in sorted(names, key=lambda name: CANDIDATES[name].turn):
            best = min(tried.values(), key=lambda one: one.loss, default=None)
            if CANDIDATES[name].helps and best is not None and not best.joinable:
                continue
            tried[name] = found = CANDIDATES[name](name, table, recipe, bar)
            bar = min(bar, found.common_loss + found.standard_error)
        return [tried[name] for name in names if name in tried]

    def _recipe(self, rows: int, rng: np.random.RandomState) -> Recipe:
        """Return the training options common to all candidates."""
        loss, outputs, target_scaling = self._new_loss()
        batch, epochs, patience = self.batch_size, self.max_epochs, self.patience
        if batch == "auto":
            batch = int(np.clip(rows // BATCHES, *BATCH_SIZES))
        if epochs == "auto":
            epochs = int(np.clip(STEPS * batch // rows, *EPOCHS))
        if patience == "auto":
            patience = int(np.clip(WAITED * batch // rows, *PATIENCE))
        return Recipe(
            hidden=sizes_of(self.hidden_layer_sizes),
            outputs=outputs,
            loss=loss,
            target_scaling=target_scaling,
            members=self.n_members,
            dropout=self.dropout,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=batch,
            epochs=epochs,
            patience=patience,
            seed=int(rng.randint(np.iinfo(np.int32).max)),
            progress=self.progress,
        )

    # predictions

    def _predicted(self, X: Any, **asked: Any) -> Any:
        """Return the ensemble's answer for a table: the members' outputs `(E, n, O)` by default."""
        check_is_fitted(self, "model_")
        X = self._checked_rows(X, reset=False)
        with advising_on_frames():
            return self.model_.predict(X, **asked)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags


def _without_mask(y: Any) -> Any:
    """Return nullable whole numbers and booleans of pandas in NumPy's type if none is missing.

    scikit-learn's check would make floating-point numbers of them, which would then be the labels.
    """
    plain = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    return y.to_numpy(plain) if plain is not None and plain.kind in "iub" and y.notna().all() else y
