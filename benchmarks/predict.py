"""Print the microseconds of `model.predict` on one sample, by number of layers, as JSON."""

from __future__ import annotations

import json
import timeit

import numpy as np

LAYERS = (2, 4, 6)


def microseconds(layers: int, repeats: int = 9, calls: int = 2000) -> list[float]:
    """Repeated measurements for a network of alternating Dense and Tanh layers, 16 wide."""
    import mlpgrad as mg

    row = np.ones((1, 16), np.float32)
    pairs = [layer for _ in range(layers // 2) for layer in (mg.Dense(16, 16), mg.Tanh())]
    model = mg.Sequential(pairs, loss=mg.MeanSquaredError(), random_state=0)
    model.predict(row)
    times = timeit.repeat(lambda: model.predict(row), number=calls, repeat=repeats)
    return [seconds / calls * 1e6 for seconds in times]


if __name__ == "__main__":
    print(json.dumps({layers: microseconds(layers) for layers in LAYERS}))
