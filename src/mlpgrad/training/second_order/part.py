"""One Levenberg-Marquardt iteration for several members of an ensemble together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.objective import Objective
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batch
from mlpgrad.training.second_order.cholesky import factorise
from mlpgrad.training.second_order.evidence import Groups, Misfit, improved
from mlpgrad.training.second_order.state import State

FLAT = 1e-14
"""A slope that is smaller than this, relative to the objective, is rounding error."""


class Damping(NamedTuple):
    """How mu changes."""

    decrease: float
    increase: float
    largest: float


class Local(NamedTuple):
    """F around the current weights: a row or a matrix for each member."""

    value: Array
    """`(E,)`"""
    slope: Array
    """dF/dw, `(E, P)`"""
    alpha: Array
    """The weight decay of each parameter, `(E, P)`."""
    weight: Array
    """The factor of L, its gradient and its matrix in F, `(E,)`."""
    matrix: Array
    """The Gauss-Newton matrix of L, `(E, P, P)`."""


class Part:
    """Members that are computed together, with their data and their own copy of the network.

    The objective is F = beta E_D + 1/2 sum of alpha w^2, where E_D = N L / c is the negative log
    likelihood that corresponds to the mean loss L: half of the sum of squared residuals, or the
    sum of cross-entropies. Penalties are included in L.

    Parameters
    ----------
    network : Network
        The whole network, in float64.
    members : array of int
        The indices of the members.
    data : tuple (x, target, weights)
        All training rows.
    batch_size : int or None
        Maximum number of rows computed at once.
    groups : Groups or None
        Parameters that share a weight decay; None does not estimate any.
    """

    def __init__(
        self,
        network: Network,
        members: Array,
        data: Batch,
        *,
        batch_size: int | None,
        groups: Groups | None,
    ) -> None:
        own = network.tiled(1) if network.ensemble_size is None else network.members(members)
        x, target = (_of(members, array) for array in data[:2])
        weights = None if data[2] is None else _of(members, data[2])
        self.members, self.groups = members, groups
        self.objective = Objective(own, x, target, weights, batch_size=batch_size)
        rows = x.shape[-2] if weights is None else np.count_nonzero(weights, axis=(-2, -1))
        samples = np.broadcast_to(rows, members.shape)
        self.residuals = samples * target.shape[-1]
        self.scale = samples / own.loss.likelihood_scale(own.out_features or x.shape[-1])
        self.noisy = own.loss.leaves_noise_open

    def iterate(self, state: State, damping: Damping, stops: Callable[[], bool]) -> None:
        """Make one accepted step for each member, or end those that find none.

        A step that is not accepted is tried again with more damping and the same matrix.

        Parameters
        ----------
        state : State
            The state of all members; the rows of this part are updated.
        damping : Damping
            How mu changes.
        stops : callable
            Returns whether training should end at once, before the iteration does.
        """
        with np.errstate(all="ignore"):  # what overflows is not accepted
            params = state.params[self.members]
            value, grads, matrix = self.objective.normal_equations(params)
            state.loss[self.members] = value
            if self.groups is not None:
                self.estimate(state, matrix)
            local = self._local(state, grads, matrix)
            flat = np.abs(local.slope).max(axis=-1) <= FLAT * np.maximum(local.value, 1e-300)
            state.finished[self.members] |= flat | ~np.isfinite(local.value)
            waiting = ~state.finished[self.members]
            while waiting.any() and not stops():
                waiting = self._try(state, local, waiting, damping)

    def _local(self, state: State, grads: Array, matrix: Array) -> Local:
        params, alpha = state.params[self.members], self._decays(state)
        weight = state.beta[self.members] * self.scale
        value = self._objective(alpha, weight, params, state.loss[self.members])
        return Local(value, weight[:, None] * grads + alpha * params, alpha, weight, matrix)

    def _objective(self, alpha: Array, weight: Array, params: Array, loss: Array) -> Array:
        """Return F, `(E,)`."""
        decay: Array = 0.5 * (alpha * params * params).sum(axis=-1)
        return weight * loss + decay

    def _try(self, state: State, local: Local, waiting: Array, damping: Damping) -> Array:
        """Try one step for each waiting member; return the members that still wait.

        (beta J^T J + diag(alpha) + mu I) step = -dF/dw. Marquardt 1963, "An algorithm for
        least-squares estimation of nonlinear parameters".
        """
        members, trial, solved = self.members, state.params[self.members], waiting.copy()
        for i in np.flatnonzero(waiting):
            added = local.alpha[i] + state.mu[members[i]]
            factor = factorise(local.matrix[i], local.weight[i], added)
            solved[i] = factor is not None
            if factor is not None:
                trial[i] -= factor.solve(local.slope[i])
        loss = self.objective.value(trial)
        better = solved & (self._objective(local.alpha, local.weight, trial, loss) < local.value)
        accepted, refused = members[better], members[waiting & ~better]
        state.params[accepted], state.loss[accepted] = trial[better], loss[better]
        state.steps[accepted] += 1
        state.mu[accepted] *= damping.decrease
        state.mu[refused] *= damping.increase
        state.finished[refused] |= state.mu[refused] > damping.largest
        state.mu[members] = np.clip(state.mu[members], 1e-20, damping.largest)
        return waiting & ~better & ~state.finished[members]

    def _decays(self, state: State) -> Array:
        """Return alpha of each parameter, `(E, P)`; 0 if it is not estimated."""
        if self.groups is None:
            return np.zeros((len(self.members), state.params.shape[-1]))
        return state.alpha[self.members][:, self.groups.of]

    def estimate(self, state: State, matrix: Array) -> None:
        """Estimate decay and noise again, from the matrix at the current weights."""
        assert self.groups is not None
        decays = self._decays(state)
        for i, member in enumerate(self.members):
            if not state.steps[member]:  # biases may still be 0, which does not determine alpha
                continue
            before = state.estimate(member)
            factor = factorise(matrix[i], before.beta * self.scale[i], decays[i])
            if factor is not None:
                params, misfit = state.params[member], self.misfit(state, i)
                state.learn(member, improved(before, self.groups, params, factor, misfit))

    def misfit(self, state: State, i: int) -> Misfit:
        """Return the misfit of the i-th of these members to the training data."""
        value = float(state.loss[self.members[i]] * self.scale[i])
        return Misfit(value, float(self.residuals[i]), self.noisy)


def _of(members: Array, array: Array) -> Array:
    """Return the part of an array for some members; all of it if all members share it."""
    return array[members] if array.ndim == 3 else array
