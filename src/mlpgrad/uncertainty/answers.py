"""Predictions of a model: with their uncertainty, as probabilities, and as classes."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, counting
from mlpgrad._core.described import suggesting
from mlpgrad.network import boundary
from mlpgrad.network.network import Network
from mlpgrad.uncertainty.estimated import Given
from mlpgrad.uncertainty.fitting import fit_laplace
from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.law import Law, expected_outputs, instead, shared
from mlpgrad.uncertainty.results import Estimate, Interval


class Answers(Network):
    """A network with predictions, and with their uncertainty if it is defined."""

    @overload
    def predict(
        self, x: Any, *, std: Literal[False] = ..., interval: None = ..., samples: int | None = ...
    ) -> Array: ...

    @overload
    def predict(
        self, x: Any, *, std: Literal[True], interval: None = ..., samples: int | None = ...
    ) -> Estimate: ...

    @overload
    def predict(
        self, x: Any, *, std: Literal[False] = ..., interval: float, samples: int | None = ...
    ) -> Interval: ...

    @suggesting
    def predict(
        self,
        x: Any,
        *,
        std: bool = False,
        interval: float | None = None,
        samples: int | None = None,
    ) -> Any:
        """Predict: the network's output, `(B, O)` or `(E, B, O)`; logits if the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. The method may be called from
        several threads, even while another thread fits the model: it then uses a copy of the
        weights taken between two steps.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        std : bool, default False
            Whether to return `(mean, std)`: the mean over the members, and the standard deviation
            in the units of the target.
        interval : float, optional
            Between 0 and 1. Return `(low, high)`, which hold a target with this probability: under
            a normal distribution with that mean and standard deviation, or Student's distribution
            where `uncertainty` has found heavy tails, and for Poisson a distribution of counts. For
            Quantile these are the outputs of the two levels that belong to it.
        samples : int, optional
            Number of passes of MC dropout, for instance 100, in which Dropout is active; each
            counts as a separate network. Without `std` and `interval`, all outputs are returned,
            `(samples, B, O)` or `(samples, E, B, O)`. The same call draws the same masks.

        Returns
        -------
        array, or Estimate `(mean, std)`, or Interval `(low, high)`
            The pairs consist of arrays `(B, T)`, and have an attribute `includes_noise`: see the
            notes. The dtype is that of the model; with `target_scaling` it is float64, in the
            units of the targets.

        Raises
        ------
        TypeError
            If `std` or `interval` is given and the targets are classes.
        ValueError
            If the uncertainty is not defined, because the model is a single network whose loss
            predicts no noise, without `samples` and `uncertainty`. If a scaling of inputs or
            targets is not fitted yet. If weights or options of layers have changed since
            `uncertainty` was fitted, if a Quantile loss does not have the levels of `interval`, or
            if `samples` is given without Dropout layers.

        Notes
        -----
        The variance is the sum of up to three parts: the *noise* of the targets, which GaussianNLL
        and Poisson predict and `model.uncertainty` estimates; the posterior variance due to the
        weights, which a Laplace approximation in `model.uncertainty` gives; and the variance of
        the means of members and passes. If the noise is known, the result describes a new target,
        and `includes_noise` is True. If it is not known (an ensemble with a squared error, for
        instance), the result describes the mean only, and `includes_noise` is False: targets
        scatter more.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> x, y = mg.datasets.regression(200, random_state=0)
        >>> model = mg.Sequential([mg.Dense(5, 16), mg.Tanh(), mg.Dense(16, 2)],
        ...                       loss=mg.GaussianNLL(), random_state=0, ensemble_size=3)
        >>> history = model.fit(x, y, optimizer=mg.Adam(0.01), epochs=20, verbose=0)
        >>> model.predict(x).shape
        (3, 200, 2)
        >>> mean, std = model.predict(x, std=True)
        >>> mean.shape, std.shape
        ((200, 1), (200, 1))
        >>> low, high = model.predict(x, interval=0.95)
        >>> bool((low < mean).all() and (mean < high).all())
        True
        >>> model.predict(x, interval=0.95).includes_noise
        True
        """
        if std is False and interval is None and samples is None:
            # inlined Network.predict
            if type(x) is np.ndarray and self.encoder is None:
                x = boundary.inputs(x, self.in_features, self.lead, self.dtype)
            else:
                x = self.inputs_to_predict(x)
            return self._predict_in_own_unit(x) if self._has_scaling else self._predict(x)
        std = arguments.flag(std, "std")
        if interval is not None:
            interval = arguments.number(interval, "interval", 0, 1, ends="()", fix="0.95 is usual")
        if std and interval is not None:
            raise TypeError("predict expects std or interval, got both; call it twice")
        if std or interval is not None:
            return self._estimate(x, interval, samples)
        return self._outputs(x, samples)

    def _estimate(self, x: Any, level: float | None, samples: int | None) -> Estimate | Interval:
        """Return mean and standard deviation, or the bounds of an interval if a level is given."""
        if self.loss.classifies:
            raise TypeError(
                f"std and interval expect a loss on numbers, got {self.loss!r}, whose targets are "
                f"classes; {instead(self.loss)}"
            )
        with self.reading() as network:
            law = Law(network, _checked(network, x), samples)
            dtype = network.prediction_dtype
            if level is None:
                std = np.sqrt(law.variance)
                found = Estimate(law.mean.astype(dtype), std.astype(dtype))
                found.includes_noise = law.includes_noise
                return found
            low, high, includes_noise = law.interval(level)
            bounds = Interval(low.astype(dtype), high.astype(dtype))
            bounds.includes_noise = includes_noise
            return bounds

    def _outputs(self, x: Any, samples: int | None, average: bool = False) -> Array:
        """Return outputs, with logits of expected probabilities; `average` combines the members."""
        with self.reading() as network:
            found, _ = expected_outputs(network, _checked(network, x), samples)
            found = network.in_own_unit(found)
            if average:
                found = network.loss.averaged(found.reshape(-1, *found.shape[-2:]))
            return found.astype(np.result_type(network.dtype, network.prediction_dtype))

    @suggesting
    def predict_proba(self, x: Any, *, average: bool = False, samples: int | None = None) -> Array:
        """Predict probabilities, `(..., B, O)`; TypeError if the loss does not define them.

        A softmax has a column for each class, in the order of `classes_`; rows sum to 1. A network
        with one output for two classes has **one column**, the probability p of class 1:
        `np.hstack([1 - p, p])` gives the two columns of scikit-learn. Several outputs of a binary
        loss are labels (multilabel classification), each with the probability that it applies.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        average : bool, default False
            Whether to return the mean of the members' probabilities, `(B, O)`, which is the
            prediction of the ensemble.
        samples : int, optional
            Passes of MC dropout, as for `predict`: `(samples, ..., B, O)`, or `(B, O)` with
            `average`.

        Notes
        -----
        With a Laplace approximation in `model.uncertainty` these are expected probabilities over
        the posterior of the weights: away from the data, they are less confident than those of the
        trained weights.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> x, y = mg.datasets.moons(100, noise=0.2, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0, ensemble_size=3)
        >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=5, verbose=0)
        >>> model.predict_proba(x).shape, model.predict_proba(x, average=True).shape
        ((3, 100, 1), (100, 1))
        """
        if average is False and samples is None and self.uncertainty is None:
            return super().predict_proba(x)
        average = arguments.flag(average, "average")
        return self.loss.probabilities(self._outputs(x, samples, average))

    @suggesting
    def predict_classes(
        self, x: Any, *, average: bool = False, samples: int | None = None
    ) -> Array:
        """Predict the most probable class of each sample, `(..., B)`, as its label in `classes_`.

        For multilabel models (several outputs of a binary loss), return 0 or 1 for each label,
        `(..., B, O)`.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        average : bool, default False
            Whether to use the mean of the members' probabilities, `(B,)`.
        samples : int, optional
            Passes of MC dropout, as for `predict`: `(samples, ..., B)`, or `(B,)` with `average`.

        Raises
        ------
        ValueError
            If outputs are NaN or infinite, so that no class is the most probable.
        """
        if average is False and samples is None and self.uncertainty is None:
            return super().predict_classes(x)
        average = arguments.flag(average, "average")
        return self._answer(self._outputs(x, samples, average))

    @suggesting
    def log_likelihood(
        self, x: Any, y: Any, *, sample_weight: Any = None, samples: int | None = None
    ) -> float:
        """Compute the mean log predictive probability (density) of the targets.

        Larger is better. It measures predictions and their uncertainty together, in the units of
        the targets: nats per sample, summed over the targets of a sample. Members of an ensemble
        and passes of MC dropout form a mixture, log(1/D sum_d p_d(t)).

        Parameters
        ----------
        x, y, sample_weight
            As for `evaluate`; the mean is weighted. Members share targets and weights.
        samples : int, optional
            MC dropout, as for `predict`.

        Raises
        ------
        TypeError
            If the loss defines neither probabilities nor numbers.
        ValueError
            If the noise of the targets is not known: see `predict`; if targets or weights differ
            between members.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
        >>> model.uncertainty = mg.Noise(2.0)
        >>> round(model.log_likelihood(np.zeros((1, 1)), [2.0]), 4)  # -1/2 - log(2 sqrt(2 pi))
        -2.1121
        """
        with self.reading() as network:
            network.check_fitted()
            x, target, weights = network.checked(x, y, sample_weight)
            target, weights = shared(target, "targets"), shared(weights, "weights")
            x, target, weights = counting(weights, x, target)
            law = Law(network, x, samples)
            if network.loss.classifies:
                network.loss.probabilities(law.outputs[:1])  # raises TypeError if there are none
            density = law.log_density(network.loss.cast(target, np.dtype(np.float64)))
        return float(np.average(density, weights=None if weights is None else weights[:, 0]))

    @suggesting
    def laplace(
        self,
        x: Any,
        y: Any,
        *,
        layers: str = "all",
        sample_weight: Any = None,
        prior_precision: float | None = None,
        noise: float | None = None,
    ) -> Laplace:
        """Fit a Laplace approximation to the posterior of the weights, and keep it.

        `predict(x, std=True)`, intervals, probabilities and `log_likelihood` then take it into
        account. The weights are not changed. An ensemble gets an approximation for each member.

        Parameters
        ----------
        x, y, sample_weight
            The training data of the model. The sample weights are divided by the mean of those
            that are not 0, so that a common factor has no effect: the evidence counts the rows of
            nonzero weight, and a row of weight 2 is not the same as two rows.
        layers : "all" or "last", default "all"
            The weights that are uncertain: all P weights, which needs memory for a few P x P
            matrices and time for P^3 operations, or those of the last layer with parameters.
        prior_precision : float, optional
            The precision alpha of the normal prior with mean 0, positive; by default it maximizes
            MacKay's evidence.
        noise : float, optional
            The standard deviation of the noise, positive, in the units of the target, for a model
            with a single numeric target; by default it maximizes the evidence. With several
            targets, the noise of each is estimated so, and its rows determine the weights by it.

        Returns
        -------
        Laplace
            The new value of `model.uncertainty`. It is saved with the model.

        Raises
        ------
        TypeError
            If the loss is neither a squared error nor a cross-entropy on logits.
        ValueError
            If the matrices would not fit into memory; if the noise cannot be estimated because all
            targets are fitted exactly.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = mg.Sequential([mg.Dense(1, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.HalfSquaredError(), random_state=0)
        >>> history = model.fit(x, x**2, optimizer=mg.Adam(0.05), epochs=50, verbose=0)
        >>> found = model.laplace(x, x**2)
        >>> near, far = model.predict([[0.0], [3.0]], std=True).std[:, 0]
        >>> bool(near < far)
        True
        """
        layers = arguments.choice(layers, "layers", ("all", "last"))
        alpha, std = (
            None if value is None else arguments.number(value, name, 0, 1e100, ends="()")
            for name, value in (("prior_precision", prior_precision), ("noise", noise))
        )
        given = Given(alpha, None if std is None else std**2)
        with self.reading() as network:
            found = fit_laplace(network, *network.checked(x, y, sample_weight), layers, given)
        self.uncertainty = found
        return found


def _checked(network: Network, x: Any) -> Any:
    network.check_fitted()
    return network.inputs_to_predict(x)
