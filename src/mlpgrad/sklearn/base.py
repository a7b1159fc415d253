"""Common base of the two estimators: options, fitting, warm starts, assignable parameters."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.layers import Activation
from mlpgrad.losses.base import Loss
from mlpgrad.optimizers import Optimizer
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.advice import refuse_masks
from mlpgrad.sklearn.assigned import adopt, are_assigned
from mlpgrad.sklearn.building import (
    ACTIVATIONS,
    NORMALIZATIONS,
    Plan,
    activations_of,
    build,
    dense_layers,
    take_over,
)
from mlpgrad.sklearn.options import check_options, check_warm_start, sees_all_rows, sizes_of
from mlpgrad.sklearn.refused import put_back_if_refused
from mlpgrad.sklearn.solving import (
    Rows,
    network_data,
    split,
    stacked,
    train_again,
    train_at_once,
    train_in_epochs,
)
from mlpgrad.sklearn.sparse import predict_sparse
from mlpgrad.sklearn.tasks import CallbackSupportMixin, fit_task
from mlpgrad.training.session import Method


class BaseMLP(CallbackSupportMixin, BaseEstimator):
    """Base class of `MLPClassifier` and `MLPRegressor`; not to be used directly."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation, list, tuple],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), Optimizer, Method],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "residual": ["boolean"],
        "stop_on_loss": ["boolean"],
        "refit": ["boolean"],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
    }

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    n_outputs_: int

    def _keep(self, options: Mapping[str, Any]) -> None:
        """Set the constructor's arguments, given as its `locals()`, as attributes."""
        for name, value in options.items():
            if name != "self":
                setattr(self, name, value)

    # implemented by subclasses

    @abstractmethod
    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Check and return the input, and targets of shape (n, n_outputs_)."""

    @abstractmethod
    def _checked_targets(self, y: Any) -> Array:
        """Check further targets as `_checked` does, without learning labels."""

    @abstractmethod
    def _new_loss(self) -> tuple[Loss, int, str]:
        """Return the loss, the number of outputs, and the name of the output activation."""

    @abstractmethod
    def _targets(self, y: Array, dtype: Any) -> Array:
        """Convert checked targets to the form that the loss takes."""

    @abstractmethod
    def _labels(self, y: Array) -> Array:
        """Convert checked targets to the form that `_score` takes."""

    @abstractmethod
    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Return the score of held-out rows; NaN if a prediction is not finite."""

    def _fit_scaling(self, rows: Rows) -> None:
        """Fit the scaling of the targets of a new network."""

    # fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Any:
        """Fit the network to data.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            The input. Sparse matrices (CSR, CSC) are never converted to dense arrays.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Classes, or numbers.
        sample_weight : array of shape (n_samples,), default=None
            Sample weights. As in scikit-learn, the loss of a batch and the L2 term are divided by
            the sum of the batch's weights. The average step is therefore not the gradient of the
            weighted loss over all rows, unless a batch holds all of them; in a batch of one row,
            the weight has no effect. `mlpgrad.Sequential.fit` divides by the mean weight of all
            rows instead.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Validation rows for `early_stopping` or `stop_on_loss`, instead of a fraction of `X`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, False, validation_data)

    @put_back_if_refused
    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, validation_data: Any = None
    ) -> Any:
        check_options(self, incremental, validation_data)
        refuse_masks(X=X, y=y, sample_weight=sample_weight)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._checked(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if not first:
            check_warm_start(self, y)
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        rows = Rows(X, y, sample_weight)
        if first:
            self._initialize(rows)
        model = self._model(X, trains=True)
        with fit_task(self, rows):
            if sees_all_rows(self.solver):
                train_at_once(self, model, rows)
            else:
                self._fit_in_epochs(rows, incremental, validation_data)
        if not np.isfinite(self.model_.params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _fit_in_epochs(self, rows: Rows, incremental: bool, validation_data: Any) -> None:
        """Train on minibatches; with `refit`, train on all rows again."""
        if getattr(self, "_recorded_with", None) != (self.early_stopping, self.stop_on_loss):
            self.loss_curve_ = getattr(self, "loss_curve_", [])
            self._begin_records()  # a warm start with other options
        held_out, trained, known = None, rows, rows
        if validation_data is not None:
            held_out = self._checked_validation(*validation_data)
            known = stacked(rows, held_out) if self.refit else rows
        elif self.early_stopping or self.stop_on_loss:
            trained, held_out = split(self, rows)
        train_in_epochs(self, self.model_, trained, held_out, incremental=incremental)
        if self.refit and not self.history_.interrupted:
            train_again(self, known)

    def _checked_validation(self, X: Any, y: Any, sample_weight: Any = None) -> Rows:
        """Check and return the validation rows given by the user."""
        refuse_masks(X=X, y=y, sample_weight=sample_weight)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        y = self._checked_targets(y)
        check_consistent_length(X, y)
        if len(y) < 2:
            raise ValueError("validation_data has 1 row; give at least 2")
        if y.shape[1] != self.n_outputs_:
            raise ValueError(f"validation_data has {y.shape[1]} outputs, y has {self.n_outputs_}")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return Rows(X, y, sample_weight)

    def _initialize(self, rows: Rows) -> None:
        """Reset weights, counts and records."""
        self.n_iter_ = self.t_ = 0
        for name in ("validation_losses_", "best_validation_losses_", "best_epochs_", "_optimizer"):
            self.__dict__.pop(name, None)
        self.model_ = self._new_model(rows.x)
        self._fit_scaling(rows)
        self.coefs_, self.intercepts_ = self._views()
        if not sees_all_rows(self.solver):
            self.loss_curve_ = []
            self._begin_records()

    def _begin_records(self) -> None:
        """Begin records of the held-out rows, which depend on the options that use them."""
        scored, stops = self.early_stopping, self.early_stopping or self.stop_on_loss
        self._recorded_with = scored, self.stop_on_loss
        self._no_improvement_count = 0
        self.best_loss_: Any = None if stops else np.inf
        self.validation_scores_: Any = [] if scored else None
        self.best_validation_score_: Any = -np.inf if scored else None
        if stops:
            self.best_epochs_ = np.zeros(1 if scored else self.n_members, int)
        if self.stop_on_loss:
            self.validation_losses_: list[float] = []
            self.best_validation_losses_ = np.full(self.n_members, np.inf)

    def _new_model(self, X: Any) -> Sequential:
        """Return a network for such an input, with weights drawn from `_random_state`."""
        sizes = sizes_of(self.hidden_layer_sizes)
        return self._built(sizes, X.shape[1], X.dtype, issparse(X), self._random_state)

    def _built(
        self, sizes: tuple[int, ...], inputs: int, dtype: Any, sparse: bool, random_state: Any
    ) -> Sequential:
        """Return a network with the present options."""
        activations = activations_of(self.activation, len(sizes))
        plan = Plan(sizes, activations, self.dropout, self.normalization, self.residual)
        loss, outputs, self.out_activation_ = self._new_loss()
        self.n_layers_ = len(sizes) + 2
        self._built_with = self._network_options()
        self._built_sparse = sparse
        return build(
            plan,
            inputs,
            outputs,
            loss,
            # scikit-learn's L-BFGS always computes in double precision
            dtype=np.float64 if sees_all_rows(self.solver) else dtype,
            sparse=sparse,
            random_state=random_state,
            members=self.n_members,
            target_scaling=getattr(self, "target_scaling", None),
        )

    def _network_options(self) -> dict[str, Any]:
        """Return the options that a network is built with and that its weights do not depend on."""
        names = "activation", "loss", "dropout", "normalization", "residual", "label_smoothing"
        return {name: getattr(self, name, None) for name in names}

    # parameters

    def _views(self) -> tuple[list[Array], list[Array]]:
        """Return `coefs_` and `intercepts_`, the arrays that the network computes with."""
        layers = list(dense_layers(self.model_))
        return [a.params.weights for a in layers], [a.params.bias for a in layers]

    def _model(self, X: Any, trains: bool = False) -> Sequential:
        """Return the network, with present options and any values assigned to its parameters."""
        if not hasattr(self, "model_"):  # they were assigned before any fit
            self.model_ = self._new_model(X)
        adopt(self, trains)
        sparse = self._built_sparse or (trains and issparse(X))
        narrow = trains and sees_all_rows(self.solver) and self.model_.dtype != np.float64
        if narrow or sparse != self._built_sparse or self._is_changed(trains):
            self._rebuild(sparse)
        return self.model_

    def _is_changed(self, trains: bool) -> bool:
        """Return whether an option has changed that takes effect without training, or in it."""
        if self._built_with == self._network_options():
            return False
        # the numbers that were learned are outputs, or logarithms of them
        return trains or self._new_loss()[2] == self.out_activation_

    def _rebuild(self, sparse: bool, sizes: tuple[int, ...] = ()) -> None:
        """Build the network again, because options have changed, and keep its weights."""
        before = self.model_
        sizes = sizes or tuple(layer.out_features for layer in dense_layers(before))[:-1]
        drawn = np.random.RandomState(0)  # these weights are not used
        self.model_ = self._built(sizes, self.n_features_in_, before.dtype, sparse, drawn)
        take_over(self.model_, before)
        self.coefs_, self.intercepts_ = self._views()
        if hasattr(self, "_optimizer"):
            self._optimizer: Any = copy.copy(self._optimizer)  # it may go on with another network

    # predictions

    def _raw(self, X: Any, check_input: bool = True) -> Array:
        """Return the network's output in scaled units; `(E, B, O)` for an ensemble."""
        if check_input:
            check_is_fitted(self, "coefs_")
            refuse_masks(X=X)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        model = self._model(X)
        output = predict_sparse(model, X) if issparse(X) else model._predict(X)
        return output.astype(np.result_type(X.dtype, model.dtype), copy=False)

    def _output(self, X: Any, check_input: bool = True) -> Array:
        """Return the output `(B, O)` for all members: the mean, taken over probabilities."""
        output = self._raw(X, check_input)
        output = self.model_.in_own_unit(output).astype(output.dtype, copy=False)
        return output if output.ndim == 2 else self.model_.loss.averaged(output)

    def _loss_of(self, rows: Rows) -> Array:
        """Return the loss of each member on checked rows, `(E,)`, without the L2 term."""
        _, target, weights = network_data(self, self.model_, rows)
        output = self._raw(rows.x, check_input=False).astype(self.model_.dtype, copy=False)
        with np.errstate(all="ignore"):
            losses = self.model_.loss.reader().forward(output, target, weights)
        return np.atleast_1d(np.asarray(losses, np.float64))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the arrays that the network already holds."""
        state: dict[str, Any] = super().__getstate__().copy()
        if "model_" in state and "coefs_" in state and not are_assigned(self):
            del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state and "coefs_" not in state:
            self.coefs_, self.intercepts_ = self._views()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
