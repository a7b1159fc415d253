"""The side of a model that answers: predictions with their uncertainty, probabilities, classes."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.network import boundary
from mlpgrad.network.network import Network
from mlpgrad.uncertainty.fitting import Given, fit_laplace
from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.law import Law, expected_outputs
from mlpgrad.uncertainty.results import Estimate, Interval


class Answers(Network):
    """A network whose predictions come with their uncertainty, where something defines it."""

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

    def predict(
        self,
        x: Any,
        *,
        std: bool = False,
        interval: float | None = None,
        samples: int | None = None,
    ) -> Any:
        """The network's output, `(B, O)` or `(E, B, O)`: logits where the loss expects them.

        Dropout is off and BatchNorm uses its running statistics. Safe from several threads: also
        while another one fits the model, from whose weights it takes a copy between two steps.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        std : bool, default False
            Return `(mean, std)`: the mean over the members, and the standard deviation, in the
            unit of the target.
        interval : float, optional
            Between 0 and 1. Return `(low, high)`, which hold a target with this probability: under
            a normal law with that mean and standard deviation, or Student's law where
            `uncertainty` has found heavy tails, and for Poisson under one of counts. For Quantile
            these are the outputs of the two levels that belong to it.
        samples : int, optional
            The number of MC-dropout passes, with Dropout active, such as 100, each counted as a
            network of its own. Alone it returns all outputs, `(samples, B, O)` or
            `(samples, E, B, O)`. The same call draws the same masks.

        Returns
        -------
        array, or Estimate `(mean, std)`, or Interval `(low, high)`
            Each of the pairs is of arrays `(B, T)`, and has an attribute `includes_noise`: see the
            notes. In the model's dtype; with `target_scaling` in the unit of the targets, in
            float64.

        Raises
        ------
        TypeError
            If `std` or `interval` is asked for and the targets are classes.
        ValueError
            If nothing tells how far off predictions may be: one network, whose loss predicts no
            noise, without `samples` and `uncertainty`. If a scaling of inputs or targets has not
            been fitted yet. If the weights have changed since `uncertainty` was fitted, a Quantile
            loss does not have the levels for `interval`, or `samples` is given without Dropout
            layers.

        Notes
        -----
        The variance is the sum of up to three parts: the *noise* of the targets, which GaussianNLL
        and Poisson predict and `model.uncertainty` estimates; what the data leave open about the
        weights, which a Laplace approximation in `model.uncertainty` tells; and the variance of the
        means of members and passes. Where the noise is known, the result is about a new target, and
        `includes_noise` is True. Where it is not (an ensemble with a squared error, for instance),
        it is about the mean alone, and `includes_noise` is False: targets scatter more.

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
            # as Network.predict does, without its calls
            if type(x) is np.ndarray and self.encoder is None:
                x = boundary.inputs(x, self.in_features, self.lead, self.dtype)
            else:
                x = self.checked_inputs(x)
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
        """Mean and standard deviation; or the bounds of an interval, if it has a level."""
        if self.loss.classifies:
            raise TypeError(
                f"std and interval expect a loss on numbers, got {self.loss!r}, whose targets are "
                f"classes; use predict_proba(x, average=True)"
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
        """Outputs, with logits of the expected probabilities; `average` joins all to one."""
        with self.reading() as network:
            found, _ = expected_outputs(network, _checked(network, x), samples)
            found = network.in_own_unit(found)
            if average:
                found = network.loss.averaged(found.reshape(-1, *found.shape[-2:]))
            return found.astype(np.result_type(network.dtype, network.prediction_dtype))

    def predict_proba(self, x: Any, *, average: bool = False, samples: int | None = None) -> Array:
        """Probabilities, `(..., B, O)`, where the loss defines them; a TypeError elsewhere.

        A softmax has a column for each class, in the order of `classes_`; those of a row sum to 1.
        A network with one output for two classes has **one column**, the probability p of class 1:
        `np.hstack([1 - p, p])` makes the two columns of scikit-learn. Several outputs of a binary
        loss are labels, each with the probability that it applies.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        average : bool, default False
            Return the mean of the members' probabilities, `(B, O)`: the ensemble's answer.
        samples : int, optional
            MC-dropout, as for `predict`: `(samples, ..., B, O)`, or `(B, O)` with `average`.

        Notes
        -----
        With a Laplace approximation in `model.uncertainty` these are the expected probabilities
        over the weights that the data leave open: less sure than those of the weights found,
        away from the data.

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

    def predict_classes(
        self, x: Any, *, average: bool = False, samples: int | None = None
    ) -> Array:
        """The likeliest class of each sample, `(..., B)`, by its label in `classes_`.

        Several outputs of a binary loss are labels: 0 or 1 for each, `(..., B, O)`.

        Parameters
        ----------
        x : array (B, I), or (E, B, I) for an ensemble
        average : bool, default False
            Return the likeliest class by the mean of the members' probabilities, `(B,)`.
        samples : int, optional
            MC-dropout, as for `predict`: `(samples, ..., B)`, or `(B,)` with `average`.
        """
        if average is False and samples is None and self.uncertainty is None:
            return super().predict_classes(x)
        average = arguments.flag(average, "average")
        return self._answer(self.loss.classes(self._outputs(x, samples, average)))

    def log_likelihood(
        self, x: Any, y: Any, *, sample_weight: Any = None, samples: int | None = None
    ) -> float:
        """The mean logarithm of the probability (density) that the model gave to the targets.

        Larger is better. It judges predictions and their uncertainty together, in the unit of the
        targets: nats a sample, summed over the targets of a sample. Members of an ensemble and
        passes of MC-dropout are a mixture, log(1/D sum_d p_d(t)).

        Parameters
        ----------
        x, y, sample_weight
            As for `evaluate`; the mean is weighted.
        samples : int, optional
            MC-dropout, as for `predict`.

        Raises
        ------
        TypeError
            If the loss defines neither probabilities nor numbers.
        ValueError
            If nothing tells the noise of the targets: see `predict`.

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
            law = Law(network, x, samples)
            if network.loss.classifies:
                network.loss.probabilities(law.outputs[:1])  # a TypeError where there are none
            density = law.log_density(network.loss.cast(target, np.dtype(np.float64)))
        if weights is None:
            return float(density.mean())
        return float(np.average(density, weights=weights[..., 0]))

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
        """Estimate what the training data leave open about the weights, and keep it.

        Afterwards `predict(x, std=True)`, intervals, probabilities and `log_likelihood` take it
        into account. The weights stay as they are. An ensemble gets one for each member.

        Parameters
        ----------
        x, y, sample_weight
            The rows that the model was trained on. Only the proportions of the weights matter.
        layers : "all" or "last", default "all"
            The weights that are uncertain: all P of them, which takes memory for a few matrices of
            P x P numbers and time for P^3 operations, or those of the last layer that has some.
        prior_precision : float, optional
            The precision alpha of the normal prior around 0, positive; by default the one that
            makes the data likeliest (MacKay's evidence).
        noise : float, optional
            The standard deviation of the noise, positive, in the unit of the target, of a model
            with one target that is a number; by default the one that makes the data likeliest.
            Several targets have each a noise of their own.

        Returns
        -------
        Laplace
            The value of `model.uncertainty` from now on. It is saved with the model.

        Raises
        ------
        TypeError
            If the loss is neither a squared error nor a cross-entropy on logits.
        ValueError
            If the matrices would not fit into memory; if the noise cannot be estimated, because all
            targets are met exactly.

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


def _checked(network: Network, x: Any) -> Array:
    network.check_fitted()
    return network.checked_inputs(x)
