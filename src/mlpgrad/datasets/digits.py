"""The bundled data set: 1,797 handwritten digits."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting


@suggesting
def digits() -> tuple[Array, Array]:
    """Read 1,797 handwritten digits of 8 x 8 pixels, from the bundled file.

    Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak 1998, UCI Machine
    Learning Repository, doi 10.24432/C50P49, licence CC BY 4.0. These are the samples of its
    test set, written by 13 people, in their original order.

    Returns
    -------
    x : array (1797, 64), float32
        Pixels row by row, in steps of 1/16: 0 is paper, 1 is ink.
    y : array (1797,), int64
        The digits 0 to 9.

    Examples
    --------
    >>> x, y = digits()
    >>> x.shape, y[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    >>> for row in x[0].reshape(8, 8):
    ...     print("".join(" .:*#"[int(4 * ink)] for ink in row))
      .*:
      **:*.
      *  ::
     .*  ::
     .:  ::
     .:  *.
      *.:*
      .*:
    """
    from importlib.resources import files

    with (files("mlpgrad.datasets") / "digits.npz").open("rb") as file, np.load(file) as stored:
        return stored["x"].astype(np.float32) / np.float32(16), stored["y"].astype(np.int64)
