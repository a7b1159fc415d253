"""The state of Levenberg-Marquardt for each member of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.stateful import Stateful
from mlpgrad.training.second_order.evidence import Estimate

ALIKE = 0.5
"""Differences of the log evidence below this are not significant."""
PATIENCE = 10
"""Number of iterations without significant change of the evidence after which a member ends."""

SETTLED = 2
"""Number of such iterations after which targets get a noise of their own."""


class State(Stateful):
    """The state with one row per member; a single network is one member.

    Parameters
    ----------
    params : array (E, P)
        The parameters, in float64.
    mu : float
        The initial damping.
    first : Estimate or None
        The initial estimate of decay and noise; None if they are not estimated.
    noises : int, default 1
        The number T of targets with a noise of their own.

    Attributes
    ----------
    loss : array (E,)
        L at the parameters.
    alpha, gamma : array (E, G)
    beta, log_evidence : array (E,)
        See `Estimate`.
    shares : array (E, T)
        The variance of the noise of each target, relative to their mean, 1 / beta.
    steps : array (E,)
        Number of accepted steps.
    finished : array (E,)
        Whether no further step lowers the objective, or the evidence has settled.
    """

    kept = (
        *("params", "loss", "mu", "alpha", "beta", "shares", "gamma", "log_evidence"),
        *("settled", "waited", "steps", "finished"),
    )

    def __init__(self, params: Array, mu: float, first: Estimate | None, noises: int = 1) -> None:
        members = len(params)
        alpha, gamma = (np.zeros(0),) * 2 if first is None else (first.alpha, first.gamma)
        self.params, self.loss = params, np.full(members, np.nan)
        self.mu, self.beta = np.full(members, float(mu)), np.ones(members)
        self.shares = np.ones((members, noises))
        self.alpha, self.gamma = (np.tile(each, (members, 1)) for each in (alpha, gamma))
        self.log_evidence = np.full(members, np.nan)
        self.settled, self.waited = np.full(members, -np.inf), np.zeros(members, int)
        self.steps, self.finished = np.zeros(members, int), np.zeros(members, bool)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore a snapshot, also one without shares, in which all targets have one noise."""
        shape = self.params.shape
        own = {name: getattr(self, name).shape[-1] for name in ("alpha", "shares")}
        super().restore({"shares": self.shares} | dict(snapshot))
        if np.shape(self.params) != shape:
            raise ValueError(
                f"resume expects the parameters of the networks to have the shape of the earlier "
                f"training, {np.shape(self.params)}, got {shape}; continue with the same model"
            )
        for name, count in own.items():
            before = getattr(self, name).shape[-1]
            if before != count:
                raise ValueError(
                    f"resume expects as many elements of {name} for each network as in the earlier "
                    f"training, {before}, got {count}; give regularisation, groups and targets as "
                    "they were"
                )

    def estimate(self, member: int) -> Estimate:
        """Return the evidence estimate of a member."""
        return Estimate(
            self.alpha[member],
            float(self.beta[member]),
            self.gamma[member],
            float(self.log_evidence[member]),
        )

    def separates(self, member: int) -> bool:
        """Return whether each target has a noise of its own by now.

        All have one noise until the evidence has settled with it: a target that the network has
        not fitted yet would be taken for noise, and never be fitted.
        """
        return bool(self.waited[member] >= SETTLED or (self.shares[member] != 1).any())

    def learn(self, member: int, estimate: Estimate) -> None:
        """Store an estimate; a member whose evidence no longer changes has finished."""
        self.alpha[member], self.beta[member] = estimate.alpha, estimate.beta
        self.gamma[member], self.log_evidence[member] = estimate.gamma, estimate.log_evidence
        self.waited[member] += 1
        if not abs(estimate.log_evidence - self.settled[member]) <= ALIKE:
            self.settled[member], self.waited[member] = estimate.log_evidence, 0
        if self.waited[member] >= PATIENCE:
            self.finished[member] = True
