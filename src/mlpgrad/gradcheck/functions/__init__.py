"""Checks of functions from anywhere, as black boxes of arrays."""

from mlpgrad.gradcheck.functions.gradients import check_gradient
from mlpgrad.gradcheck.functions.products import check_hvp, check_vjp

__all__ = ["check_gradient", "check_hvp", "check_vjp"]
