"""The agreement of the members of an ensemble, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arguments import is_integer, shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.losses.likelihood import GaussianNLL
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


@suggesting
def ensemble_spread(
    model: Network, x: Any, y: Any = None, *, output: int = 0, ax: Any = None
) -> Any:
    """Draw the mean and the range of the members' predictions for each sample.

    Samples are sorted by the mean. With a classification loss, the prediction is the probability of
    the class that the ensemble predicts: samples on the left are uncertain, and a wide band there
    shows that the members disagree. If targets are given, misclassified samples (or targets
    outside the band) are marked: they should lie where the band is wide.

    Parameters
    ----------
    model : Sequential
        An ensemble.
    x : array (n, I)
        The samples.
    y : array (n,) or (n, O), optional
        The targets; by default nothing is marked.
    output : int, default 0
        The index of the output to draw if the loss is a regression loss; the outputs of
        GaussianNLL are first the means, then the log variances, and those of Poisson are drawn as
        rates. Ignored for classes.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    ValueError
        If the model is one network, there is no output number `output`, the loss gives a sample
        several labels, or `y` is given though an output is not the prediction of one target.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.regression(50, random_state=0)
    >>> model = mg.Sequential([mg.Standardize(5), mg.Dense(5, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.MeanSquaredError(), target_scaling="standard",
    ...                       random_state=0, ensemble_size=4)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.02), epochs=100, verbose=0)
    >>> ax = mg.plotting.ensemble_spread(model, x, y)
    >>> [label.get_text() for label in ax.get_legend().get_texts()]
    ['lowest to highest of 4 networks', 'mean', 'target in the band', 'target outside']
    """
    style.check_axes(ax)
    if inputs.a_model(model).ensemble_size is None:
        raise ValueError(
            "ensemble_spread expects an ensemble, got one network; build the model with "
            "Sequential(..., ensemble_size=10)"
        )
    x = inputs.samples(model, x)
    ax = style.axes(ax)
    draw = _draw_classes if model.loss.classifies else _draw_numbers
    draw(ax, model, x, y, output)
    ax.set_xlabel("sample, sorted by the mean prediction")
    style.whole_numbers(ax.xaxis)
    ax.legend()
    return ax


def _draw_classes(ax: Any, model: Network, x: Array, y: Any, output: int) -> None:
    inputs.classifier(model, "ensemble_spread", "")
    target = None if y is None else inputs.targets_of(model, x, y)
    probabilities = inputs.class_probabilities(model, x)
    chosen = probabilities.mean(axis=0).argmax(axis=-1)
    members = np.take_along_axis(probabilities, chosen[None, :, None], axis=-1)[..., 0]
    order = _draw_band(ax, members)
    ax.set_ylabel("probability of the chosen class")
    ax.set_title("Agreement of the networks")
    if target is None:
        return
    correct = (chosen == model.loss.true_classes(target))[order]
    _draw_marks(ax, members.mean(axis=0)[order], correct, ("", "wrong class"))
    ax.set_title(
        f"Agreement of the networks; {(~correct).sum()} of {len(correct)} samples are wrong"
    )


def _draw_numbers(ax: Any, model: Network, x: Array, y: Any, output: int) -> None:
    model.check_fitted()
    members = model.in_own_unit(model._predict(x))
    width = model.loss.target_features(members.shape[-1])
    if not is_integer(output) or not 0 <= output < members.shape[-1]:
        last = members.shape[-1] - 1
        raise ValueError(
            f"output expects one of 0 to {last}, got {shown(output)}; outputs are counted from 0"
        )
    if width == members.shape[-1]:
        members = model.loss.numbers(members)
    members = members[..., output]
    order = _draw_band(ax, members)
    ax.set_ylabel("prediction")
    ax.set_title("Predictions of the networks")
    if y is None:
        return
    is_mean = isinstance(model.loss, GaussianNLL) and output < width
    if width != model.out_features and not is_mean:
        raise ValueError(
            f"y expects one target for each output, but {model.loss!r} has {width} for "
            f"{model.out_features} outputs; leave y out"
        )
    target = inputs.targets_of(model, x, y)[:, output][order]
    low, high = members.min(axis=0)[order], members.max(axis=0)[order]
    inside = (low <= target) & (target <= high)
    _draw_marks(ax, target, inside, ("target in the band", "target outside"))
    ax.set_title(f"Predictions of the networks; {inside.mean():.0%} of the targets in their range")


def _draw_band(ax: Any, members: Array) -> Array:
    """Draw the mean and the range of `members: (E, n)`, sorted by the mean; return the order."""
    mean = members.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    ranks = np.arange(1, len(mean) + 1)
    edges = members.min(axis=0)[order], members.max(axis=0)[order]
    label = f"lowest to highest of {len(members)} networks"
    band = {"color": style.PREDICTED, "alpha": 0.3, "lw": 0, "step": "mid", "label": label}
    ax.fill_between(ranks, *edges, **band)
    ax.plot(ranks, mean[order], color=style.PREDICTED, lw=1.5, label="mean")
    return order


def _draw_marks(ax: Any, heights: Array, good: Array, labels: tuple[str, str]) -> None:
    """Draw a dot for each good sample, if it has a label, and a cross for each of the others."""
    ranks = np.arange(1, len(heights) + 1)
    looks = (good, ".", style.INK), (~good, "X", style.WRONG)
    for (rows, marker, colour), label in zip(looks, labels, strict=True):
        if label:
            ax.scatter(
                ranks[rows],
                heights[rows],
                marker=marker,
                color=colour,
                s=24,
                lw=0,
                label=label,
                zorder=3,
            )
