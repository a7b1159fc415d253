"""Optimizers: published update rules on flat vectors, in place; and learning-rate schedules."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.optimizers.adam import Adam, Adamax, AdamW, AMSGrad, RAdam
from mlpgrad.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.nadam import NAdam
from mlpgrad.optimizers.schedule import Schedule
from mlpgrad.optimizers.schedules import (
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    StepDecay,
    WarmUp,
)
from mlpgrad.optimizers.sgd import SGD
from mlpgrad.optimizers.sign import Lion, Rprop

__all__ = [
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ConstantSchedule",
    "CosineDecay",
    "ExponentialDecay",
    "Lion",
    "NAdam",
    "OneCycle",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
    "StepDecay",
    "WarmUp",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
