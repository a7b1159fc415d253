"""Metrics: measures of the quality of predictions."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.metrics.base import Metric
from mlpgrad.metrics.calibration import CalibrationError
from mlpgrad.metrics.classification import Accuracy, LogLoss, TopK
from mlpgrad.metrics.confusion import F1, Precision, Recall
from mlpgrad.metrics.ranking import AUC
from mlpgrad.metrics.regression import (
    R2,
    MeanAbsolute,
    MeanAbsolutePercentageError,
    RootMeanSquared,
)

__all__ = [
    "AUC",
    "F1",
    "R2",
    "Accuracy",
    "CalibrationError",
    "LogLoss",
    "MeanAbsolute",
    "MeanAbsolutePercentageError",
    "Metric",
    "Precision",
    "Recall",
    "RootMeanSquared",
    "TopK",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
