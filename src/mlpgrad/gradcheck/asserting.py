"""One assertion for everything that can be checked."""

from __future__ import annotations

from typing import Any

from mlpgrad.gradcheck.report import GradientReport


def check(*args: Any, **options: Any) -> GradientReport:
    """The check that fits the arguments: a model, a layer, a loss, or a function.

    Examples
    --------
    >>> import numpy as np
    >>> bool(check(lambda p: p @ p, lambda p: 2 * p, np.ones(3)))
    True
    """
    from mlpgrad.gradcheck.functions import check_gradient
    from mlpgrad.gradcheck.models import check_gradients
    from mlpgrad.gradcheck.parts import check_layer, check_loss
    from mlpgrad.layers.base import Layer
    from mlpgrad.losses.base import Loss
    from mlpgrad.network.network import Network

    checks = {Network: check_gradients, Layer: check_layer, Loss: check_loss}
    for kind, checker in checks.items():
        if args and isinstance(args[0], kind):
            return checker(*args, **options)  # type: ignore[operator, no-any-return]
    return check_gradient(*args, **options)


def assert_gradients(*args: Any, strict: bool = False, **options: Any) -> GradientReport:
    """Raise an AssertionError that holds the whole report unless the gradient is right.

    Parameters
    ----------
    *args, **options
        Those of `check_gradients(model, x, y)`, `check_layer(layer)`, `check_loss(loss)` or
        `check_gradient(f, grad, params)`; or one GradientReport.
    strict : bool
        Also fail where the check could not have noticed a mistake (NO_POWER).

    Returns
    -------
    GradientReport
        If it passed.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> report = mg.assert_gradients(lambda p: np.exp(p).sum(), np.exp, np.zeros(4))
    >>> report.verdict.value
    'PASS'
    """
    report = args[0] if args and isinstance(args[0], GradientReport) else check(*args, **options)
    if fails(report, strict=strict):
        raise AssertionError(f"gradient check\n{report}")
    return report


def fails(report: GradientReport, *, strict: bool) -> bool:
    """Whether a report is a reason to fail; `strict` counts NO_POWER as one."""
    weak = any(tensor.verdict == "NO_POWER" for tensor in report.tensors)
    return not report or (strict and (weak or bool(report.warnings)))
