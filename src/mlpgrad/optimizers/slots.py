"""The parameters of a model that weight decay and `max_norm` act on."""

from __future__ import annotations

from collections.abc import Sequence

from mlpgrad._core.arrays import Array, Shape

Layout = list[tuple[str, int, int, Shape]]
"""For each array of a model: its name in the layer, where it starts and stops, its shape."""


def views_of(
    params: Array, layout: Layout | None, decay_kinds: Sequence[str], max_norm: float | None
) -> tuple[list[Array], list[Array]]:
    """Return views of the parameters that decay, and of the weights that `max_norm` bounds.

    Parameters
    ----------
    params : array (P,) or (E, P)
        The parameters of a model.
    layout : list of (name, start, stop, shape), or None
        The arrays in `params`; None if the model is not known, in which case all parameters decay.
    decay_kinds : sequence of str
        Names of the arrays that decay.
    max_norm : float or None
        The bound; None bounds no weights.

    Raises
    ------
    ValueError
        If `max_norm` is given without a layout.
    """
    if layout is None:
        if max_norm is not None:
            raise ValueError(
                "max_norm needs to know which parameters are weights; call attach(model) before "
                "step, as fit does"
            )
        return [params], []
    slots = [(kind, params[..., start:stop], shape) for kind, start, stop, shape in layout]
    decayed = [view for kind, view, _ in slots if kind in decay_kinds]
    bounded = [
        view.reshape(params.shape[:-1] + shape)
        for kind, view, shape in slots
        if kind == "weights" and len(shape) == 2 and max_norm
    ]
    return decayed, bounded
