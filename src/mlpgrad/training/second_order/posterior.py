"""The posterior that an evidence fit has estimated, kept with the model as its uncertainty."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.training.second_order.part import Part
from mlpgrad.training.second_order.state import State
from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.residuals import residuals_of


def uncertainty_of(network: Network, state: State, make: Callable[[Array], Part]) -> Laplace:
    """Return the normal approximation of the posterior around the final weights.

    A callback may have restored the weights of an earlier epoch, so decay and noise are estimated
    again at the final weights. Members are handled one at a time to save memory.

    Parameters
    ----------
    network : Network
        A network with its final weights.
    state : State
        The state of the training.
    make : callable
        Returns the `Part` for some members.
    """
    state = copy.deepcopy(state)
    state.params[...] = np.reshape(network.params, state.params.shape)
    with np.errstate(all="ignore"):  # as in an iteration
        if network.ensemble_size is None:
            return _of_member(network, 0, state, make)
        members = range(network.ensemble_size)
        return Laplace.joined([_of_member(network.member(i), i, state, make) for i in members])


def _of_member(
    network: Network, member: int, state: State, make: Callable[[Array], Part]
) -> Laplace:
    """Return the posterior of one network's weights."""
    part = make(np.array([member]))
    assert part.groups is not None
    _, matrix = part.measure(state)
    part.estimate(state, matrix, at_the_end=True)
    if part.loss is not None:  # L has changed with the shares
        _, matrix = part.measure(state)
    misfit, beta = part.misfit(state, 0, part.squares(state)), float(state.beta[member])
    objective = part.objective
    rows = objective.network.cast(objective.x, objective.target, objective.weights)
    kurtosis = residuals_of(objective.network, *rows)[1] if misfit.noisy else np.zeros(1)
    return Laplace.from_curvature(
        network,
        beta * part.scale[0] * matrix[0],
        prior_precision=state.alpha[member][part.groups.of],
        noise_variance=state.shares[member] / beta if misfit.noisy else None,
        kurtosis=kurtosis,
        log_likelihood=misfit.constant(beta) - beta * misfit.value,
    )
