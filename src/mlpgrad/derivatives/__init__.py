"""Derivatives beyond the gradient: of each sample, of each output, and of second order."""

from mlpgrad.derivatives.differentiable import Differentiable
from mlpgrad.derivatives.objective import Objective

__all__ = ["Differentiable", "Objective"]
