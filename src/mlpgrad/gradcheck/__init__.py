"""Reliable gradient checks: wrong gradients do not pass, and correct ones do not fail."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.gradcheck.asserting import assert_gradients
from mlpgrad.gradcheck.functions.gradients import check_gradient
from mlpgrad.gradcheck.functions.products import check_hvp, check_vjp
from mlpgrad.gradcheck.models.checks import check_gradients, check_layer, check_loss
from mlpgrad.gradcheck.report import GradientReport, TensorReport
from mlpgrad.gradcheck.verdicts import Verdict

__all__ = [
    "GradientReport",
    "TensorReport",
    "Verdict",
    "assert_gradients",
    "check_gradient",
    "check_gradients",
    "check_hvp",
    "check_layer",
    "check_loss",
    "check_vjp",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
