"""Small data sets, generated or bundled, and functions that read, split and scale data."""

from typing import Any

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


def __getattr__(name: str) -> Any:
    """Raise AttributeError; for a name from another library, it says what to write here."""
    from mlpgrad._core.advice import advice
    from mlpgrad._core.described import nearest
    from mlpgrad._core.habits import DATASETS

    instead = advice(name, DATASETS, __all__, "mg.datasets.") or nearest(name, __all__)
    raise AttributeError(f"mlpgrad.datasets has no {name!r}{instead}")
