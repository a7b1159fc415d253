"""Evaluation of a metric in batches."""

import numpy as np


def measured(metric, loss, prediction, target, weights=None, size=None):
    """The metric on checked arrays, in batches of `size` rows."""
    target = loss.cast(target, prediction.dtype)
    accumulator = metric.start()
    size = size or prediction.shape[-2]
    for start in range(0, prediction.shape[-2], size):
        rows = np.s_[..., start : start + size, :]
        # like a model's, these buffers are overwritten by the next batch
        batch = [None if a is None else a[rows].copy() for a in (prediction, target, weights)]
        accumulator.add(*batch, loss)
        for array in batch:
            if array is not None:
                array[...] = 0
    return accumulator.result()
