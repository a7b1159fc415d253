"""What the two estimators share: fitting, warm starts, parameters that may be assigned."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlpgrad._core.arrays import Array
from mlpgrad.history import History
from mlpgrad.losses.base import Loss
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.batches import Order, batches_of
from mlpgrad.sklearn.building import ACTIVATIONS, build, dense_layers
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.sklearn.optimizers import _Adam, _HeldRateSGD
from mlpgrad.sklearn.quasi_newton import LBFGS
from mlpgrad.sklearn.sparse import predict_sparse
from mlpgrad.sklearn.stochastic import Epochs
from mlpgrad.sklearn.stopping import Progress
from mlpgrad.training.batches import Batches
from mlpgrad.training.session import Method, Session

STOCHASTIC = ("sgd", "adam")


def makes_steps(estimator: Any) -> bool:
    """Whether the solver trains on some rows at a time; AttributeError if it does not."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not "
            f"stochastic."
        )
    return True


class BaseMLP(BaseEstimator):
    """Base of `MLPClassifier` and `MLPRegressor`; not to be used directly."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
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
    }

    coefs_: list[Array]
    intercepts_: list[Array]

    def _keep(self, options: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments, given as its `locals()`, under their own names."""
        for name in self._get_param_names():
            setattr(self, name, options[name])

    # what a subclass says

    @abstractmethod
    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Input, and targets of shape (n, n_outputs_)."""

    @abstractmethod
    def _loss_and_activation(self) -> tuple[Loss, str]:
        """The network's loss, and the name of the activation that predictions pass."""

    @abstractmethod
    def _targets(self, y: Array, dtype: Any) -> Array:
        """Checked targets as the loss takes them."""

    @abstractmethod
    def _labels(self, y: Array) -> Array:
        """Checked targets as `_score` takes them."""

    @abstractmethod
    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        """The score of held-out rows; NaN where a prediction is not finite."""

    # fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the network to data.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Sparse matrices (CSR, CSC) are never made dense.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Classes, or numbers.
        sample_weight : array of shape (n_samples,), default=None
            Weights. As in scikit-learn, the loss of a batch is divided by the sum of its weights,
            and so is the L2 term. Hence the average step is not the gradient of the weighted loss
            of all rows, unless a batch holds all of them: in a batch of one row its weight changes
            nothing at all. `mlpgrad.Sequential.fit` divides by the mean weight of all rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        if np.any(np.asarray(self.hidden_layer_sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {self.hidden_layer_sizes}.")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._checked(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize(X)
        model = self._model(X)
        if self.solver in STOCHASTIC:
            self._fit_in_epochs(model, X, y, sample_weight, incremental)
        else:
            self._fit_at_once(model, X, y, sample_weight)
        if not np.isfinite(model.params).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _initialize(self, X: Any) -> None:
        """Begin anew: weights, counts and records."""
        self.n_iter_ = self.t_ = 0
        self.model_ = self._new_model(X)
        self.coefs_, self.intercepts_ = self._views()
        if self.solver in STOCHASTIC:
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self._best_params = self.model_.params.copy()
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _new_model(self, X: Any) -> Sequential:
        """A network for such an input, with weights drawn by `_random_state`."""
        loss, self.out_activation_ = self._loss_and_activation()
        widths = [X.shape[1], *np.atleast_1d(self.hidden_layer_sizes).tolist(), self.n_outputs_]
        self.n_layers_ = len(widths)
        # scikit-learn's L-BFGS computes in double precision, whatever it is given
        dtype = X.dtype if self.solver in STOCHASTIC else np.float64
        return build(
            widths,
            self.activation,
            loss,
            dtype=dtype,
            sparse=issparse(X),
            random_state=self._random_state,
        )

    # solvers

    def _fit_in_epochs(
        self, model: Sequential, X: Any, y: Array, sample_weight: Any, incremental: bool
    ) -> None:
        """Train by `adam` or `sgd`."""
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer()
        held_out = None
        if self.early_stopping:
            if incremental:
                raise ValueError("partial_fit does not support early_stopping=True")
            X, y, sample_weight, held_out = self._split(X, y, sample_weight)
        samples = X.shape[0]
        size = self._rows_of_a_batch(samples)

        def steps(rows: int) -> int:
            return 0 if incremental else int(self.max_iter) * max(samples // size, 1)

        gradient = BatchGradient(
            model, self.alpha, optimizer=self._optimizer, steps=steps, sparse=issparse(X)
        )
        order = Order(samples, self.shuffle, self._random_state)
        data = self._data(model, X, y, sample_weight)
        batches = batches_of(data, size, order, sparse=issparse(X))
        self.n_iter_ = 0
        progress = Progress(self, samples, held_out, incremental)
        self._train(Epochs(gradient, progress), batches)
        if self.early_stopping:
            model.params = self._best_params

    def _fit_at_once(self, model: Sequential, X: Any, y: Array, sample_weight: Any) -> None:
        """Train by L-BFGS on all rows."""
        sparse = issparse(X)
        gradient = BatchGradient(
            model, self.alpha, steps=lambda rows: int(self.max_iter), sparse=sparse
        )
        data = self._data(model, X, y, sample_weight)
        method = LBFGS(
            gradient, data, tolerance=self.tol, iterations=self.max_iter, calls=self.max_fun
        )
        order = Order(X.shape[0], False, self._random_state)
        self._train(method, batches_of(data, X.shape[0], order, sparse=sparse))
        self.n_iter_ = _check_optimize_result("lbfgs", method.result, self.max_iter)
        self.loss_ = float(method.result.fun)

    def _train(self, method: Method, batches: Batches) -> None:
        """Run a method in a session of its own."""
        self.history_ = History()
        session = Session(
            self.model_,
            method,
            batches,
            validation=None,
            callbacks=[],
            metrics=None,
            epochs=int(self.max_iter),
            record=self.history_,
        )
        session.speaks = False  # scikit-learn's estimators warn of other things
        session.run()
        if self.history_.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=2)

    def _new_optimizer(self) -> Any:
        """The rule of `solver`, at its first step."""
        rate = float(self.learning_rate_init)
        if self.solver == "adam":
            return _Adam(rate, beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon)
        return _HeldRateSGD(rate, momentum=self.momentum, nesterov=self.nesterovs_momentum)

    def _rows_of_a_batch(self, samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, samples)
        if self.batch_size > samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=2,
            )
        return int(np.clip(self.batch_size, 1, samples))

    def _split(self, X: Any, y: Array, sample_weight: Any) -> tuple[Any, ...]:
        """Rows to train on, and a tuple of those that early stopping looks at."""
        arrays = [X, y] if sample_weight is None else [X, y, sample_weight]
        parts = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        kept, held = parts[::2], parts[1::2]
        weights = (kept[2], held[2]) if sample_weight is not None else (None, None)
        return kept[0], kept[1], weights[0], (held[0], self._labels(held[1]), weights[1])

    def _data(self, model: Sequential, X: Any, y: Array, sample_weight: Any) -> tuple[Any, ...]:
        """Input, target and weights as the network's step takes them."""
        X = X.tocsr() if issparse(X) else X
        if sample_weight is not None:
            sample_weight = sample_weight.astype(model.dtype, copy=False)[:, None]
        return X.astype(model.dtype, copy=False), self._targets(y, model.dtype), sample_weight

    # parameters

    def _views(self) -> tuple[list[Array], list[Array]]:
        """`coefs_` and `intercepts_`: the arrays that the network computes with."""
        layers = list(dense_layers(self.model_))
        return [a.params.weights for a in layers], [a.params.bias for a in layers]

    def _model(self, X: Any) -> Sequential:
        """The network, with the values of `coefs_` and `intercepts_`, which may be assigned."""
        if not hasattr(self, "model_"):  # somebody has assigned them before any fit
            self.model_ = self._new_model(X)
        for given, views in zip((self.coefs_, self.intercepts_), self._views(), strict=True):
            for number, (array, view) in enumerate(zip(given, views, strict=True)):
                if array is not view:
                    view[...] = array
                    given[number] = view
        return self.model_

    def _output(self, X: Any, check_input: bool = True) -> Array:
        """The network's output: logits, log rates or numbers."""
        if check_input:
            check_is_fitted(self)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        model = self._model(X)
        return predict_sparse(model, X) if issparse(X) else model._predict(X)

    def __getstate__(self) -> dict[str, Any]:
        """Without the arrays that the network holds already."""
        state: dict[str, Any] = super().__getstate__().copy()
        if "model_" in state and "coefs_" in state:
            self._model(None)  # which takes up what has been assigned
            del state["coefs_"], state["intercepts_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            self.coefs_, self.intercepts_ = self._views()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
