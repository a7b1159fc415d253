"""Checks of this library's models, layers and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpgrad.gradcheck.engine import Plan
from mlpgrad.gradcheck.model_checker import ModelChecker
from mlpgrad.gradcheck.model_problem import ModelProblem
from mlpgrad.gradcheck.report import GradientReport

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


def check_gradients(
    model: Network,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    seed: int = 0,
    method: str = "auto",
    directions: int = 3,
    explain: bool = True,
) -> GradientReport:
    """Compare `model.backpropagate(x, y)` with numeric slopes, for every parameter array.

    The model is left as it is: all is computed on copies, in float64.

    Parameters
    ----------
    model : Sequential
        May hold layers, activations, losses and penalties of your own.
    x, y, sample_weight
        A batch as for `model.backpropagate`; 8 to 64 rows are enough.
    seed : int
        Of the random directions: the same seed gives the same report.
    method : {"auto", "central", "coordinates", "complex"}
        "auto" and "central": central differences along random directions. "coordinates": every
        element by itself. "complex": complex steps, exact to rounding, where all layers compute
        with complex numbers.
    directions : int
        Directions in each array; more find rarer mistakes.
    explain : bool
        Whether to locate and explain a mistake.

    Returns
    -------
    GradientReport
        Truthy if the gradient is right. Print it.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> report = mg.check_gradients(model, x, y)
    >>> report.verdict.value, len(report.tensors)
    ('PASS', 4)
    """
    from mlpgrad.network.network import Network

    if not isinstance(model, Network):
        raise TypeError(
            f"model expects a Sequential, got {type(model).__name__}; for functions there is "
            f"check_gradient(f, grad, params)"
        )
    problem = ModelProblem(model, x, y, sample_weight)
    rows = problem.batch[0].shape[-2]
    size = f"{len(model.layers)} layers, {problem.point.size:,} parameters, {rows} rows"
    subject = f"{size}, {model.loss!r}"
    plan = Plan(directions, method, explain=explain)
    report = ModelChecker(problem, plan, seed, subject).run()
    weights = "" if sample_weight is None else ", sample_weight=sample_weight"
    report.reproduce = plan.call("check_gradients", f"model, x, y{weights}", seed)
    return report
