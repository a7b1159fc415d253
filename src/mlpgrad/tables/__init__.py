"""What makes numbers of a person's columns: an encoder of tables, and the ways to encode a column.

`TableEncoder` recognises what each column holds and encodes it in one of the ways below. A new way
is a subclass of `ColumnEncoding`.
"""

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
