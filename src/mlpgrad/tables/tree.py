"""A greedy regression tree on one column, which gives cuts where the target changes most."""

from __future__ import annotations

import heapq

import numpy as np

from mlpgrad._core.arrays import Array

LEAST_GAIN = 1e-12  # in units of the target's variance; smaller gains are rounding errors


def cuts(values: Array, target: Array, weights: Array, leaves: int, least_rows: int) -> Array:
    """Return the sorted thresholds of a tree in which each split reduces the squared error most.

    The leaf whose best split gains most is split first, until there are `leaves`, as in
    scikit-learn's `DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=least_rows)`. For
    targets with one column per class, the squared error is the Gini impurity.

    Parameters
    ----------
    values : array (n,)
    target : array (n, O)
    weights : array (n,)
        All above 0.
    leaves : int
        Maximum number of leaves.
    least_rows : int
        Minimum number of rows on each side of a cut.

    Returns
    -------
    array (at most leaves - 1,)
        The thresholds, each midway between two neighbouring values.
    """
    tree = _Tree(values, target, weights, least_rows)
    waiting: list[tuple[float, int, int, int]] = []
    places: list[int] = []
    tree.offer(waiting, 0, len(tree.values))
    while waiting and len(places) < leaves - 1:
        _, place, start, stop = heapq.heappop(waiting)
        places.append(place)
        tree.offer(waiting, start, place)
        tree.offer(waiting, place, stop)
    above = np.sort(np.array(places, np.intp))
    found: Array = tree.values[above - 1] / 2 + tree.values[above] / 2
    return found


class _Tree:
    """Sums over the rows below each distinct value, from which every split's gain follows."""

    def __init__(self, values: Array, target: Array, weights: Array, least_rows: int) -> None:
        # sorted by all columns, so that the order of the rows does not change the sums
        order = np.lexsort((*target.T, weights, values))
        values, weights = values[order], weights[order] / weights.max()
        target = target[order] - np.average(target, axis=0, weights=weights)
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        self.values, self.least_rows = values[starts], least_rows
        ends = np.append(starts, len(values))
        self.count = ends
        self.weight = np.append(0, np.cumsum(weights))[ends]
        sums = np.cumsum(target * weights[:, None], axis=0)
        self.sums = np.concatenate([np.zeros_like(sums[:1]), sums])[ends]
        self.least_gain = LEAST_GAIN * float((weights[:, None] * target**2).sum())

    def offer(self, waiting: list[tuple[float, int, int, int]], start: int, stop: int) -> None:
        """Push the best cut between two positions on the heap, if there is one."""
        inner = np.arange(start + 1, stop)
        rows = self.count[inner]
        wide = (rows - self.count[start] >= self.least_rows) & (
            self.count[stop] - rows >= self.least_rows
        )
        inner = inner[wide]
        if not inner.size:
            return
        gain = self._score(start, inner) + self._score(inner, stop) - self._score(start, stop)
        best = int(gain.argmax())
        if gain[best] > self.least_gain:
            heapq.heappush(waiting, (-float(gain[best]), int(inner[best]), start, stop))

    def _score(self, start: Array | int, stop: Array | int) -> Array:
        """Return the gain explained by the mean between two positions: squared sum over weight."""
        total = self.sums[stop] - self.sums[start]
        weight = self.weight[stop] - self.weight[start]
        score: Array = np.square(total).sum(axis=-1) / weight
        return score
