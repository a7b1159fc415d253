"""Encoding of tables as numbers: `TableEncoder`, and the encodings of single columns."""

from typing import TYPE_CHECKING

from mlpgrad._core.advice import members
from mlpgrad.tables.alternatives import Alternatives as Alternatives  # files of models name it
from mlpgrad.tables.base import ColumnEncoding
from mlpgrad.tables.bins import QuantileBins, TargetBins
from mlpgrad.tables.categories import Codes, OneHot
from mlpgrad.tables.encoder import TableEncoder
from mlpgrad.tables.numeric import Robust, Standard

__all__ = [
    "Codes",
    "ColumnEncoding",
    "OneHot",
    "QuantileBins",
    "Robust",
    "Standard",
    "TableEncoder",
    "TargetBins",
]

if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
