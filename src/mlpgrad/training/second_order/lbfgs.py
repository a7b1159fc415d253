"""L-BFGS: curvature from the last few gradients, with SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpgrad._core import arguments
from mlpgrad.training.second_order.minimizer import Minimizer
from mlpgrad.training.second_order.search import Search

UNBOUNDED = 1 << 30


MOST_PAIRS = 10_000  # pairs of a step and a gradient difference
MOST_SEARCHES = 1 << 20  # a line search ends far earlier


class LBFGS(Minimizer):
    """Limited-memory BFGS (Broyden, Fletcher, Goldfarb and Shanno), with SciPy.

    Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization"; the
    implementation is `scipy.optimize.minimize(method="L-BFGS-B")`. For a smooth objective and up
    to about ten thousand samples it needs fewer passes over the data than minibatch optimizers,
    and it has no learning rate.

    An epoch of `fit` is one iteration, which uses all rows, usually once. `batch_size` only bounds
    the number of rows computed at once (8,192 by default). Training ends after `epochs`
    iterations, or earlier if a tolerance is met; `messages` says why. If a line search fails, the
    method restarts from the best weights with an empty memory; if that fails as well, it gives a
    `TrainingWarning`. Each member of an ensemble is minimized separately: a member that has ended
    keeps its weights while the others continue.

    The objective is computed in float64; a float32 model gets the rounded weights after each
    iteration. SciPy does not give access to its memory: a second `fit`, or one with `resume=`,
    continues from the weights with an empty memory, so its steps differ from those of an
    uninterrupted training. The same holds if a callback changes the weights or an option of the
    model.

    Parameters
    ----------
    memory : int, default 10
        Number of pairs of steps and gradient differences to keep; each takes two vectors.
    ftol : float, default 2.2e-9
        Training ends when an iteration lowers the objective L by less than `ftol * max(L, 1)`.
    gtol : float, default 1e-5
        Training ends when no element of the gradient is larger than this in absolute value.
    max_fun : int, optional
        Maximum number of evaluations of the objective; training ends after the iteration that
        reaches it. No limit by default.
    max_line_search : int, default 20
        Evaluations of a line search, at most; up to 1,048,576.

    Attributes
    ----------
    messages : list of str
        For each network, why its minimization has ended; "" if `epochs`, a callback or Ctrl-C has
        ended it.

    Raises
    ------
    ValueError
        In `fit`, if the objective is not a smooth function of the parameters alone, which excludes
        an L1 penalty, Dropout and BatchNorm; or if a communicator is given.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), penalties=[mg.L2(1e-3)],
    ...                       random_state=0)
    >>> method = mg.LBFGS()
    >>> history = model.fit(x, y, optimizer=method, epochs=500, verbose=0)
    >>> history.epochs < 500, model.evaluate(x, y)["accuracy"]
    (True, 1.0)
    >>> method.messages
    ['no element of the gradient is larger than gtol']
    """

    def __init__(
        self,
        *,
        memory: int = 10,
        ftol: float = 2.2e-9,
        gtol: float = 1e-5,
        max_fun: int | None = None,
        max_line_search: int = 20,
    ) -> None:
        super().__init__()
        self.memory = arguments.count(memory, "LBFGS: memory", 1, MOST_PAIRS)
        self.ftol = arguments.number(ftol, "LBFGS: ftol", 0)
        self.gtol = arguments.number(gtol, "LBFGS: gtol", 0)
        self.max_fun = None if max_fun is None else arguments.count(max_fun, "LBFGS: max_fun")
        self.max_line_search = arguments.count(
            max_line_search, "LBFGS: max_line_search", 1, MOST_SEARCHES
        )

    def minimize(self, search: Search, callback: Callable[..., None]) -> Any:
        from scipy.optimize import minimize

        while True:
            before = search.evaluations
            result = minimize(
                search.evaluate,
                search.params,
                jac=True,
                method="L-BFGS-B",
                callback=callback,
                options={
                    "maxcor": self.memory,
                    "ftol": self.ftol,
                    "gtol": self.gtol,
                    "maxls": self.max_line_search,
                    "maxiter": UNBOUNDED,
                    "maxfun": UNBOUNDED if self.max_fun is None else self.max_fun - before,
                },
            )
            spent = self.max_fun is not None and search.evaluations >= self.max_fun
            if result.status != 2 or not result.nit or spent:
                return result

    def why(self, result: Any) -> tuple[str, bool]:
        if result.status == 1:
            return "the objective has been evaluated max_fun times", False
        if result.status:
            return "the line search has found no lower objective", True
        if "GRADIENT" in result.message.upper():
            return "no element of the gradient is larger than gtol", False
        return "an iteration has lowered the objective by less than ftol", False
