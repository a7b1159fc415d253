"""Second-order methods: an iteration uses all rows and counts as an epoch."""

from mlpgrad.training.second_order.lbfgs import LBFGS
from mlpgrad.training.second_order.levenberg_marquardt import LevenbergMarquardt
from mlpgrad.training.second_order.trust_newton import TrustNewton

__all__ = ["LBFGS", "LevenbergMarquardt", "TrustNewton"]
