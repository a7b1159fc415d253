"""The method of Levenberg and Marquardt, with weight decay and noise from the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.second_order.evidence import Groups, first_estimate, groups_of
from mlpgrad.training.second_order.found import uncertainty_of
from mlpgrad.training.second_order.part import Damping, Part
from mlpgrad.training.second_order.serving import check_served, warn_of_end
from mlpgrad.training.second_order.state import State
from mlpgrad.training.second_order.teams import Teams
from mlpgrad.training.session import Method, Session


class LevenbergMarquardt(Method):
    """(beta J^T J + diag(alpha) + mu I) step = -(beta J^T r + alpha w)

    Solves small problems outright: a few dozen iterations in place of thousands of steps. J are
    the derivatives of all residuals r to the P parameters w. mu blends Newton's step (without the
    curvature of the network itself) with a short one downhill: it becomes smaller after a step
    that lowers the objective; a step that does not is tried again with a larger one. Levenberg
    1944, "A method for the solution of certain non-linear problems in least squares"; Marquardt
    1963, "An algorithm for least-squares estimation of nonlinear parameters"; Hagan and Menhaj
    1994, "Training feedforward networks with the Marquardt algorithm".

    With `regularisation="bayes"` the training data alone say how strongly the weights are to decay
    (alpha) and how large the noise is (1 / beta): both are estimated anew at every iteration, and
    no validation data are needed. MacKay 1992, "A practical Bayesian framework for backpropagation
    networks"; Foresee and Hagan 1997, "Gauss-Newton approximation to Bayesian learning" (MATLAB's
    `trainbr`).

    Squared errors are served exactly; cross-entropies on logits and Poisson by the generalised
    Gauss-Newton matrix J^T H J, where H are the second derivatives of the loss to the outputs, and
    beta is 1. An iteration sees all rows and counts as an epoch of `fit`; it takes time as N P^2
    and memory as P^2, whatever the number N of rows: `fit(batch_size=...)` bounds the rows at once.
    It suits up to some thousand parameters. A network of float32 is lifted to float64 while it
    trains. Members of an ensemble have each their own mu, alpha and beta, and leave when they have
    finished; training ends with the last.

    Parameters
    ----------
    regularisation : "bayes" or None, default "bayes"
        None minimises the loss, with `L2` penalties if the model has some; "bayes" takes none.
    groups : "all", "layers" or "inputs", default "all"
        Which parameters share a weight decay. "all": the weights of all layers, while the biases
        of each layer have one of their own. "layers": the weights of each layer, and its biases.
        "inputs": as "layers", but each input of the network has one for its weights (automatic
        relevance determination: the weights of an input that says nothing decay).
    mu : float, default 1.0
        The damping to begin with, in units of J^T J, summed over the rows; above 0.
    decrease : float, default 0.3
        What mu is multiplied by after a step that is accepted; above 0, below 1.
    increase : float, default 3.0
        The factor of mu after a step that does not reduce the objective; above 1.
    max_mu : float, default 1e10
        A network whose mu would become larger has finished: no step lowers its objective.

    Attributes
    ----------
    state : State or None
        The state of the last training, with one row a network: `alpha` (E, G), `beta` (E,) and
        `gamma` (E, G) for the G groups of `group_names`, `mu`, `log_evidence` (E,), `steps` (E,).
    group_names : list of str
        The groups of the last training.

    Raises
    ------
    ValueError
        From `fit`, if a layer is random (Dropout) or mixes samples (BatchNorm), if the matrices
        need more memory than there is, or if there are penalties beside "bayes".
    TypeError
        From `fit`, for a loss or penalty without second derivatives, such as L1.
    DivergenceError
        If the first weights give a loss that is not finite.

    Warns
    -----
    TrainingWarning
        If fewer targets than parameters are fitted without anything that restrains the weights; if
        no step was found at all; or if the weights have decayed to 0, since to the evidence all is
        noise.

    Notes
    -----
    MATLAB's `trainlm` is `regularisation=None, mu=1e-3, decrease=0.1, increase=10`.

    Weights of samples are divided by their mean over the rows whose weight is not 0, so that their
    size does not matter; the evidence counts these rows.

    The history has `mu`, and with "bayes" `effective_parameters` (gamma, the number of parameters
    that the data determine), `noise` (its standard deviation, where the loss is a squared error)
    and `log_evidence`, by which networks that were trained on the same data can be compared.

    With "bayes", `model.uncertainty` is afterwards the normal law of the weights that the evidence
    gives (`mlpgrad.uncertainty.Laplace`): `predict(x, std=True)`, intervals and `log_likelihood`
    use it, and files keep it. Where the residuals have heavier tails than a normal law, so has the
    noise there: Student's law, of the same variance.

    Training ends before `epochs` when mu is larger than `max_mu`, or when the log evidence stays
    within 0.5 for 10 iterations.

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
        self._noisy = False
        self._part: Callable[[Array], Part] | None = None

    def train(self, session: Session) -> None:
        bayes = self.regularisation is not None
        data, rows = session.training_data(), session.batches.batch_size
        check_served(session, data, bayes)
        network = session.network.lifted(np.float64)
        groups = groups_of(network, self.groups) if bayes else None
        state = self._begin(network.params, groups)
        self.group_names = groups.names if groups else []
        self._noisy = bayes and network.loss.leaves_noise_open

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
            self._part = None  # it keeps the data
            raise
        finally:
            teams.close()
        warn_of_end(state, bayes)

    def conclude(self, session: Session) -> None:
        """Keep the law of the weights as `uncertainty` of the model."""
        make, self._part = self._part, None
        if make is not None and self.state is not None and self.regularisation is not None:
            session.network.uncertainty = uncertainty_of(session.network, self.state, make)

    def _begin(self, params: Array, groups: Groups | None) -> State:
        """The state of a new training, or of one that goes on."""
        first = None if groups is None else first_estimate(groups)
        self.state = state = State(np.array(params, np.float64, ndmin=2), self.mu, first)
        if self._resume:
            state.restore(self._resume)
        self._resume = None
        return state

    def _iterate(self, session: Session, state: State, teams: Teams) -> bool:
        """An epoch; whether another one is to follow."""
        network, record = session.network, session.record
        self._follow(network.params, state)
        damping = Damping(self.decrease, self.increase, self.max_mu)
        teams.choose(np.flatnonzero(~state.finished), state.params.shape[-1])
        teams.run(lambda part: part.iterate(state, damping, lambda: record.interrupted))
        if not np.isfinite(state.loss).all():
            error = DivergenceError(
                "the loss is not finite with the weights that this training began with; scale "
                "inputs and targets, or make a new model"
            )
            error.history, error.epoch, error.batch = session.record, session.epoch, 0
            raise error
        network.params = state.params.reshape(network.params.shape)
        return session.end_epoch(_as_logged(state.loss), 1)

    def _follow(self, params: Array, state: State) -> None:
        """Take over weights that a callback has changed, in the dtype of the network."""
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
        return {name: _as_logged(values) for name, values in logs.items()}

    def snapshot(self) -> dict[str, Any]:
        """The state of the training, if there was one."""
        return {} if self.state is None else self.state.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        self._resume = snapshot


def _as_logged(values: Array) -> Any:
    """A number for one network, a copy for several."""
    return values.copy() if len(values) > 1 else float(values[0])


def _one_of(value: Any, known: tuple[Any, ...], name: str) -> None:
    """Raise ValueError if an option is not among those known."""
    if not any(value is each or (isinstance(value, str) and value == each) for each in known):
        raise ValueError(
            f"LevenbergMarquardt: {name} expects one of {known}, got {shown(value)}; "
            f"write {name}={known[0]!r}"
        )
