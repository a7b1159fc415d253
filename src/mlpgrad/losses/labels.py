"""Advice for labels that a loss does not accept."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import blocks

NUMBER = "classes, y = np.unique(y, return_inverse=True)"
IN_PARTS = "each class the same in all rows, or name them: Sequential(..., classes=[...])"
MOST = 1 << 16  # distinct values; with more, they are not classes
SEVERAL = 20  # up to this, distinct integers are probably classes


def of_some_rows(error: Exception) -> str:
    """Return a message about some rows: they may lack a class, so that `NUMBER` would be wrong."""
    return str(error).replace(NUMBER, IN_PARTS)


def advice_for_two(y: Array, *, probabilities: bool = False) -> str:
    """Return advice for labels that are not 0 and 1, for a binary loss."""
    found = distinct(y)
    if len(found) <= 2:
        return f"number the classes 0 and 1: {NUMBER}"
    if y.shape[-1] > 1:
        return "give each output a target from 0 to 1"
    if whole(found) and len(found) <= SEVERAL:
        other = "CrossEntropy after a Softmax" if probabilities else "SoftmaxCrossEntropy"
        fix = (
            f"for {len(found)} classes use {other}, with {len(found)} outputs of the last Dense "
            f"layer"
        )
        return fix if are_numbered(y) else f"{fix}, and number them: {NUMBER}"
    return "for targets that are numbers, not classes, use MeanSquaredError"


def advice_for_several(y: Array, outputs: int) -> str:
    """Return advice for labels that are not in 0 to `outputs - 1`."""
    found = distinct(y)
    if len(found) <= outputs:
        return f"number the classes from 0: {NUMBER}"
    if not whole(found) or len(found) > MOST:
        return "for targets that are numbers, not classes, use MeanSquaredError"
    fix = f"y has {len(found)} classes: give the last layer {len(found)} outputs"
    if are_numbered(y):
        return fix
    return f"{fix}, and number the classes from 0: {NUMBER}"


def advice_for_rows(y: Array) -> str:
    """Return advice for rows `(..., n, K)` that are not probabilities."""
    if (y.real < 0).any():
        ones = ((y == 1) | (y == -1)).all() and ((y == 1).sum(axis=-1) == 1).all()
        return "write (y + 1) / 2" if ones else "give probabilities, none of them negative"
    if (y.sum(axis=-1) == 0).any():
        return "give each row a class: some rows are zero throughout"
    return "divide each row by its sum: y / y.sum(axis=-1, keepdims=True)"


def are_numbered(y: Array) -> bool:
    """Return whether the labels are 0, 1, 2, ... without a gap."""
    found = distinct(y)
    return bool((found == np.arange(len(found))).all())


def distinct(y: Array) -> Array:
    """Return the distinct values, or some of them if there are very many."""
    found: Array = np.empty(0, y.real.dtype)
    for _, rows in blocks(y):
        found = np.union1d(found, rows.real)
        if len(found) > MOST:
            break
    return found


def whole(values: Array) -> bool:
    """Return whether all numbers are integers."""
    return bool((values == np.floor(values)).all())
