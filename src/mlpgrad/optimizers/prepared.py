"""The arrays of a step, laid out for it once."""

from __future__ import annotations

from typing import Any, NamedTuple


class Prepared(NamedTuple):
    """The arrays that a step works on, laid out once: all that `apply` needs."""

    grads: Any = None
    """The gradient as it is given."""
    clipped: Any = None
    """Room for the clipped gradient, where something clips it."""
    kept: Any = None
    """What decoupled decay leaves of a weight, `()` or `(E, 1)`."""
    blocks: Any = ()
    """The arguments of each call of `update`."""
    decayed: Any = ()
    """Views of the parameters that decay."""
    bounded: Any = ()
    """Views of the weights `(..., in, out)` under `max_norm`."""
