"""Methods of second order: they see all rows at every iteration, and an iteration is an epoch."""

from mlpgrad.training.second_order.lbfgs import LBFGS
from mlpgrad.training.second_order.levenberg_marquardt import LevenbergMarquardt
from mlpgrad.training.second_order.trust_newton import TrustNewton

__all__ = ["LBFGS", "LevenbergMarquardt", "TrustNewton"]
