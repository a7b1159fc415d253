"""The excerpt of a quantity that is shown: a few elements of a wide array, the rest in words."""

from __future__ import annotations

import numpy as np

from mlpgrad.explanation.quantities import At, Numbers, Quantity

SAMPLES = 3
"""The number of samples that are shown in full."""


def shown_indices(quantity: Quantity, limit: int) -> list[tuple[str, list[At]]]:
    """The indices to show under each label: one label per sample, none if there is one sample."""
    samples = len(quantity.value) if quantity.per_sample else 1
    if samples == 1:
        return [("", quantity.indices(0, limit))]
    return [
        (f"sample {b + 1} of {samples}", quantity.indices(b, limit))
        for b in range(min(samples, SAMPLES))
    ]


def hidden(quantity: Quantity, limit: int, sample: int = 0) -> str:
    """The number of elements left out of a wide array, and the largest; empty for none."""
    value = quantity.value[sample] if quantity.per_sample else quantity.value
    kept = quantity.indices(sample, limit)
    if value.size == len(kept):
        return ""
    more = f"... and {value.size - len(kept):,} more"
    largest = np.unravel_index(np.abs(value).argmax(), value.shape)
    at = tuple(int(i) for i in largest)
    at = (sample, *at) if quantity.per_sample else at
    if at in kept:
        return more
    number = Numbers(quantity.digits)(quantity.value[at])
    return f"{more}; the largest in size is {quantity.name(at)} = {number}"
