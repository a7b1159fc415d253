"""The report of a gradient check, as a picture."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.described import suggesting
from mlpgrad.plotting import style

if TYPE_CHECKING:
    from mlpgrad.gradcheck import GradientReport, TensorReport

LOOKS = {
    "PASS": ("o", style.BLUE),
    "KINK": ("D", style.GREEN),
    "NO_POWER": ("v", style.GREY),
    "INCONCLUSIVE": ("s", style.ORANGE),
}
"""The marker and the colour of each verdict; all other verdicts are mistakes."""
MISTAKE = ("X", style.WRONG)
LEAST, MOST = 1e-6, 1e12
"""Errors that are smaller, such as exact zeros, or larger are drawn at these limits."""
COLUMNS = 80
"""The width of the text below the picture."""


@suggesting
def gradient_report(report: GradientReport, *, ax: Any = None) -> Any:
    """Draw the largest error of each tensor in units of the tolerance.

    Left of the dashed line at 1, the gradient and the numeric derivative differ by no more than
    the error of the check itself; right of it, the gradient is wrong. The verdict on each tensor
    is written at the right edge, and each kind of verdict has its own marker. If the check failed,
    the report's diagnosis is shown below.

    Parameters
    ----------
    report : GradientReport
        The result of `mg.check_gradients` or any other check.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    TypeError
        If `report` is not a GradientReport.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> point = np.array([1.0, -2.0])
    >>> report = mg.check_gradient(lambda w: (w**2).sum(), lambda w: 3 * w, point)
    >>> ax = mg.plotting.gradient_report(report)
    >>> print(ax.get_title(loc="left"))
    FAIL: the gradient is wrong: the difference is larger than every error of the check
    """
    style.check_axes(ax)
    from mlpgrad.gradcheck import GradientReport

    if not isinstance(report, GradientReport):
        raise TypeError(
            f"gradient_report expects a GradientReport, got {type(report).__name__}; "
            f"draw what mg.check_gradients(model, x, y) returns"
        )
    height = 1.6 + 0.3 * len(report.tensors) + 0.2 * len(_diagnosis(report))
    ax = style.axes(ax, figsize=(8, min(height, 20)))
    for row, tensor in enumerate(report.tensors):
        _draw_tensor(ax, row, tensor)
    ax.axvline(1.0, color=style.INK, ls="--", lw=1.2)
    names = [f"{tensor.name} {tensor.shape}".replace(", ", ",") for tensor in report.tensors]
    ax.set_yticks(range(len(names)), names)
    ax.set(xscale="log", ylim=(len(names) - 0.4, -0.6))
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, LEAST / 2), max(high, 100.0))
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("error / tolerance  (right of the dashed line: wrong)")
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    ax.annotate(
        "\n".join(_diagnosis(report)), (0, 0), (0, -42), fontsize="small", linespacing=1.5, **place
    )
    ax.set_title(str(report).partition("\n")[0], loc="left", fontsize="medium")
    return ax


def _draw_tensor(ax: Any, row: int, tensor: TensorReport) -> None:
    """Draw one row: the error as a marker at the end of a line, and the verdict as a word."""
    marker, colour = LOOKS.get(tensor.verdict.value, MISTAKE)
    ratio = excess(tensor)
    if not np.isnan(ratio):
        shown = min(max(ratio, LEAST), MOST)
        ax.plot([LEAST, shown], [row, row], color=colour, lw=1, alpha=0.5)
        ax.plot([shown], [row], marker=marker, color=colour, ms=9, ls="")
    place = {"transform": ax.get_yaxis_transform(), "va": "center"}
    ax.text(1.01, row, tensor.verdict.value, color=style.INK, **place)


def excess(tensor: TensorReport) -> float:
    """The largest error of a tensor in units of its tolerance; NaN if none was measured."""
    worst = tensor.worst
    if worst is None:
        return float("nan")
    if not worst.tolerance:
        return 0.0 if not worst.error else float("inf")
    return float(abs(worst.error) / worst.tolerance)


def _diagnosis(report: GradientReport) -> list[str]:
    """The report's diagnosis of a failure, as lines of bounded width."""
    if report.passed:
        return []
    said = list(report.protocol.values())
    said += [f"Where: {report.first_wrong}"] if report.first_wrong else []
    said += [f"Element: {culprit}" for culprit in report.culprits[:3]]
    said += [f"Likely: {hint}" for hint in report.hints[:3]] + report.warnings[:2]
    return [line for text in said for line in textwrap.wrap(text, COLUMNS)]
