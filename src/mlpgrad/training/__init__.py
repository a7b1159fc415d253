"""Training: the session, the loop over minibatches, and the callbacks around them."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad._core.training_warning import TrainingWarning
from mlpgrad.training.averaging import ExponentialMovingAverage
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.divergence import DivergenceError
from mlpgrad.training.progress import ProgressBar
from mlpgrad.training.saving import ModelCheckpoint
from mlpgrad.training.second_order import *
from mlpgrad.training.second_order import __all__ as _second_order
from mlpgrad.training.session import Method
from mlpgrad.training.stopping import EarlyStopping, ReduceOnPlateau

__all__ = [
    *_second_order,
    "Callback",
    "DivergenceError",
    "EarlyStopping",
    "ExponentialMovingAverage",
    "Method",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceOnPlateau",
    "TrainingWarning",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
