"""Losses: the functions that training minimizes, and the first delta of back-propagation."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.losses.base import Loss
from mlpgrad.losses.binary import BinaryCrossEntropy, Hinge, SigmoidCrossEntropy
from mlpgrad.losses.categorical import CrossEntropy, SoftmaxCrossEntropy
from mlpgrad.losses.focal import SigmoidFocal, SoftmaxFocal
from mlpgrad.losses.likelihood import GaussianNLL, Poisson
from mlpgrad.losses.regression import (
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Quantile,
)

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "GaussianNLL",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
    "SigmoidCrossEntropy",
    "SigmoidFocal",
    "SoftmaxCrossEntropy",
    "SoftmaxFocal",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
