"""The excerpt of a quantity that is shown: few places of a wide array, and words for the rest."""

from __future__ import annotations

import numpy as np

from mlpgrad.explanation.quantities import At, Numbers, Quantity, shown

SAMPLES = 3


def shown_indices(quantity: Quantity, limit: int) -> list[tuple[str, list[At]]]:
    """The places to show, sample by sample where there are several."""
    samples = len(quantity.value) if quantity.per_sample else 1
    if samples == 1:
        return [("", quantity.indices(0, limit))]
    return [
        (f"sample {b + 1} of {samples}", quantity.indices(b, limit))
        for b in range(min(samples, SAMPLES))
    ]


def hidden(quantity: Quantity, limit: int, sample: int = 0) -> str:
    """What is left out of a wide array, in words: how many numbers, and the largest."""
    value = quantity.value[sample] if quantity.per_sample else quantity.value
    kept = int(np.prod([shown(n, limit) for n in value.shape]))
    if value.size == kept:
        return ""
    largest = np.unravel_index(np.abs(value).argmax(), value.shape)
    at = tuple(int(i) for i in largest)
    name = quantity.name((sample, *at) if quantity.per_sample else at)
    number = Numbers(quantity.digits)(value[at])
    return f"... and {value.size - kept:,} more; the largest in size is {name} = {number}"
