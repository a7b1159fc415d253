"""Predictive uncertainty: predictive distributions, MC dropout, noise, Laplace approximations."""

from mlpgrad.uncertainty.laplace import Laplace
from mlpgrad.uncertainty.noise import Noise
from mlpgrad.uncertainty.results import Estimate, Interval

__all__ = ["Estimate", "Interval", "Laplace", "Noise"]
