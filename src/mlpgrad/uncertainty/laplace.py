"""`Laplace`: a normal approximation of the posterior around the trained weights."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described
from mlpgrad.layers.chain import walk
from mlpgrad.network.uncertain import Uncertainty
from mlpgrad.uncertainty.part import Part, size_of
from mlpgrad.uncertainty.posterior import posterior

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

ELEMENTS = 1 << 22
"""About how many elements of Jacobians are held at once, which bounds the memory of predictions."""


class Laplace(Uncertainty):
    """w ~ N(w_trained, A^-1),  A = sum_n J_n^T H_n J_n + diag(alpha)

    A normal approximation of the posterior of the weights. J is the Jacobian of the outputs with
    respect to the weights, and alpha is the precision of the prior, whose mean is 0. H is the
    second derivative of the negative log likelihood with respect to the outputs: for a squared
    error, 1 / noise variance of each target. Outputs are linearized in the weights, so their
    covariance is J A^-1 J^T; rates of `Poisson` are linearized as well. Probabilities of classes
    are integrals over the normal distribution of the logits, by 512 points: those of up to 10
    classes are accurate to 0.006 where its standard deviations are up to 3, to 0.02 up to 10.
    `model.laplace(x, y)` makes one, and so does a fit by `LevenbergMarquardt` with "bayes". MacKay
    1992, "A practical Bayesian framework for backpropagation networks"; Immer, Korzepa and Bauer
    2021, "Improving predictions of Bayesian neural nets via local linearization".

    The approximation is valid only for the network that it was fitted to: if its weights, or
    options of its layers such as the slope of an activation, have changed, predictions that need
    it raise an error.

    Parameters
    ----------
    factor : array (P, P) or (E, P, P)
        R in A^-1 = R R^T, for P parameters.
    layers : "all" or "last", default "all"
        The P parameters: all, or those of the last layer with parameters.
    noise : array (T,) or (E, T), optional
        The standard deviation of the noise, in the scaled units of the training; None for classes.
    kurtosis : float or array (T,), for an ensemble (E,) or (E, T), default 0.0
        The excess kurtosis of the noise of each target. Where it is above 0, the noise has
        Student's distribution with 4 + 6 / kurtosis degrees of freedom, whose tails are heavier
        than those of the normal distribution. A fit estimates it from the residuals, and keeps 0
        where Student's distribution is not clearly likelier (Schwarz 1978, "Estimating the
        dimension of a model").
    prior_precision : float or array (P,), with the ensemble axis in front, default 1.0
        The precision alpha of the prior.
    effective_parameters : float or array (E,), default 0.0
        The number of parameters determined by the data, P - sum_i alpha_i (A^-1)_ii.
    log_evidence : float or array (E,), optional
        The log marginal likelihood of the training data, in the units of the targets, for model
        comparison.
    checksum : array () or (E,), optional
        The checksum of the network of the fit. Without it, any weights are accepted.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.regression(100, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(5, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.MeanSquaredError(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=100, verbose=0)
    >>> found = model.laplace(x, y)
    >>> 0 < found.effective_parameters < model.params.size
    True
    >>> mean, std = model.predict(x, std=True)
    >>> bool((std > found.noise).all())
    True
    """

    def __init__(
        self,
        factor: Any,
        *,
        layers: str = "all",
        noise: Any = None,
        kurtosis: Any = 0.0,
        prior_precision: Any = 1.0,
        effective_parameters: Any = 0.0,
        log_evidence: Any = None,
        checksum: Any = None,
    ) -> None:
        # in C order, as a loaded file has it, so that the same product gives the same bits
        self.factor = np.ascontiguousarray(arguments.numbers(factor, "Laplace: factor", "f"))
        square = self.factor.ndim in (2, 3) and self.factor.shape[-1] == self.factor.shape[-2]
        if not square or not np.isfinite(self.factor).all():
            raise ValueError(
                f"Laplace: factor expects finite numbers of shape (P, P) or (E, P, P), got "
                f"{arguments.shown(factor)}; model.laplace(x, y) makes one"
            )
        self.layers = arguments.choice(layers, "Laplace: layers", ("all", "last"))
        self.noise = None if noise is None else arguments.numbers(noise, "Laplace: noise", "iuf")
        if self.noise is not None:
            sound = (np.isfinite(self.noise) & (self.noise >= 0)).all()
            if not sound or self.noise.ndim != self.factor.ndim - 1:
                raise ValueError(
                    f"Laplace: noise expects finite numbers >= 0 of shape (T,) or (E, T), got "
                    f"{arguments.shown(self.noise)}"
                )
        self.kurtosis = self._kurtosis_of_each(kurtosis)
        members, size = self.factor.shape[:-2], self.factor.shape[-1:]
        self.prior_precision = prior_precision
        self._check("prior_precision", [(), members, members + size])
        self.effective_parameters, self.log_evidence = effective_parameters, log_evidence
        self.checksum = checksum
        for name in ("effective_parameters", "log_evidence", "checksum"):
            self._check(name, [(), members])

    def _check(self, name: str, shapes: Sequence[tuple[int, ...]]) -> None:
        """Raise an error unless an option is None or has numbers of one of these shapes."""
        value = getattr(self, name)
        if value is None and name in ("log_evidence", "checksum"):
            return
        found = arguments.numbers(value, f"Laplace: {name}", "iuf")
        if found.shape not in shapes:
            known = " or ".join(map(str, dict.fromkeys(shapes)))
            raise ValueError(
                f"Laplace: {name} expects shape {known}, got {found.shape}; model.laplace(x, y) "
                f"makes a Laplace"
            )
        if name == "prior_precision" and not (np.isfinite(found) & (found >= 0)).all():
            got = arguments.shown(value)
            raise ValueError(f"Laplace: prior_precision expects finite numbers >= 0, got {got}")

    def _kurtosis_of_each(self, kurtosis: Any) -> Array:
        """Return the kurtosis of the noise of each target, `(T,)` or `(E, T)`."""
        given = arguments.numbers(kurtosis, "Laplace: kurtosis", "iuf").astype(np.float64)
        members = self.factor.shape[:-2]
        targets = 1 if self.noise is None else np.atleast_1d(self.noise).shape[-1]
        each = (*members, targets)
        if given.shape not in ((), members, each) or not (np.isfinite(given) & (given >= 0)).all():
            raise ValueError(
                f"Laplace: kurtosis expects a finite number >= 0, or one for each member or target "
                f"of the noise, got {arguments.shown(kurtosis)}"
            )
        return np.broadcast_to(given if given.shape == each else given[..., None], each)

    @classmethod
    def from_curvature(
        cls,
        model: Network,
        curvature: Array,
        *,
        prior_precision: Any,
        noise_variance: Any = None,
        kurtosis: Any = 0.0,
        log_likelihood: float | None = None,
        layers: str = "all",
    ) -> Self:
        """Return the approximation at the current weights of one network, from a curvature matrix.

        This is for methods that already have the matrix. For an ensemble, make one for each
        member, and combine them with `joined`.

        Parameters
        ----------
        model : Sequential
            One network.
        curvature : array (P, P)
            The sum over the training rows of J^T H J: the Gauss-Newton matrix of the negative log
            likelihood; for a squared error, the rows of each target divided by the variance of its
            noise. The lower triangle is read.
        prior_precision : float or array (P,)
            The precision of each weight in the prior, positive.
        noise_variance : float or array (T,), optional
            The variance of numeric targets, in the scaled units of the training.
        kurtosis : float or array (T,), default 0.0
            The excess kurtosis of the noise of each target.
        log_likelihood : float, optional
            The log probability of all training targets at these weights, in their units, for
            `log_evidence`.
        layers : "all" or "last", default "all"
            The P parameters: all, or those of the last layer with parameters.

        Returns
        -------
        Laplace
            To be assigned to `model.uncertainty`.

        Raises
        ------
        ValueError
            If the matrix is not finite, or a precision is not positive.
        """
        size = len(curvature)
        weights = np.asarray(model.params[-size:], np.float64)
        found = posterior(curvature, np.broadcast_to(prior_precision, size), weights)
        noise = None
        if noise_variance is not None:
            targets = model.loss.target_features(model.out_features or 1)
            noise = np.sqrt(np.broadcast_to(noise_variance, targets))
        return cls(
            found.root.astype(np.float64 if model.dtype.itemsize >= 8 else np.float32),
            layers=layers,
            noise=noise,
            kurtosis=kurtosis,
            prior_precision=prior_precision,
            effective_parameters=found.effective,
            log_evidence=None if log_likelihood is None else log_likelihood + found.log_prior,
            checksum=checksum(model),
        )

    @classmethod
    def joined(cls, members: Sequence[Self]) -> Self:
        """Return the approximation of an ensemble, from those of its members in order."""
        configs = [member.config() for member in members]
        common: dict[str, Any] = {"layers": configs[0].pop("layers")}
        for name, first in configs[0].items():
            found = None if first is None else np.stack([config[name] for config in configs])
            common[name] = found
        return cls(**common)

    def check(self, network: Network) -> None:
        size = size_of(network, self.layers)
        targets = network.loss.target_features(network.out_features or 1)
        shapes = (*network.lead, size, size), (*network.lead, targets)
        given = self.factor.shape, shapes[1] if self.noise is None else self.noise.shape
        if given != shapes:
            raise ValueError(
                f"the uncertainty belongs to another network: it has a factor of shape {given[0]} "
                f"and noise of shape {given[1]}, and the network needs {shapes[0]} and "
                f"{shapes[1]}; call model.laplace(x, y)"
            )
        if self.checksum is not None and not np.array_equal(self.checksum, checksum(network)):
            raise ValueError(
                "the weights or options of the layers have changed since the uncertainty was "
                "fitted, so it is no longer valid; call model.laplace(x, y) again, or set "
                "model.uncertainty = None"
            )

    def noise_variance(self, network: Network) -> Array | None:
        if self.noise is None:
            return None
        variance = np.square(self.noise)
        return np.asarray(variance[:, None] if network.lead else variance)

    def noise_kurtosis(self, network: Network) -> Array | None:
        if not self.kurtosis.any():
            return None
        return np.asarray(self.kurtosis[:, None] if network.lead else self.kurtosis)

    def output_covariance(self, network: Network, x: Array) -> Array:
        part, x = Part(network, self.layers), np.asarray(x, network.dtype)
        inputs, size = part.inputs(x), self.factor.shape[-1]
        outputs = network.out_features or x.shape[-1]
        at_once = max(1, ELEMENTS // (outputs * size * (network.ensemble_size or 1)))
        blocks = []
        for start in range(0, x.shape[-2], at_once):
            jacobian = part.jacobian(inputs[..., start : start + at_once, :])
            rows = jacobian.reshape(*network.lead, -1, size) @ self.factor
            moved = rows.reshape(jacobian.shape)
            blocks.append(moved @ moved.mT)
        return np.concatenate(blocks, axis=-3)

    def member(self, index: int) -> Self:
        config = self.config()
        layers = config.pop("layers")
        own = {name: all_ if np.ndim(all_) == 0 else all_[index] for name, all_ in config.items()}
        return type(self)(layers=layers, **own)

    def __repr__(self) -> str:
        size = self.factor.shape[-1]
        used = np.mean(self.effective_parameters)
        noise = "" if self.noise is None else f", noise={np.mean(self.noise):.4g}"
        heavy = f", kurtosis={np.mean(self.kurtosis):.2g}" if self.kurtosis.any() else ""
        return f"Laplace({self.layers!r}, {used:.1f} of {size} parameters determined{noise}{heavy})"


def checksum(network: Network) -> Array:
    """Return a checksum of the function that each network computes, `()` or `(E,)`.

    It depends on weights, statistics, and the options of the layers that act in predictions.
    Numbers are taken in single precision, so that a copy in another dtype has the same checksum.
    """
    import zlib

    both = np.concatenate([network.params, network.state], axis=-1).real.astype(np.float32)
    of_options = zlib.crc32(_options_of(network).encode())
    sums = [zlib.crc32(row.tobytes(), of_options) for row in both.reshape(-1, both.shape[-1])]
    return np.reshape(np.array(sums, np.uint32), network.lead)


def _options_of(network: Network) -> str:
    """Return classes and options of the layers as text, which is the same in every process."""
    with np.printoptions(threshold=sys.maxsize, floatmode="unique", linewidth=75, suppress=False):
        shown = Described.__repr__  # a class may show something else
        acting = [shown(layer) for _, layer in walk(network.layers) if not layer.is_random]
    return re.sub(" at 0x[0-9a-f]+", "", "; ".join(acting))
