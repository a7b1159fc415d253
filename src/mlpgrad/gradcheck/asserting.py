"""One assertion for all checks."""

from __future__ import annotations

from typing import Any

from mlpgrad._core.described import suggesting
from mlpgrad.gradcheck.functions.gradients import check_gradient
from mlpgrad.gradcheck.models.checks import check_gradients, check_layer, check_loss
from mlpgrad.gradcheck.report import GradientReport
from mlpgrad.layers.base import Layer
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network

CHECKS: dict[type, Any] = {Network: check_gradients, Layer: check_layer, Loss: check_loss}


class GradientCheckError(AssertionError):
    """Raised if a gradient check does not pass; `report` says why."""

    def __init__(self, report: GradientReport) -> None:
        super().__init__(f"gradient check\n{report}")
        self.report = report


def check(*args: Any, **options: Any) -> GradientReport:
    """Run the check that fits the arguments: a model, a layer, a loss, or a function.

    Examples
    --------
    >>> import numpy as np
    >>> bool(check(lambda p: p @ p, lambda p: 2 * p, np.ones(3)))
    True
    """
    given = args[0] if args else None
    family = given if isinstance(given, type) else type(given)  # a class is refused by its check
    fitting = (checker for kind, checker in CHECKS.items() if issubclass(family, kind))
    report: GradientReport = next(fitting, check_gradient)(*args, **options)
    return report


@suggesting
def assert_gradients(*args: Any, strict: bool = False, **options: Any) -> GradientReport:
    """Raise an AssertionError with the whole report unless the gradient is correct.

    Parameters
    ----------
    *args, **options
        The arguments of `check_gradients(model, x, y)`, `check_layer(layer)`, `check_loss(loss)` or
        `check_gradient(f, grad, params)`; or a single GradientReport.
    strict : bool
        Also fail if the check could not have detected a mistake (NO_POWER).

    Returns
    -------
    GradientReport
        The report, if the check passed. If it failed, the error holds the report as `error.report`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> report = mg.assert_gradients(lambda p: np.exp(p).sum(), np.exp, np.zeros(4))
    >>> report.verdict.value
    'PASS'
    """
    report = args[0] if args and isinstance(args[0], GradientReport) else check(*args, **options)
    weak = any(tensor.verdict == "NO_POWER" for tensor in report.tensors) or report.warnings
    if not report or (strict and weak):
        raise GradientCheckError(report)
    return report
