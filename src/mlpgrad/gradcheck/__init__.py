"""Gradient checks that people can trust: no wrong gradient passes, no right one fails."""

from mlpgrad.gradcheck.functions import check_gradient
from mlpgrad.gradcheck.models import check_gradients
from mlpgrad.gradcheck.report import GradientReport, TensorReport
from mlpgrad.gradcheck.verdicts import Verdict

__all__ = ["GradientReport", "TensorReport", "Verdict", "check_gradient", "check_gradients"]
