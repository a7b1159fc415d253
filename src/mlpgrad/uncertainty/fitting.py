"""Fitting a Laplace approximation to a trained model."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array, counting, part_of
from mlpgrad.derivatives.modes import refuse_complex, refuse_mixing
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.network.storage import check_memory
from mlpgrad.uncertainty.estimated import Given, counted, estimated
from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.part import Part, size_of
from mlpgrad.uncertainty.residuals import ROUNDING, residuals_of, sizes_of

COPIES = 4
"""Maximum number of copies of the curvature matrix in memory."""


def fit_laplace(
    network: Network, x: Array, target: Array, weights: Array | None, layers: str, given: Given
) -> Laplace:
    """Fit the approximation to checked rows, for each member separately; see `Answers.laplace`.

    Parameters
    ----------
    network : Network
    x, target, weights
        Data as returned by `network.checked`.
    layers : "all" or "last"
    given : Given
    """
    refuse_complex(network, "a Laplace approximation")
    _check_loss(network, given)
    _check_memory(network, layers)
    refuse_mixing(network, x, "a Laplace approximation", training=False)
    if network.ensemble_size is None:
        return _fit(network, x, target, weights, layers, given)
    members = range(network.ensemble_size)
    rows = [(part_of(i, x), part_of(i, target), part_of(i, weights)) for i in members]
    return Laplace.joined([_fit(network.member(i), *rows[i], layers, given) for i in members])


def _fit(
    network: Network, x: Array, target: Array, weights: Array | None, layers: str, given: Given
) -> Laplace:
    """Return the approximation for one network, in its scaled units."""
    x, target, weights = counting(weights, x, target)
    scaling, noise = network.scaling_of_targets, given.noise_variance
    if scaling is not None:
        target = scaling.scaled(target)
        noise = None if noise is None else scaling.scaled_variance(np.array(noise)).item()
    noisy = network.loss.leaves_noise_open
    errors, kurtosis = np.ones(1), np.zeros(1)
    if noisy:
        errors, kurtosis = residuals_of(network, x, target, weights)
    if noisy:
        _check_errors(float(errors.mean()), sizes_of(target, weights), noise)
    given = Given(given.prior_precision, noise if noisy else 1.0)
    found = estimated(Part(network, layers), x, target, weights, errors, given)
    units = 0.0 if scaling is None else counted(x, weights) * float(scaling.log_units())
    return Laplace.from_curvature(
        network,
        found.matrix,
        prior_precision=found.prior_precision,
        noise_variance=found.variances if noisy else None,
        kurtosis=kurtosis,
        log_likelihood=found.log_likelihood - units,
        layers=layers,
    )


def _check_errors(square: float, sizes: Array, noise: float | None) -> None:
    """Raise ValueError if residuals are not finite, or only rounding errors without `noise`."""
    if not np.isfinite(square):
        raise ValueError(
            f"a Laplace approximation expects a trained model, got a mean squared residual of "
            f"{square}; train it again with scaled inputs and targets"
        )
    if noise is None and square <= (ROUNDING * float(sizes.max())) ** 2:
        raise ValueError(
            "the model fits all targets exactly, so their noise cannot be estimated; pass "
            "noise=, its standard deviation, or stop training earlier"
        )


def _check_loss(network: Network, given: Given) -> None:
    """Raise TypeError for a loss whose likelihood a Laplace approximation cannot use."""
    loss, outputs = network.loss, network.out_features or 1
    if given.noise_variance is not None and not (loss.leaves_noise_open and outputs == 1):
        raise ValueError(
            f"noise expects a model with a single numeric target, got {loss!r} and {outputs} "
            "outputs; leave it out"
        )
    has_curvature = type(loss).curvature_root is not Loss.curvature_root
    if has_curvature and (loss.leaves_noise_open or (loss.classifies and loss.expects_logits)):
        return
    says = loss.noise(np.zeros((1, network.out_features or 1))) is not None
    fix = "it predicts the noise itself: train an ensemble of it (ensemble_size=5)"
    raise TypeError(
        f"a Laplace approximation expects HalfSquaredError, MeanSquaredError, SigmoidCrossEntropy "
        f"or SoftmaxCrossEntropy, got {loss!r}; "
        f"{fix if says else 'train with one of these, or train an ensemble (ensemble_size=5)'}"
    )


def _check_memory(network: Network, layers: str) -> None:
    """Raise ValueError if the matrices would need more memory than the machine has."""
    members = network.ensemble_size or 1
    size, of_last = size_of(network, layers), size_of(network, "last")
    if not size:
        raise ValueError(
            f"a Laplace approximation expects layers with parameters, got {[*network.layers]!r}; "
            f"set model.uncertainty = mg.Noise.fit(model, x, y) instead"
        )
    needed, by_last = (n * n * 8 * (COPIES + members) for n in (size, of_last))
    fix = "train an ensemble (ensemble_size=5), or use Dropout and samples=100"
    if of_last < size:
        fix = f'write layers="last", which needs {by_last / 2**30:,.1f} GiB, or {fix}'
    check_memory(needed, f"matrices of {size:,} x {size:,} for a Laplace approximation", fix)
