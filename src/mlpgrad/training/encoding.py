"""A table on the way into a training: its encoder learns from the rows that are trained on."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.encoding import check_width, target_of_encoder
from mlpgrad.network.network import Network


class Unencoded:
    """A table whose network has an encoder that has learnt nothing yet.

    Parameters
    ----------
    network : Network
    table : DataFrame, dict of columns, or array
        As `TableEncoder.fit` takes it.

    Attributes
    ----------
    shape : tuple of int
        Number of rows, and of the features that they will become.
    """

    def __init__(self, network: Network, table: Any) -> None:
        from mlpgrad.tables.frames import RawTable

        assert network.encoder is not None
        encoder = copy.deepcopy(network.encoder)
        self.network, self.table = network, RawTable(table)
        self.encoder = encoder if encoder.planned else encoder.plan(self.table)
        check_width(self.encoder, network.in_features)
        self.shape = self.table.rows, self.encoder.width

    def encoded(
        self,
        target: Array,
        weights: Array | None,
        rows: Array | None,
        members: list[Array] | None = None,
    ) -> Array:
        """Let the encoder learn, give it to the network, and return the features of all rows.

        Parameters
        ----------
        target, weights : array
            Checked.
        rows : array of int or None
            The rows to learn from.
        members : list of array of int, optional
            The rows that each member is trained on.
        """
        if weights is not None:
            weights = weights.astype(np.float64)[..., 0]
            weights = weights if weights.ndim == 1 else weights.mean(axis=0)
        seen = target_of_encoder(self.network.loss, target)
        self.encoder.fit_members(self.table, seen, weights, rows, members)
        vars(self.network)["encoder"] = self.encoder
        return self.network.checked_inputs(self.table)
