"""How sure a model is: laws of its answers, MC-dropout, noise, and Laplace approximations."""

from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.noise import Noise
from mlpgrad.uncertainty.results import Estimate, Interval

__all__ = ["Estimate", "Interval", "Laplace", "Noise"]
