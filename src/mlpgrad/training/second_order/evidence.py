"""Weight decay and noise estimated from the training data alone: MacKay's evidence framework."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.training.second_order.cholesky import Factor

FIRST_DECAY = 0.01
"""A weak initial prior: a strong one would decay the weights before the data determine them."""
LARGEST = 1e12
"""The upper bound of alpha and beta."""
FEWEST = 1e-6
"""Lower bound of the fraction of a group's parameters determined by the data; keeps alpha > 0."""


class Groups(NamedTuple):
    """The groups of parameters that share a weight decay."""

    names: list[str]
    of: Array
    """The number of the group of each parameter, `(P,)`."""
    sizes: Array
    """The number of parameters of each group, `(G,)`."""

    def sums(self, values: Array) -> Array:
        """Return sums over the groups: `(P,)` to `(G,)`."""
        return np.bincount(self.of, values, len(self.names))


def groups_of(network: Network, kind: str) -> Groups:
    """Return the groups of a network's parameters.

    Parameters
    ----------
    network : Network
    kind : "all", "layers" or "inputs"
        "all": one group for the weights of all layers, and one for each other array, such as the
        biases of a layer. "layers": one group for each array. "inputs": as "layers", but in the
        first array of weights one group for those of each input.
    """
    of, names = np.zeros(network.params.shape[-1], np.intp), list[str]()
    weights = (slot for slot in network.parameters if slot.kind == "weights")
    first = next(weights, None) if kind == "inputs" else None
    for slot in network.parameters:
        part = slice(slot.start, slot.stop)
        if slot is first and len(slot.shape) > 1:
            rows = len(names) + np.arange(slot.shape[0])
            of[part] = rows.repeat(math.prod(slot.shape[1:]))
            names += [f"{slot.name}[{row}]" for row in range(slot.shape[0])]
            continue
        name = "weights" if kind == "all" and slot.kind == "weights" else slot.name
        if name not in names:
            names.append(name)
        of[part] = names.index(name)
    return Groups(names, of, np.bincount(of))


class Estimate(NamedTuple):
    """The evidence estimate for one network."""

    alpha: Array
    """The weight decay of each group, `(G,)`: the precision of a normal prior around 0."""
    beta: float
    """The precision of the noise, 1 / mean variance; 1 for a likelihood without noise."""
    gamma: Array
    """The number of parameters of each group that the data determine, `(G,)`."""
    log_evidence: float
    """log p(data | alpha, beta), in a normal approximation around the current weights, and in the
    units of the data: without this, networks with and without target scaling cannot be compared."""


class Misfit(NamedTuple):
    """The misfit of one network to the training data."""

    value: float
    """E_D: half of the sum of squared residuals over shares, or the sum of cross-entropies."""
    residuals: float
    """The number N of targets."""
    noisy: bool
    """Whether the likelihood has a noise variance."""
    log_shares: float = 0.0
    """The sum over the residuals of the logarithms of their shares of the noise variance."""
    left_out: float = 0.0
    """The part of the log likelihood, in the units of the data, that depends on the data alone."""

    def constant(self, beta: float) -> float:
        """Return the part of the log likelihood that does not depend on the residuals."""
        if not self.noisy:
            return self.left_out
        normal = 0.5 * (self.residuals * math.log(beta / (2 * math.pi)) - self.log_shares)
        return normal + self.left_out


def first_estimate(groups: Groups) -> Estimate:
    """Return the initial estimate: weak decay, and noise as large as scaled targets."""
    alpha = np.full(len(groups.names), FIRST_DECAY)
    return Estimate(alpha, 1.0, groups.sizes.astype(np.float64), math.nan)


def improved(
    before: Estimate, groups: Groups, params: Array, factor: Factor, misfit: Misfit
) -> Estimate:
    """Make one step of the fixed-point iteration for alpha and beta.

        gamma_g = P_g - alpha_g sum of (A^-1)_ii over i in g,  A = beta J^T J + diag(alpha)
        alpha_g = gamma_g / sum of w_i^2 over i in g,  beta = (N - sum of gamma_g) / (2 E_D)

    The log evidence is that of `before`: MacKay 1992, "Bayesian interpolation", and "A practical
    Bayesian framework for backpropagation networks", equations 15 to 19.

    Parameters
    ----------
    before : Estimate
        The estimate in the matrix A.
    groups : Groups
    params : array (P,)
    factor : Factor
        The Cholesky factor of A.
    misfit : Misfit
    """
    gamma = groups.sizes - before.alpha * groups.sums(factor.inverse_diagonal())
    gamma = np.clip(gamma, FEWEST * groups.sizes, groups.sizes)
    squares = groups.sums(params * params)
    log_evidence = (
        -before.beta * misfit.value
        - 0.5 * float(before.alpha @ squares)
        - 0.5 * factor.log_determinant()
        + 0.5 * float(groups.sizes @ np.log(before.alpha))
        + misfit.constant(before.beta)
    )
    if not misfit.noisy:
        return Estimate(_ratio(gamma, squares), 1.0, gamma, log_evidence)
    left = max(misfit.residuals - gamma.sum(), 1e-3 * misfit.residuals)
    beta = float(_ratio(left, 2 * misfit.value))
    return Estimate(_ratio(gamma, squares), beta, gamma, log_evidence)


def _ratio(over: Any, under: Any) -> Any:
    """Return a precision, bounded even if the squares vanish."""
    return np.minimum(over / np.maximum(under, np.finfo(np.float64).tiny), LARGEST)
