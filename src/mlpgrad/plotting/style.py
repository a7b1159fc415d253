"""What all pictures share: a new Axes, and one colour for one meaning.

The colours are Okabe and Ito's, which people with colour-blindness can tell apart; no meaning is
in colour alone, so that a grey print says the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.extras import require

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BROWN, GREY, INK = "#E69F00", "#56B4E9", "#8C564B", "#6B6B6B", "#1A1A1A"

PREDICTED = BLUE
"""Lines and bands of what a network predicts."""
WRONG = VERMILLION
"""What a person should look at."""
CLASSES = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, BROWN, GREY)
"""Class 0, class 1 ...: orange and blue as minus and plus, since a logit below 0 is class 0."""
MARKERS = "os^DvPX*"
"""The classes once more, for grey prints."""
AMOUNT = "cividis"
"""The colour map of sizes."""


def axes(ax: Any, figsize: tuple[float, float] | None = None) -> Any:
    """`ax`, or the Axes of a new figure."""
    if ax is not None:
        return ax
    pyplot = require("matplotlib.pyplot", "plot")
    return pyplot.subplots(figsize=figsize, layout="constrained")[1]


def signed() -> Any:
    """The colour map of signed numbers: orange below zero, white at zero, blue above."""
    colours = require("matplotlib.colors", "plot")
    return colours.LinearSegmentedColormap.from_list("signed", [VERMILLION, "white", BLUE])


def depth_colours(count: int) -> Any:
    """One colour a layer, from dark (the first) to light (the last)."""
    return require("matplotlib", "plot").colormaps["viridis"](np.linspace(0, 0.88, count))


def class_colours(count: int) -> Array:
    """One colour a class as rows of red, green and blue, `(count, 3)`; from the ninth, again."""
    colours = require("matplotlib.colors", "plot")
    return np.array([colours.to_rgb(CLASSES[k % len(CLASSES)]) for k in range(count)])


def ink_on(colour: Any) -> str:
    """Black or white, whichever reads better on a colour (WCAG 2's relative luminance)."""
    rgb = np.asarray(colour, float)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"
