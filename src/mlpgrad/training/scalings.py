"""Scaling of a network's inputs and targets, fitted to its training rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad._core.training_warning import warn
from mlpgrad.layers.standardize import Standardize
from mlpgrad.network import boundary
from mlpgrad.network.fitting import fitted
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batches, Minibatches
from mlpgrad.training.communicator import Communicator, summed
from mlpgrad.training.moments import Moments
from mlpgrad.training.rows import Batch
from mlpgrad.training.streams import Stream, is_stream

ELEMENTS_AT_ONCE = 1 << 18  # bounds the memory, not the result


@suggesting
def fit_scaling(network: Network, x: Any, y: Any = None, *, sample_weight: Any = None) -> None:
    """Fit the scaling of inputs and targets to data, replacing any earlier scaling.

    The first `fit` does this by itself. Call it before training from an iterable or by other
    means, or when a trained model is to be trained further on data in other units: the weights are
    not changed, but then refer to the new units. `uncertainty` is dropped, as by `fit`.

    Parameters
    ----------
    x : array (n, I), or (E, n, I) for an ensemble; or an iterable
        As for `fit`; an iterable of batches `(x, y)` or `(x, y, sample_weight)` is iterated once.
    y : array (n, O) or (E, n, O), optional
        The targets; needed only if the model scales them.
    sample_weight : array (n,) or (E, n), optional
        Weights of the rows in the mean and the standard deviation.

    Raises
    ------
    ValueError
        If the model scales neither inputs nor targets, or the data do not fit it.
    RuntimeError
        If another thread is fitting the model.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x, y = np.array([[1.0], [2.0], [3.0]]), np.array([100.0, 200.0, 300.0])
    >>> model = mg.Sequential([mg.Standardize(1), mg.Dense(1, 1)], loss=mg.MeanSquaredError(),
    ...                       target_scaling="standard", random_state=0)
    >>> model.fit_scaling(x, y)
    >>> model.get_weights()["target.mean"]
    array([200.], dtype=float32)
    """
    if not network.scales():
        raise ValueError(
            "fit_scaling expects a model that scales inputs or targets, got one that does "
            "neither; make it with Standardize as its first layer, or with "
            'target_scaling="standard"'
        )
    with fitted(network):
        stream = is_stream(x, y)
        rows = Stream(network, x).checked() if stream else _all(network, x, y, sample_weight)
        fit_to(network, rows)


def _all(network: Network, x: Any, y: Any, sample_weight: Any) -> Iterator[Batch]:
    """Check arrays, and yield their rows."""
    if network.target_scaling is None:
        x = network.checked_inputs(x)
        shape = x.shape[-2], network.lead, network.dtype
        return rows_at_once(network, x, x, boundary.sample_weights(sample_weight, *shape))
    if y is None:
        raise TypeError("fit_scaling expects y, since the model scales its targets")
    return rows_at_once(network, *network.checked(x, y, sample_weight))


def fit_unfitted(network: Network, batches: Batches, communicator: Communicator | None) -> None:
    """Fit the scaling of inputs and targets to the training rows, unless it is already fitted.

    Ranks that train together use the rows of all ranks.

    Raises
    ------
    ValueError
        If the rows come from an iterable, which is not iterated a second time for this.
    """
    unfitted = bool(network.unfitted())
    if communicator is not None and network.scales():
        unfitted = bool(summed(communicator, float(unfitted))[0])
    if not unfitted:
        return
    if not isinstance(batches, Minibatches):
        raise ValueError(
            "the scaling of inputs or targets is fitted to all rows before training, but an "
            "iterable of batches is not read twice; call model.fit_scaling(batches) first, with "
            "all or some of the batches"
        )
    fit_to(network, rows_at_once(network, *batches.trained()), communicator)


def rows_at_once(network: Network, x: Any, target: Any, weights: Any) -> Iterator[Batch]:
    """Yield all rows, some at a time."""
    width = max(x.shape[-1], target.shape[-1])
    step = max(1, ELEMENTS_AT_ONCE // (width * (network.ensemble_size or 1)))
    for start in range(0, x.shape[-2], step):
        rows = np.s_[..., start : start + step, :]
        yield x[rows], target[rows], None if weights is None else weights[rows]


def fit_to(
    network: Network, batches: Iterable[Batch], communicator: Communicator | None = None
) -> None:
    """Fit the scaling of inputs and targets to checked rows, even if it is already fitted."""
    layer, target_scaling = network.input_scaling, network.scaling_of_targets
    of_x, of_y = Moments(), Moments()
    for x, target, weights in batches:
        if layer is not None:
            of_x.add(x, weights)
        if target_scaling is not None:
            of_y.add(target, weights)
    for moments in (of_x, of_y):
        if communicator is not None and moments.origin is not None:
            moments.join_ranks(communicator)
    network.uncertainty = None  # of predictions with the earlier scaling
    with network._writing():
        if layer is not None:
            mean, deviation = of_x.scaling()
            _warn_of_lost_digits(layer, mean, deviation)
            layer.take(mean, deviation)
        if target_scaling is not None:
            target_scaling.take(*of_y.scaling())


def _warn_of_lost_digits(layer: Standardize, mean: Array, deviation: Array) -> None:
    """Warn about a column whose values are hardly distinguishable in the layer's dtype."""
    steps = np.spacing(np.abs(mean).astype(layer.dtype)).astype(np.float64)
    lost = np.argwhere(steps > deviation / 4)
    if len(lost):
        place = tuple(lost[0])
        warn(
            f"column {place[-1]} of x is {mean[place]:.9g} +- {deviation[place]:.3g}, but the "
            f"spacing of {layer.dtype} numbers there is {steps[place]:.3g}; subtract "
            f"{mean[place]:.9g} from it, or make the model with dtype='float64'"
        )
