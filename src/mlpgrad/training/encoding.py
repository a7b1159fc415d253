"""Tables in training: the encoder is fitted to the training rows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.encoding import check_width, target_of_encoder
from mlpgrad.network.network import Network


class Unencoded:
    """A table for a network whose encoder is not fitted yet.

    Parameters
    ----------
    network : Network
    table : DataFrame, dict of columns, or array
        As for `TableEncoder.fit`.

    Attributes
    ----------
    shape : tuple of int
        Number of rows, and of features after encoding.
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
        """Fit the encoder, give it to the network, and return the features of all rows.

        Parameters
        ----------
        target, weights : array
            Checked targets and weights.
        rows : array of int or None
            The rows to fit the encoder to; None for all.
        members : list of array of int, optional
            The training rows of each member.
        """
        if weights is not None:
            weights = weights.astype(np.float64)[..., 0]
            weights = weights if weights.ndim == 1 else weights.mean(axis=0)
        seen = target_of_encoder(self.network.loss, target)
        self.encoder.fit_members(self.table, seen, weights, rows, members)
        vars(self.network)["encoder"] = self.encoder
        return self.network.checked_inputs(self.table)
