"""Initial values of parameters: `initializer(rng, shape) -> array`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.described import Described

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array, Shape

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LeCunNormal",
    "LeCunUniform",
    "Orthogonal",
    "Zeros",
]


class Initializer(Described):
    """Draws the initial values of one parameter array of one network.

    A subclass implements `__call__`; `fans` gives the two numbers that most rules need.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw float64 values of the given shape.

        Parameters
        ----------
        rng : numpy.random.Generator
            The only source of randomness.
        shape : tuple of int
            `(in_features, out_features)` of weights, or `(features,)`.
        """
        raise NotImplementedError


def fans(shape: Shape) -> tuple[int, int]:
    """`in_features` and `out_features` of a weight's shape; of a vector, its length twice."""
    return shape[0], shape[-1]


class Zeros(Initializer):
    """Zero everywhere: the usual bias."""

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return np.zeros(shape)


class Constant(Initializer):
    """The same value everywhere.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> mg.Constant(0.5)(np.random.default_rng(0), (3,))
    array([0.5, 0.5, 0.5])
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        checks.within(self, "value", -math.inf, open_below=True)
        return np.full(shape, self.value, np.float64)


class GlorotUniform(Initializer):
    """w ~ U(-r, r),  r = sqrt(6 / (in + out));  variance 2 / (in + out)

    Keeps the variance of activations and deltas about level through tanh-like layers.
    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks", equation 16.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.GlorotUniform()(np.random.default_rng(0), (4, 2))
    >>> w.shape, bool(abs(w).max() <= 1)
    ((4, 2), True)
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        bound = math.sqrt(6 / sum(fans(shape)))
        return rng.uniform(-bound, bound, shape)


class GlorotNormal(Initializer):
    """w ~ N(0, 2 / (in + out))

    Glorot and Bengio 2010, equation 12.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.normal(0, math.sqrt(2 / sum(fans(shape))), shape)


class HeUniform(Initializer):
    """w ~ U(-r, r),  r = sqrt(6 / in);  variance 2 / in

    The factor 2 makes up for the half of the units that a ReLU silences. He, Zhang, Ren and Sun
    2015, "Delving deep into rectifiers", equation 10 (its uniform form).
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        bound = math.sqrt(6 / fans(shape)[0])
        return rng.uniform(-bound, bound, shape)


class HeNormal(Initializer):
    """w ~ N(0, 2 / in)

    He, Zhang, Ren and Sun 2015, "Delving deep into rectifiers", equation 10.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.HeNormal()(np.random.default_rng(0), (200, 300))
    >>> round(float(w.var() * 200), 1)
    2.0
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.normal(0, math.sqrt(2 / fans(shape)[0]), shape)


class LeCunUniform(Initializer):
    """w ~ U(-r, r),  r = sqrt(3 / in);  variance 1 / in

    LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.6.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        bound = math.sqrt(3 / fans(shape)[0])
        return rng.uniform(-bound, bound, shape)


class LeCunNormal(Initializer):
    """w ~ N(0, 1 / in)

    LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", equation 16. Self-normalizing
    networks (SELU) are derived for it.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.normal(0, math.sqrt(1 / fans(shape)[0]), shape)


class Orthogonal(Initializer):
    """W^T W = gain^2 I (or W W^T, where W is wider than tall), drawn uniformly

    A linear network of such layers keeps the length of every signal. Saxe, McClelland and
    Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks"; the signs that make the draw uniform: Mezzadri 2007, "How to generate random
    matrices from the classical compact groups".

    Parameters
    ----------
    gain : float
        Every singular value of the weights.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.Orthogonal()(np.random.default_rng(0), (4, 2))
    >>> bool(np.allclose(w.T @ w, np.eye(2)))
    True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain
        checks.within(self, "gain", -math.inf, open_below=True)

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        matrix = shape if len(shape) == 2 else (1, *shape)
        tall = rng.standard_normal((max(matrix), min(matrix)))
        q, r = np.linalg.qr(tall)
        q *= np.copysign(self.gain, np.diagonal(r))  # QR's own choice of signs is not uniform
        return (q if matrix[0] >= matrix[1] else q.T).reshape(shape)
