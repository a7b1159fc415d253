"""Trust-region Newton method with exact Hessian-vector products, with SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.training.second_order.minimizer import Minimizer
from mlpgrad.training.second_order.search import Search

REJECTED = 30  # consecutive steps, each of which makes the region four times smaller


class TrustNewton(Minimizer):
    """Trust-region Newton method with steps found by conjugate gradients, with SciPy.

    Steihaug 1983, "The conjugate gradient method and trust regions in large scale optimization";
    the implementation is `scipy.optimize.minimize(method="trust-ncg")`. The Hessian is never
    formed: each product with it is exact and costs three to five gradients. Directions of negative
    curvature are followed to the boundary of the region, so that saddle points do not stop the
    method. Near a minimum, convergence is quadratic.

    An epoch of `fit` is one iteration; if its step would raise the objective, the weights are not
    changed and the region is made smaller. The rest is as for `LBFGS`: each iteration uses all
    rows, in float64; members of an ensemble are minimized separately; a second `fit`, or one with
    `resume=`, starts again with the initial region, since SciPy does not give access to the
    current one.

    Parameters
    ----------
    curvature : "hessian" or "gauss_newton", default "hessian"
        The curvature matrix of the steps: see `Sequential.curvature`. The Gauss-Newton matrix has
        no negative eigenvalues if the loss is convex in the outputs.
    ftol : float, default 2.2e-9
        Training ends when a step lowers the objective L by less than `ftol * max(L, 1)`.
    gtol : float, default 1e-5
        Training ends when the norm of the gradient is below this.
    initial_radius : float, default 1.0
        Maximum length of the first step.
    max_radius : float, default 1000.0
        Maximum length of any step.

    Attributes
    ----------
    messages : list of str
        For each network, why its minimization has ended; "" if `epochs`, a callback or Ctrl-C has
        ended it.

    Raises
    ------
    ValueError
        In `fit`, as for `LBFGS`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), penalties=[mg.L2(1e-2)],
    ...                       dtype="float64", random_state=0)
    >>> method = mg.TrustNewton(gtol=1e-6, ftol=0)
    >>> history = model.fit(x, y, optimizer=method, epochs=100, verbose=0)
    >>> method.messages, history.epochs < 50
    (['the norm of the gradient is below gtol'], True)
    """

    def __init__(
        self,
        *,
        curvature: str = "hessian",
        ftol: float = 2.2e-9,
        gtol: float = 1e-5,
        initial_radius: float = 1.0,
        max_radius: float = 1000.0,
    ) -> None:
        super().__init__()
        kinds = ("hessian", "gauss_newton")
        self.curvature = arguments.choice(curvature, "TrustNewton: curvature", kinds)
        self.ftol = arguments.number(ftol, "TrustNewton: ftol", 0)
        self.gtol = arguments.number(gtol, "TrustNewton: gtol", 0)
        self.max_radius = arguments.number(max_radius, "TrustNewton: max_radius", 0, ends="()")
        self.initial_radius = arguments.number(
            initial_radius, "TrustNewton: initial_radius", 0, self.max_radius, ends="()"
        )

    def minimize(self, search: Search, callback: Callable[..., None]) -> Any:
        from scipy.optimize import minimize

        objective, last = search.objective, _Last(self.ftol, search)
        product = (
            objective.product if self.curvature == "hessian" else objective.gauss_newton_product
        )

        def multiply(params: Array, vector: Array) -> Array:
            search.check_going()
            with np.errstate(all="ignore"):
                return product(params, vector)

        def after(intermediate_result: Any) -> None:
            callback(intermediate_result)
            last.look(intermediate_result)

        result = minimize(
            search.evaluate,
            search.params,
            jac=True,
            hessp=multiply,
            method="trust-ncg",
            callback=after,
            options={
                "gtol": self.gtol,
                "initial_trust_radius": self.initial_radius,
                "max_trust_radius": self.max_radius,
                "maxiter": 1 << 30,
            },
        )
        result.reason = last.reason
        return result

    def why(self, result: Any) -> tuple[str, bool]:
        if result.reason:
            return result.reason, result.reason == STUCK
        if result.status == 0:
            return "the norm of the gradient is below gtol", False
        return STUCK, True


STUCK = "no step, however short, lowered the objective"


class _Last:
    """Check that iterations still lower the objective; SciPy only checks the gradient."""

    def __init__(self, ftol: float, search: Search) -> None:
        self.ftol, self.value, self.rejected, self.reason = ftol, search.value, 0, ""

    def look(self, result: Any) -> None:
        """Raise StopIteration if they do not."""
        fall = self.value - result.fun
        self.rejected = 0 if fall else self.rejected + 1
        if self.rejected >= REJECTED:
            self.reason = STUCK
            raise StopIteration
        if 0 < fall <= self.ftol * max(abs(self.value), abs(result.fun), 1):
            self.reason = "a step has lowered the objective by less than ftol"
            raise StopIteration
        self.value = result.fun
