"""Scores of a model, compared with a constant baseline."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.models import About


class Result(NamedTuple):
    """A score on each part of the data, and that of the baseline on the same parts."""

    title: str
    values: dict[str, float]
    baselines: dict[str, float]
    simple: str
    larger_is_better: bool

    def better(self, part: str) -> bool:
        """Return whether the model is better than the baseline on a part, or cannot be better."""
        value, baseline = self.values[part], self.baselines[part]
        if self.larger_is_better:
            return value > baseline or value == 1
        return value < baseline or value == 0

    def __str__(self) -> str:
        shown = decimals if self.larger_is_better else quantity
        *_, last = self.values
        baseline = shown(self.baselines[last])
        if len(self.values) == 1:
            line, last = f" {last}: {shown(self.values[last])}", ""
        else:
            parts = [f"{name} {shown(value)}" for name, value in self.values.items()]
            line, last = f": {', '.join(parts)}", f"{last} "
        return f"{self.title}{line}\n{self.simple} gives {last}{baseline}"

    def warning(self) -> str:
        """Return a warning if the model is not better than the baseline; else an empty string."""
        parts = list(self.values)
        first, last = parts[0], parts[-1]
        if self.better(last):
            return ""
        if first == last:
            why = "These rows may differ from those of the training"
        elif self.better(first):
            why = (
                "It fits the rows to train on, but not others: the columns may not determine the "
                "target, or there are too few rows for so many; more rows, or fewer columns by "
                "--without, may help"
            )
        else:
            why = (
                "It does not fit the rows to train on either; more --epochs, a higher "
                "--learning-rate or a wider --hidden may help"
            )
        return f"warning: the network is not better than that. {why}"


def compared(answers: dict[str, tuple[Array, Array]], about: About) -> Result:
    """Return the score for classes or a quantity from predicted and true values of each part."""
    if about.classes:
        return accuracies(answers, about.baseline)
    return errors(answers, about.baseline, about.unit)


def accuracies(answers: dict[str, tuple[Array, Array]], simple: Any) -> Result:
    """Return the accuracy in each part, from predicted and true labels."""
    values = {name: float(np.mean(found == true)) for name, (found, true) in answers.items()}
    baselines = {name: float(np.mean(true == simple)) for name, (_, true) in answers.items()}
    words = f"always answering {simple!r}, the most frequent class of the training rows,"
    return Result("accuracy", values, baselines, words, True)


def errors(answers: dict[str, tuple[Array, Array]], mean: float, unit: str) -> Result:
    """Return the root mean squared error in each part, from predicted and true numbers."""
    values = {name: root_mean_square(found - true) for name, (found, true) in answers.items()}
    baselines = {name: root_mean_square(true - mean) for name, (_, true) in answers.items()}
    title = "root mean squared error" + (f" in {unit}" if unit else "")
    words = f"predicting {quantity(mean)}, the mean of the training rows,"
    return Result(title, values, baselines, words, False)


def root_mean_square(differences: Array) -> float:
    """Return the root mean square, computed without overflow."""
    largest = float(np.abs(differences).max())
    if not np.isfinite(largest) or largest == 0:
        return largest
    return float(np.sqrt(np.mean((differences / largest) ** 2)) * largest)


def decimals(value: float) -> str:
    """Format a fraction: `0.9722`."""
    return f"{value:.4f}"


def quantity(value: float) -> str:
    """Format a number to four digits, or as an integer with separators: `18,946`, `0.03125`."""
    size = abs(value)
    if 1000 <= size < 1e12:
        return f"{value:,.0f}"
    if size == 0 or 1e-4 <= size < 1e12:
        return np.format_float_positional(value, 4, unique=False, fractional=False, trim="-")
    return f"{value:.4g}"
