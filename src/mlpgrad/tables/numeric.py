"""Scaling of numbers: to mean 0 and standard deviation 1, or robustly with smooth clipping."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.tables.base import NumericEncoding, State, quantiles

LARGEST = 1e150  # its square does not overflow


class Standard(NumericEncoding):
    """x <- (x - mean) / standard deviation, both weighted and of the training rows

    A missing value is replaced by the median, and marked by an additional feature if there were
    missing values in training. A column that is constant in training becomes 0.

    Examples
    --------
    >>> from mlpgrad.tables import Standard, TableEncoder
    >>> TableEncoder(numeric=Standard()).fit_transform([[1.0], [3.0], [2.0], [None]])
    array([[-1.2247449,  0.       ],
           [ 1.2247449,  0.       ],
           [ 0.       ,  0.       ],
           [ 0.       ,  1.       ]], dtype=float32)
    """

    scalars = (*NumericEncoding.scalars, "mean", "deviation")

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """Learn mean and standard deviation, of numbers scaled to -1 .. 1 to avoid overflow."""
        size = int(np.frexp(np.abs(values).max())[1])
        values = np.ldexp(values, -size)
        share = weights / weights.sum()
        origin = values[0]  # a large mean does not cost digits of a small deviation
        mean = share @ (values - origin)
        centred = values - origin - mean
        spread = np.abs(centred).max()
        deviation = spread * np.sqrt(share @ np.square(centred / (spread or 1)))
        constant = (values == origin).all()
        return {
            "mean": float(np.ldexp(origin + mean, size)),
            "deviation": 0.0 if constant else float(np.ldexp(deviation, size)),
        }

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        if state["deviation"]:
            out[:, 0] = (values - state["mean"]) / state["deviation"]


class Robust(NumericEncoding):
    """x <- z / sqrt(1 + (z / 3)^2),  z = (x - median) / (interquartile range)

    If the quartiles are equal, half the range from the smallest to the largest number replaces the
    interquartile range. Near the median the result is about z; it is always between -3 and 3. A
    missing value is replaced by the median, and marked by an additional feature if there were
    missing values in training. Holzmueller, Grinsztajn and Steinwart 2024, "Better by default:
    strong pre-tuned MLPs and boosted trees on tabular data".

    Examples
    --------
    >>> from mlpgrad.tables import Robust, TableEncoder
    >>> TableEncoder(numeric=Robust()).fit_transform([[1.0], [2.0], [3.0], [4.0], [1e9]]).round(2)
    array([[-0.95],
           [-0.49],
           [ 0.  ],
           [ 0.49],
           [ 3.  ]], dtype=float32)
    """

    scalars = (*NumericEncoding.scalars, "centre", "scale")

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """Learn median and scale."""
        low, centre, high = quantiles(values, weights, np.array([0.25, 0.5, 0.75]))
        scale = high - low or values.max() / 2 - values.min() / 2
        return {"centre": float(centre), "scale": float(scale)}

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        """Write the scaled and clipped numbers."""
        if state["scale"]:
            with np.errstate(over="ignore"):
                z = (values - state["centre"]) / state["scale"]
            z = np.clip(z, -LARGEST, LARGEST)
            out[:, 0] = z / np.hypot(1, z / 3)
