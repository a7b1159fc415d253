"""Levenberg-Marquardt, with weight decay and noise estimated from the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, counting
from mlpgrad._core.stateful import check_snapshot
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.second_order.checks import check_served, warn_of_end
from mlpgrad.training.second_order.evidence import Groups, first_estimate, groups_of
from mlpgrad.training.second_order.part import Damping, Part, noises_of
from mlpgrad.training.second_order.posterior import uncertainty_of
from mlpgrad.training.second_order.state import State
from mlpgrad.training.second_order.teams import Teams
from mlpgrad.training.session import Method, Session


class LevenbergMarquardt(Method):
    """(beta J^T J + diag(alpha) + mu I) step = -(beta J^T r + alpha w)

    Levenberg-Marquardt solves small problems in a few dozen iterations instead of thousands of
    steps. J is the Jacobian of all residuals r with respect to the P parameters w. The damping mu
    interpolates between a Gauss-Newton step and a short gradient-descent step: it is reduced after
    a step that lowers the objective; otherwise the step is tried again with a larger mu. Levenberg
    1944, "A method for the solution of certain non-linear problems in least squares"; Marquardt
    1963, "An algorithm for least-squares estimation of nonlinear parameters"; Hagan and Menhaj
    1994, "Training feedforward networks with the Marquardt algorithm".

    With `regularisation="bayes"`, the weight decay (alpha) and the variance of the noise (1 /
    beta) are estimated from the training data at every iteration, and no validation data are
    needed. MacKay 1992, "A practical Bayesian framework for backpropagation networks"; Foresee and
    Hagan 1997, "Gauss-Newton approximation to Bayesian learning" (MATLAB's `trainbr`).

    With several targets each has a noise of its own, also while training: the rows of J and r that
    belong to target k are divided by the square root of its share of the mean variance, 1 / beta.
    The shares are estimated like beta, from the rows of target k, so that a target with little
    noise is fitted more closely than one with much. They are 1 until the log evidence has settled
    for the first time, since a target that is not fitted yet would be taken for noise; from then on
    an iteration takes about four times as long.

    The formula above is for squared errors. Cross-entropies on logits and the Poisson loss use the
    generalized Gauss-Newton matrix J^T H J, where H is the second derivative of the loss with
    respect to the outputs, and beta = 1. An iteration uses all N rows and counts as an epoch of
    `fit`. Its time grows as N P^2 and its memory as P^2, independently of N; `fit(batch_size=...)`
    bounds the number of rows computed at once. The method is suited to networks of up to a few
    thousand parameters. A float32 network is trained in float64. Each member of an ensemble has
    its own mu, alpha and beta, and stops when it has converged; training ends when the last member
    has.

    Parameters
    ----------
    regularisation : "bayes" or None, default "bayes"
        None minimizes the loss, including any `L2` penalties of the model; "bayes" does not allow
        penalties.
    groups : "all", "layers" or "inputs", default "all"
        The parameters that share a weight decay. "all": the weights of all layers; the biases of
        each layer have their own. "layers": the weights of each layer, and its biases. "inputs":
        as "layers", but each input of the first Dense layer has one for its weights (automatic
        relevance determination: the weights of an input that says nothing decay).
    mu : float, default 1.0
        Initial damping, above 0, in units of J^T J, a sum over the rows.
    decrease : float, default 0.3
        The factor of mu after an accepted step, between 0 and 1.
    increase : float, default 3.0
        The factor of mu after a step that does not lower the objective; above 1.
    max_mu : float, default 1e10
        Training of a network ends when mu would exceed this value: no step lowers its objective.

    Attributes
    ----------
    state : State or None
        The state of the last training, with one row per network: `alpha` (E, G), `beta` (E,) and
        `gamma` (E, G) for the G groups of `group_names`, `mu`, `log_evidence` (E,), `steps` (E,).
        The noise of T targets has the variances `shares / beta`, with `shares` (E, T).
    group_names : list of str
        The groups of the last training.

    Raises
    ------
    ValueError
        From `fit`, if a layer is random (Dropout) or mixes samples (BatchNorm), if the matrices
        need more memory than is available, or if there are penalties in addition to "bayes".
    TypeError
        From `fit`, for a loss or penalty without second derivatives, such as L1.
    DivergenceError
        If the loss at the initial weights is not finite.

    Warns
    -----
    TrainingWarning
        If there are fewer targets than parameters and no regularization; if no step was accepted
        at all; or if all weights have decayed to 0, because the evidence explains the targets as
        noise alone.

    Notes
    -----
    MATLAB's `trainlm` is `regularisation=None, mu=1e-3, decrease=0.1, increase=10`.

    Sample weights are divided by their mean over the rows of nonzero weight, so that a common
    factor has no effect: the evidence counts these rows, and a row of weight 2 is not the same as
    two rows.

    The history has `mu`, and with "bayes" `effective_parameters` (gamma, the number of parameters
    determined by the data), `noise` (its standard deviation, for squared errors; for several
    targets the root of their mean variance; in scaled units, as the loss) and `log_evidence`, by
    which networks trained on the same data can be compared, also with and without target scaling:
    it is the logarithm of a density in the units of the targets. The loss is the model's own.

    After a training with "bayes", `model.uncertainty` is the normal approximation of the posterior
    of the weights (`mlpgrad.uncertainty.Laplace`). `predict(x, std=True)`, intervals and
    `log_likelihood` use it, and it is saved with the model. If the residuals of a target
    have heavier tails than a normal distribution, its noise has Student's distribution with the
    same variance.

    Training ends before `epochs` when mu exceeds `max_mu`, or when the log evidence stays within
    0.5 for 10 iterations.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.linspace(-3, 3, 60)[:, None]
    >>> y = np.sin(x) + 0.1 * np.random.default_rng(0).normal(size=x.shape)
    >>> model = mg.Sequential([mg.Dense(1, 10), mg.Tanh(), mg.Dense(10, 1)],
    ...                       loss=mg.MeanSquaredError(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.LevenbergMarquardt(), epochs=200, verbose=0)
    >>> 0.08 < history["noise"][-1] < 0.12
    True
    >>> 2 < history["effective_parameters"][-1] < 4  # of 31
    True
    """

    def __init__(
        self,
        *,
        regularisation: str | None = "bayes",
        groups: str = "all",
        mu: float = 1.0,
        decrease: float = 0.3,
        increase: float = 3.0,
        max_mu: float = 1e10,
    ) -> None:
        self.regularisation, self.groups = regularisation, groups
        self.mu, self.decrease, self.increase, self.max_mu = mu, decrease, increase, max_mu
        _one_of(regularisation, ("bayes", None), "regularisation")
        _one_of(groups, ("all", "layers", "inputs"), "groups")
        for name, low, high in (("mu", 0, np.inf), ("decrease", 0, 1), ("increase", 1, np.inf)):
            checks.within(self, name, low, high, open_below=True)
        checks.within(self, "max_mu", 0, open_below=True)
        self.state: State | None = None
        self.group_names: list[str] = []
        self._resume: Mapping[str, Any] | None = None
        self._noisy = self._together = False
        self._part: Callable[[Array], Part] | None = None

    def train(self, session: Session) -> None:
        bayes = self.regularisation is not None
        x, target, weights = session.training_data()
        data, rows = counting(weights, x, target), session.batches.batch_size
        check_served(session, data, bayes)
        network = session.network.lifted(np.float64)
        groups = groups_of(network, self.groups) if bayes else None
        noises = noises_of(network, data[1]) if bayes else 1
        state = self._begin(network.params, groups, noises)
        self.group_names = groups.names if groups else []
        self._noisy = bayes and network.loss.leaves_noise_open
        self._together = network.ensemble_size is not None

        def part(members: Array) -> Part:
            return Part(network, members, data, batch_size=rows, groups=groups)

        self._part = part
        teams = Teams(part, session.fitting.join)
        try:
            going = True
            while going and not state.finished.all():
                session.begin_epoch()
                going = self._iterate(session, state, teams)
        except BaseException:
            self._part = None  # it would keep the data alive
            raise
        finally:
            teams.close()
        warn_of_end(state, bayes)

    def conclude(self, session: Session) -> None:
        """Keep the posterior of the weights as the model's `uncertainty`."""
        make, self._part = self._part, None
        if make is not None and self.state is not None and self.regularisation is not None:
            session.network.uncertainty = uncertainty_of(session.network, self.state, make)

    def _begin(self, params: Array, groups: Groups | None, noises: int) -> State:
        """Set up the state of a new training, or of one that continues."""
        first = None if groups is None else first_estimate(groups)
        self.state = state = State(np.array(params, np.float64, ndmin=2), self.mu, first, noises)
        if self._resume:
            state.restore(self._resume)
        self._resume = None
        return state

    def _iterate(self, session: Session, state: State, teams: Teams) -> bool:
        """Run an epoch; return whether training continues."""
        network, record = session.network, session.record
        self._follow(network.params, state)
        damping = Damping(self.decrease, self.increase, self.max_mu)
        teams.choose(np.flatnonzero(~state.finished), state.params.shape[-1])
        teams.run(lambda part: part.iterate(state, damping, lambda: record.interrupted))
        if not np.isfinite(state.loss).all():
            error = DivergenceError(
                "the loss is not finite at the initial weights of this training; scale inputs "
                "and targets, or make a new model"
            )
            error.history, error.epoch, error.batch = session.record, session.epoch, 0
            raise error
        network.params = state.params.reshape(network.params.shape)
        return session.end_epoch(self._as_logged(state.loss), 1)

    def _follow(self, params: Array, state: State) -> None:
        """Use the weights of the network where a callback has changed them."""
        given = np.reshape(params, state.params.shape)
        changed = (state.params.astype(params.dtype) != given).any(axis=-1)
        state.params[changed] = given[changed]

    def logs(self) -> dict[str, Any]:
        state = self.state
        if state is None:
            return {}
        logs = {"mu": state.mu}
        if self.regularisation is not None:
            logs["effective_parameters"] = state.gamma.sum(axis=-1)
            if self._noisy:
                logs["noise"] = 1 / np.sqrt(state.beta)
            logs["log_evidence"] = state.log_evidence
        return {name: self._as_logged(values) for name, values in logs.items()}

    def _as_logged(self, values: Array) -> Any:
        """Return a number for one network, a copy for an ensemble."""
        return values.copy() if self._together else float(values[0])

    def snapshot(self) -> dict[str, Any]:
        """Return the state of the training, if there was one."""
        return {} if self.state is None else self.state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        check_snapshot(self, snapshot, State.kept if snapshot else (), optional=("shares",))
        self._resume = snapshot


def _one_of(value: Any, known: tuple[Any, ...], name: str) -> None:
    """Raise ValueError if an option is not one of the known values."""
    if not any(value is each or (isinstance(value, str) and value == each) for each in known):
        raise ValueError(
            f"LevenbergMarquardt: {name} expects one of {known}, got {shown(value)}; "
            f"write {name}={known[0]!r}"
        )
