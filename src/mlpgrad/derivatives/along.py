"""Directional derivatives of anything that a network computes, by complex steps.

f(p + i h v) = f(p) + i h f'(p) v + O(h^2). With h = 1e-30, the imaginary part divided by h is
exact to rounding, since nothing is subtracted. The gradient, computed once in complex numbers,
thus gives a Hessian-vector product, and layers need no second-order backward pass. Squire and
Trapp 1998, "Using complex variables to estimate derivatives of real functions".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.cached import Cached
from mlpgrad._core.training_warning import warn
from mlpgrad.derivatives.modes import parts_of_users
from mlpgrad.network.network import Network

TINY = 1e-30
CLOSE = 1e-4  # a wrong complex step lacks whole terms
STEP = 1e-5  # for finite differences, in units of the largest parameter

Quantity = Callable[[Network], Array]
"""A quantity that a network computes with its current parameters."""


class Along:
    """d/dh f(params + h v) at h = 0, for quantities `f(network)`.

    A network with user-defined layers, losses or penalties is checked once, on a few rows, against
    finite differences. If one of them loses the imaginary part, as `np.abs` does, or does not
    accept complex numbers, a warning says so, and finite differences are used from then on.

    Parameters
    ----------
    network : Network
        The network; a complex copy of it is made.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.complex = network.lifted(np.result_type(network.dtype, np.complex128))
        self.exact: bool | None = None

    def __call__(self, f: Quantity, params: Array, vector: Array) -> Array:
        """Return the derivative of `f` at `params` along `vector`, in the shape of f."""
        return (self._differences if self.exact is False else self._complex_step)(f, params, vector)

    def check(self, f: Quantity, params: Array) -> None:
        """Decide with an inexpensive quantity whether complex steps are correct.

        The check is made at a random point near the parameters, since the derivative is not unique
        on a kink.
        """
        if self.exact is not None:
            return
        if not parts_of_users(self.complex):
            self.exact = True  # tests check each class of mlpgrad
            return
        rng = np.random.default_rng(0)
        size = 1e-3 * max(1.0, float(np.abs(params).max(initial=0)))
        params = params + size * rng.normal(size=params.shape)
        vector = rng.normal(size=params.shape)
        coarse, fine = (self._differences(f, params, vector, scale) for scale in (0.1, 0.0125))
        try:
            with np.errstate(all="ignore"):
                exact, reason = self._complex_step(f, params, vector), ""
        except Exception as error:  # any error of user code on complex numbers
            exact, reason = np.full_like(fine, np.nan), f" ({type(error).__name__}: {error})"
        values = f(self._at(self.real, params))
        rounding = 1e-8 * np.abs(values).max(initial=0)
        noise = CLOSE * np.abs(fine).max(initial=0) + rounding
        doubt = np.abs(fine - coarse).max(initial=0) > noise / 10  # a kink between the points
        wrong = not np.abs(fine - exact).max(initial=0) <= noise
        self.exact = not wrong or (bool(doubt) and not reason)
        if not self.exact:
            warn(
                f"{self._suspects()} cannot be differentiated by complex numbers{reason}; finite "
                "differences of gradients are used instead, with about 9 correct digits. Exact "
                "derivatives need operations that keep imaginary parts: np.maximum(z, -z) "
                "instead of np.abs(z), (z * z).sum() instead of np.linalg.norm, np.vecdot or a "
                "conjugate, and buffers of the model's dtype"
            )

    @Cached
    def real(self) -> Network:
        """A copy for finite differences."""
        return self.network.lifted(np.result_type(self.network.dtype, np.float64))

    def _complex_step(self, f: Quantity, params: Array, vector: Array) -> Array:
        size = np.abs(vector).max(initial=0) or 1.0
        moved = np.asarray(params) + 1j * TINY * (vector / size)
        found = f(self._at(self.complex, moved))
        return np.asarray(found.imag / TINY * size)

    def _differences(self, f: Quantity, params: Array, vector: Array, scale: float = 1) -> Array:
        """Return the derivative from four values, with an error of order h^4."""
        largest = np.abs(vector).max(initial=0) or 1.0
        h = scale * (STEP * max(1.0, float(np.abs(params).max(initial=0))) / largest)

        def difference(times: int) -> Array:
            moved = times * h * vector
            up, down = (f(self._at(self.real, params + s * moved)).copy() for s in (1, -1))
            return up - down

        return np.asarray((8 * difference(1) - difference(2)) / (12 * h))

    def _at(self, network: Network, params: Array) -> Network:
        network.params = params
        return network

    def _suspects(self) -> str:
        """Return the user-defined parts of the network, or all parts."""
        return " or ".join(dict.fromkeys(map(repr, parts_of_users(self.complex)))) or "this network"
