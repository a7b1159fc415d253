"""Derivatives beyond the gradient: per sample, per output, and of second order."""

from mlpgrad.derivatives.differentiable import Differentiable
from mlpgrad.derivatives.objective import Objective

__all__ = ["Differentiable", "Objective"]
