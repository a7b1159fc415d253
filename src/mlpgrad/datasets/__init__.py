"""Small data sets, generated or bundled, and functions that read, split and scale data."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.datasets.digits import digits
from mlpgrad.datasets.files import load_csv, load_idx
from mlpgrad.datasets.generated import circles, moons, regression, spirals, xor
from mlpgrad.datasets.splitting import split, split_indices, standardize
from mlpgrad.datasets.table import Table

__all__ = [
    "Table",
    "circles",
    "digits",
    "load_csv",
    "load_idx",
    "moons",
    "regression",
    "spirals",
    "split",
    "split_indices",
    "standardize",
    "xor",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
