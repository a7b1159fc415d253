"""Initial values of parameters: `initializer(rng, shape) -> array`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.advice import members
from mlpgrad._core.described import Described
from mlpgrad._core.unwritten import unwritten

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
    """Draw the initial values of one parameter array of one network.

    A subclass implements `__call__`. An initializer is given to a layer:
    `Dense(64, 8, initializer=HeNormal())`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> class Small(mg.Initializer):
    ...     def __call__(self, rng, shape):
    ...         return 0.01 * rng.standard_normal(shape)
    >>> model = mg.Sequential([mg.Dense(3, 2, initializer=Small())], loss=mg.MeanSquaredError())
    >>> bool(abs(model.layers[0].params.weights).max() < 0.1)
    True
    """

    _hooks = frozenset({"__call__"})

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw float64 values of the given shape.

        Parameters
        ----------
        rng : numpy.random.Generator
            The only source of random numbers.
        shape : tuple of int
            (in_features, out_features) for weights, or (features,).

        Returns
        -------
        array of `shape`
            The initial values, float64.
        """
        raise NotImplementedError(unwritten(self, "__call__"))


def fans(shape: Shape) -> tuple[int, int]:
    """Return `(in_features, out_features)` of a weight matrix; for a vector, its length twice."""
    return shape[0], shape[-1]


class Zeros(Initializer):
    """Zeros, the usual initial bias.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> mg.Zeros()(np.random.default_rng(0), (3,))
    array([0., 0., 0.])
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return np.zeros(shape)


class Constant(Initializer):
    """The same value for every parameter.

    Parameters
    ----------
    value : float
        The value, finite.

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

    The variances of activations and of back-propagated gradients stay about the same through
    tanh-like layers. Glorot and Bengio 2010, "Understanding the difficulty of training deep
    feedforward neural networks", equation 16.

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

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks", equation 12.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.GlorotNormal()(np.random.default_rng(0), (200, 300))
    >>> round(float(w.var() * 250), 1)
    1.0
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.normal(0, math.sqrt(2 / sum(fans(shape))), shape)


class HeUniform(Initializer):
    """w ~ U(-r, r),  r = sqrt(6 / in);  variance 2 / in

    The factor 2 compensates for the half of the inputs that a ReLU sets to zero. He, Zhang, Ren
    and Sun 2015, "Delving deep into rectifiers", equation 10, as a uniform distribution.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.HeUniform()(np.random.default_rng(0), (200, 300))
    >>> round(float(w.var() * 200), 1)
    2.0
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

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.LeCunUniform()(np.random.default_rng(0), (200, 300))
    >>> round(float(w.var() * 200), 1)
    1.0
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        bound = math.sqrt(3 / fans(shape)[0])
        return rng.uniform(-bound, bound, shape)


class LeCunNormal(Initializer):
    """w ~ N(0, 1 / in)

    LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", equation 16. Self-normalizing
    networks with `SELU` assume these initial weights.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> w = mg.LeCunNormal()(np.random.default_rng(0), (200, 300))
    >>> round(float(w.var() * 200), 1)
    1.0
    """

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return rng.normal(0, math.sqrt(1 / fans(shape)[0]), shape)


class Orthogonal(Initializer):
    """W^T W = gain^2 I, or W W^T = gain^2 I if W has more columns than rows; drawn uniformly

    A linear network of such layers preserves the norm of its input. Saxe, McClelland and Ganguli
    2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks";
    for the signs that make the distribution uniform, Mezzadri 2007, "How to generate random
    matrices from the classical compact groups".

    Parameters
    ----------
    gain : float
        The value that all singular values of the weights have; finite.

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
        q *= np.copysign(self.gain, np.diagonal(r))  # makes Q uniform
        return (q if matrix[0] >= matrix[1] else q.T).reshape(shape)


if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
