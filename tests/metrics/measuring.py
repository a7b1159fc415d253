"""A metric's way through the batches of a data set."""

import numpy as np


def measured(metric, loss, prediction, target, weights=None, size=None):
    """A metric of checked arrays, in batches of `size` rows."""
    target = loss.cast(target, prediction.dtype)
    accumulator = metric.start()
    size = size or prediction.shape[-2]
    for start in range(0, prediction.shape[-2], size):
        rows = np.s_[..., start : start + size, :]
        # buffers that the next batch overwrites, as those of a model are
        batch = [None if a is None else a[rows].copy() for a in (prediction, target, weights)]
        accumulator.add(*batch, loss)
        for array in batch:
            if array is not None:
                array[...] = 0
    return accumulator.result()
