"""One Levenberg-Marquardt iteration for several members of an ensemble together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, part_of, weighted
from mlpgrad.derivatives.objective import Objective, sum_of
from mlpgrad.losses.squares import squared_error
from mlpgrad.network.network import Network
from mlpgrad.training.rows import Batch
from mlpgrad.training.second_order.cholesky import factorise
from mlpgrad.training.second_order.evidence import LARGEST, Groups, Misfit, improved
from mlpgrad.training.second_order.state import State
from mlpgrad.uncertainty.residuals import above_rounding, sizes_of

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
    sum of cross-entropies. Penalties are included in L. If noise is estimated for several targets,
    squared residuals are divided by their target's share of the noise variance, also in L.

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
        x, target, weights = (part_of(members, array) for array in data)
        self.members, self.groups = members, groups
        self.objective = Objective(own, x, target, weights, batch_size=batch_size)
        self.noisy = own.loss.leaves_noise_open
        self.loss: Objective | None = None
        """The model's own loss, if L divides by shares."""
        if groups is not None and noises_of(own, target) > 1:
            self.loss = self.objective
            self.sizes = sizes_of(own.cast_target(target), weights)
            own.loss = squared_error(np.ones(target.shape[-1]))
            self.objective = Objective(own, x, target, weights, batch_size=batch_size)
        rows = x.shape[-2] if weights is None else np.count_nonzero(weights, axis=(-2, -1))
        self.samples = np.broadcast_to(rows, members.shape)
        self.residuals = self.samples * target.shape[-1]
        self.left_out = self._left_out(own, target, weights)
        self.scale = self.samples / own.loss.likelihood_scale(own.out_features or x.shape[-1])

    def _left_out(self, network: Network, target: Array, weights: Array | None) -> Array:
        """Return the part of the log likelihood that depends on the data alone, `(E,)`."""
        constants, scaling = network.loss.log_constant(target), network.scaling_of_targets
        if weights is None:
            mean = np.mean(constants, axis=-1)
        else:
            total = weighted(constants, weights[..., 0]).sum(axis=-1)
            mean = total / sum_of(weights)
        units = 0.0 if scaling is None else scaling.log_units()
        return np.broadcast_to(self.samples * (mean - units), self.members.shape)

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
            grads, matrix = self.measure(state)
            if self.groups is not None:
                self.estimate(state, matrix)
            if (state.shares[self.members] != 1).any():  # L has changed with them
                grads, matrix = self.measure(state)
            local = self._local(state, grads, matrix)
            flat = np.abs(local.slope).max(axis=-1) <= FLAT * np.maximum(local.value, 1e-300)
            state.finished[self.members] |= flat | ~np.isfinite(local.value)
            waiting = ~state.finished[self.members]
            while waiting.any() and not stops():
                waiting = self._try(state, local, waiting, damping)
            if self.loss is not None:
                state.loss[self.members] = self.loss.value(state.params[self.members])

    def measure(self, state: State) -> tuple[Array, Array]:
        """Store L at the current weights, and return its gradient and Gauss-Newton matrix."""
        if self.loss is not None:
            self.objective.network.loss = squared_error(1 / state.shares[self.members][:, None])
        value, grads, matrix = self.objective.normal_equations(state.params[self.members])
        state.loss[self.members] = value
        return grads, matrix

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

    def estimate(self, state: State, matrix: Array, *, at_the_end: bool = False) -> None:
        """Estimate decay and noise again, from the matrix at the current weights."""
        assert self.groups is not None
        decays, betas, squares = self._decays(state), state.beta[self.members], self.squares(state)
        roots = np.zeros_like(matrix) if self.loss is not None else None
        for i, member in enumerate(self.members):
            if not state.steps[member]:  # biases may still be 0, which does not determine alpha
                continue
            before = state.estimate(member)
            factor = factorise(matrix[i], before.beta * self.scale[i], decays[i])
            if factor is not None:
                params, misfit = state.params[member], self.misfit(state, i, squares)
                state.learn(member, improved(before, self.groups, params, factor, misfit))
                if roots is not None and (at_the_end or state.separates(member)):
                    roots[i] = factor.inverse_root()
        if roots is not None and squares is not None:
            self._share(state, squares, roots, betas * self.scale)

    def squares(self, state: State) -> Array | None:
        """Return the mean squared residual of each target, `(E, T)`; None if there is one noise."""
        if self.loss is None:
            return None
        found = self.objective.mean_squares(state.params[self.members])
        return above_rounding(found, self.sizes)

    def _share(self, state: State, squares: Array, roots: Array, scale: Array) -> None:
        """Estimate the noise variance of each target; store their mean, 1 / beta, and the shares.

            gamma_k = trace(A^-1 J_k^T J_k) / variance_k,  variance_k = sum r_k^2 / (n - gamma_k)

        This is the estimate of beta, made of the n rows of target k alone. Members whose root of
        A^-1 is 0 get none.
        """
        known = roots.any(axis=(-2, -1))
        if not known.any():
            return
        rows, params = self.samples[:, None], state.params[self.members]
        gamma = self.objective.traces(params, roots) * scale[:, None]
        variances = rows * squares / np.maximum(rows - gamma, 1e-3 * rows)
        mean, members = variances.mean(axis=-1), self.members[known]
        state.shares[members] = (variances / mean[:, None])[known]
        state.beta[members] = np.minimum(1 / mean[known], LARGEST)

    def misfit(self, state: State, i: int, squares: Array | None) -> Misfit:
        """Return the misfit of the i-th of these members, from L or the result of `squares`."""
        member, shares = self.members[i], state.shares[self.members[i]]
        value = float(state.loss[member] * self.scale[i])
        if squares is not None:
            value = 0.5 * float(self.samples[i] * (squares[i] / shares).sum())
        log_shares = float(self.samples[i] * np.log(shares).sum())
        residuals, left_out = float(self.residuals[i]), float(self.left_out[i])
        return Misfit(value, residuals, self.noisy, log_shares, left_out)


def noises_of(network: Network, target: Array) -> int:
    """Return the number of targets that have a noise variance of their own; 1 if there is none."""
    return target.shape[-1] if network.loss.leaves_noise_open else 1
