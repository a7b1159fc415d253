"""Layers, of which a network is a stack."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.layers import activations
from mlpgrad.layers.activations import *
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk as walk
from mlpgrad.layers.dense import Dense
from mlpgrad.layers.dropout import Dropout
from mlpgrad.layers.embedding import Embedding
from mlpgrad.layers.normalization import BatchNorm, LayerNorm
from mlpgrad.layers.residual import Residual
from mlpgrad.layers.softmax import Softmax
from mlpgrad.layers.standardize import Standardize

__all__ = [
    *activations.__all__,
    "BatchNorm",
    "Dense",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerNorm",
    "Residual",
    "Softmax",
    "Standardize",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
