"""Activations: element-wise layers of two methods, `apply(z, out)` and `slope(z, a, out)`."""

from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.activations.elementwise import Elementwise
from mlpgrad.layers.activations.rectifiers import ELU, SELU, LeakyReLU, ReLU
from mlpgrad.layers.activations.sigmoids import Identity, Sigmoid, Softsign, Tanh
from mlpgrad.layers.activations.smooth import GELU, Mish, SiLU, Softplus

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Elementwise",
    "Identity",
    "LeakyReLU",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
]
