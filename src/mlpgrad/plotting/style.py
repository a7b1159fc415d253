"""Common parts of all pictures: new Axes, and one colour for each meaning.

The colours are those of Okabe and Ito, which colour-blind people can tell apart. No meaning is
expressed by colour alone, so that a print in grey shows the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.extras import require

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BROWN, GREY, INK = "#E69F00", "#56B4E9", "#8C564B", "#6B6B6B", "#1A1A1A"

PREDICTED = BLUE
"""The colour of lines and bands that show what a network predicts."""
WRONG = VERMILLION
"""The colour of mistakes."""
CLASSES = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, BROWN, GREY)
"""Class 0, class 1 ...: orange and blue, as for minus and plus: a negative logit is class 0."""
MARKERS = "os^DvPX*"
"""The marker of each class, for prints in grey."""
BESIDE = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": "small"}
"""The place of a long legend, which would hide the picture."""
AMOUNT = "cividis"
"""The colour map of unsigned amounts."""


def check_axes(ax: Any) -> None:
    """Raise TypeError if `ax` is neither None nor Axes, before anything is computed."""
    if ax is not None and not hasattr(ax, "set_xlabel"):  # a Figure has nearly all else
        raise TypeError(f"ax expects matplotlib Axes, such as plt.subplots()[1], got {shown(ax)}")


def axes(ax: Any, figsize: tuple[float, float] | None = None) -> Any:
    """The given Axes, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = require("matplotlib.pyplot", "plot")
    return pyplot.subplots(figsize=figsize, layout="constrained")[1]


def whole_numbers(axis: Any) -> None:
    """Label the ticks of an axis with whole numbers only, even if there is a single one."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def signed() -> Any:
    """The colour map of signed numbers: orange below zero, white at zero, blue above."""
    colours = require("matplotlib.colors", "plot")
    return colours.LinearSegmentedColormap.from_list("signed", [VERMILLION, "white", BLUE])


def depth_colours(count: int) -> Any:
    """One colour per layer, from dark (the first) to light (the last)."""
    return require("matplotlib", "plot").colormaps["viridis"](np.linspace(0, 0.88, count))


def marker(k: int) -> str:
    """The marker of class k: classes of one colour have different markers."""
    return MARKERS[(k + k // len(CLASSES)) % len(MARKERS)]


def class_colours(count: int) -> Array:
    """One colour per class as red, green and blue, `(count, 3)`; eight colours repeat."""
    colours = require("matplotlib.colors", "plot")
    return np.array([colours.to_rgb(CLASSES[k % len(CLASSES)]) for k in range(count)])


def ink_on(colour: Any) -> str:
    """Black or white, whichever has the higher contrast on a colour (as WCAG 2 defines it)."""
    rgb = np.asarray(colour, float)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"
