"""The losses of mlpgrad in symbols and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.quantities import At, Numbers
from mlpgrad.explanation.written import Reading, Written, softmax, softmax_in_numbers
from mlpgrad.losses.base import Loss
from mlpgrad.losses.binary import BinaryCrossEntropy, Hinge, SigmoidCrossEntropy
from mlpgrad.losses.categorical import CrossEntropy, SoftmaxCrossEntropy
from mlpgrad.losses.focal import SigmoidFocal, SoftmaxFocal
from mlpgrad.losses.likelihood import GaussianNLL, Poisson
from mlpgrad.losses.regression import (
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Quantile,
)


class _Lecture(Written):
    slope, factor, mean, sums_one = "{y} - {t}", "1/2 * ", "", True

    @property
    def target_symbol(self) -> str:
        return f"{self.y[0]}hat"


class _Absolute(Written):
    term, slope = "|{y} - {t}|", "sign({y} - {t})"


class _Huber(Written):
    def __init__(self, loss: Huber, *rest: Any) -> None:
        self.delta = f"{loss.delta:g}"
        self.slope = f"clip({{y}} - {{t}}, -{self.delta}, {self.delta})"
        super().__init__(loss, *rest)

    def formula(self) -> str:
        d = self.delta
        self.term = "h({y} - {t})"
        return f"{super().formula()} with h(d) = d^2/2 up to |d| = {d}, else {d} (|d| - {d}/2)"

    def term_at(self, at: At) -> str:
        if abs(self.outputs[at] - self.values["t"][1][at]) <= self.loss.delta:
            return "({y} - {t})^2 / 2"
        return f"{self.delta} * (|{{y}} - {{t}}| - {self.delta} / 2)"


class _Quantile(Written):
    term, slope = "max({q} * ({t} - {y}), ({q} - 1) * ({t} - {y}))", "{above} - {q}"

    def __init__(self, loss: Quantile, y: str, k: str, outputs: Array, *rest: Any) -> None:
        self.levels = np.atleast_1d(np.asarray(loss.levels, np.float64))
        if len(self.levels) > 1:
            self.target_words += ", once for each of the levels q"
        super().__init__(loss, y, k, outputs, *rest)
        quantiles = np.tile(self.levels, (len(outputs), self.columns // len(self.levels)))
        above = (outputs > self.values["t"][1]).astype(float)
        self.values |= {"q": (f"q_{k}", quantiles), "above": (f"[{y}_{k} > t_{k}]", above)}

    def target(self, target: Array) -> Array:
        return target.repeat(len(self.levels), axis=1)


class _Poisson(Written):
    term, slope = "{p} - {t} * {y}", "{p} - {t}"

    def read(self) -> Reading:
        formula, value = f"r_{self.k} = exp({self.y}_{self.k})", np.exp(self.outputs)
        return Reading(
            "r", "the expected counts", formula, value,
            lambda at: f"exp({self.show(self.outputs[at])})",
        )  # fmt: skip


class _Gaussian(Written):
    term, factor, mean = "log({p}) + ({m} - {t})^2 / {p}", "1/2 * ", "T"
    slope_in_words = True
    slope, slope_of_log_variance = "({m} - {t}) / {p}", "(1 - ({m} - {t})^2 / {p}) / 2"

    def __init__(self, loss: GaussianNLL, *rest: Any) -> None:
        super().__init__(loss, *rest)
        self.columns = targets = self.outputs.shape[1] // 2
        self.values["m"] = (f"{self.y}_{self.k}", self.outputs[:, :targets])
        twice = {
            name: (s, np.tile(v, (1, 2))) for name, (s, v) in self.values.items() if name != "y"
        }
        self.values |= twice

    def read(self) -> Reading:
        logs = np.maximum(self.outputs[:, self.outputs.shape[1] // 2 :], np.log(self.loss.epsilon))
        words = "the variances: exp of the second half of the outputs"
        return Reading(
            "v", words, "", np.exp(logs), lambda at: f"exp({self.show(logs[at])})", neurons=False
        )

    def slope_formula(self) -> str:
        mean, log_variance = self.symbols(self.slope), self.symbols(self.slope_of_log_variance)
        return f"{mean} for means, {log_variance} for logs of variances"

    def slope_at(self, at: At) -> str:
        if at[1] < self.columns:
            return self.slope
        smallest = self.outputs[at] <= np.log(self.loss.epsilon)
        return "0" if smallest else self.slope_of_log_variance


class _Categorical(Written):
    term, factor, mean = "{t} * log({y})", "-", ""
    slope = "-{t} / {y}"

    def target(self, target: Array) -> Array:
        classes = self.outputs.shape[1]
        rows = np.eye(classes)[target[:, 0]] if target.shape[1] == 1 else target
        smoothing = self.loss.label_smoothing
        if smoothing:
            self.target_words += f", with label smoothing {smoothing:g}"
        return rows * (1 - smoothing) + smoothing / classes if smoothing else rows

    def term_at(self, at: At) -> str:
        target = self.values["t"][1][at]
        return "" if target == 0 else self.term.removeprefix("{t} * " if target == 1 else "")


class _Softmax(_Categorical):
    term, slope = "{t} * log({p})", "{p} - {t}"

    def read(self) -> Reading:
        other = chr(ord(self.k) + 1)
        return Reading(
            "p", "the probabilities: softmax of the outputs",
            f"p_{self.k} = {softmax(self.y, self.k, other)}",
            self.loss.probabilities(self.outputs), softmax_in_numbers(self.outputs, self.show),
            mixes=True,
        )  # fmt: skip


class _Binary(Written):
    term = "{t} * log({y}) + (1 - {t}) * log(1 - {y})"
    slope, factor = "({y} - {t}) / ({y} * (1 - {y}))", "-"

    def term_at(self, at: At) -> str:
        yes, no = self.term.split(" + ")
        only = {1.0: yes.removeprefix("{t} * "), 0.0: no.removeprefix("(1 - {t}) * ")}
        return only.get(float(self.values["t"][1][at]), self.term)


class _Sigmoid(_Binary):
    term = "{t} * log({p}) + (1 - {t}) * log(1 - {p})"
    slope = "{p} - {t}"

    def target(self, target: Array) -> Array:
        smoothing = self.loss.label_smoothing
        if smoothing:
            self.target_words += f", with label smoothing {smoothing:g}"
        return target * (1 - smoothing) + smoothing / 2 if smoothing else target

    def read(self) -> Reading:
        y, k = self.y, self.k
        words = "the probability: sigma of the output"
        if self.outputs.shape[1] > 1:
            words = "the probabilities: sigma of each output"
        return Reading(
            "p", words, f"p_{k} = sigma({y}_{k})", self.loss.probabilities(self.outputs),
            lambda at: f"sigma({self.show(self.outputs[at])})",
        )  # fmt: skip


class _SigmoidFocal(_Sigmoid):
    def __init__(self, loss: SigmoidFocal, *rest: Any) -> None:
        g, a = f"{loss.focus:g}", loss.balance
        yes, no = ("", "") if a is None else (f"{a:g} * ", f"{1 - a:g} * ")
        self.sides = f"{{t}} * {yes}(1 - {{p}})^{g} * ", f"(1 - {{t}}) * {no}{{p}}^{g} * "
        self.term = self.both("log({p})", "log(1 - {p})")
        of_yes = f"({g} * {{p}} * log({{p}}) - (1 - {{p}}))"
        of_no = f"({{p}} - {g} * (1 - {{p}}) * log(1 - {{p}}))"
        self.slope = self.both(of_yes, of_no)
        self.slopes = {1.0: self.sides[0] + of_yes, 0.0: self.sides[1] + of_no}
        super().__init__(loss, *rest)

    def both(self, yes: str, no: str) -> str:
        """Return the template for any target, from those for targets 1 and 0."""
        return f"{self.sides[0]}{yes} + {self.sides[1]}{no}"

    def target(self, target: Array) -> Array:
        return target

    def slope_at(self, at: At) -> str:
        """Return the template for a target of 0 or 1 only."""
        only = self.slopes.get(float(self.values["t"][1][at]), self.slope)
        return only if only is self.slope else only.split(" * ", 1)[1]


class _SoftmaxFocal(_Softmax):
    slope_in_words = True
    slope = "{total} * {p} - {t} * {c}"

    def __init__(self, loss: SoftmaxFocal, *rest: Any) -> None:
        self.term = f"{{t}} * (1 - {{p}})^{loss.focus:g} * log({{p}})"
        super().__init__(loss, *rest)
        p, t, k = self.values["p"][1], self.values["t"][1], self.k
        wrong = 1 - p
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(wrong > 0, -p * np.log(p) / wrong, 1)
        c = wrong**loss.focus * (1 + loss.focus * np.where(p > 0, ratio, 0))
        total = np.broadcast_to((t * c).sum(axis=1, keepdims=True), c.shape)
        self.values |= {"c": (f"c_{k}", c), "total": ("C", total)}

    def slope_formula(self) -> str:
        g, k = f"{self.loss.focus:g}", self.k
        c = self.symbols(f"(1 - {{p}})^{g} * (1 - {g} * {{p}} * log({{p}}) / (1 - {{p}}))")
        return f"{super().slope_formula()} with c_{k} = {c} and C = sum_{k} t_{k} c_{k}"


class _Hinge(Written):
    term, slope = "max(0, 1 - {t} * {y})", "-{t} * {inside}"

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        inside = (self.values["t"][1] * self.outputs < 1).astype(float)
        self.values["inside"] = (f"[t_{self.k} {self.y}_{self.k} < 1]", inside)


WRITTEN: dict[type[Loss], type[Written]] = {
    BinaryCrossEntropy: _Binary,
    CrossEntropy: _Categorical,
    GaussianNLL: _Gaussian,
    HalfSquaredError: _Lecture,
    Hinge: _Hinge,
    Huber: _Huber,
    MeanAbsoluteError: _Absolute,
    MeanSquaredError: Written,
    Poisson: _Poisson,
    Quantile: _Quantile,
    SigmoidCrossEntropy: _Sigmoid,
    SigmoidFocal: _SigmoidFocal,
    SoftmaxCrossEntropy: _Softmax,
    SoftmaxFocal: _SoftmaxFocal,
}


def written(
    loss: Loss, y: str, k: str, outputs: Array, target: Array, show: Numbers
) -> Written | None:
    """Return a loss of mlpgrad in symbols and numbers for these outputs; None for other losses.

    Parameters
    ----------
    loss : Loss
    y, k : str
        The symbol of the outputs, and their index letter.
    outputs : array (B, O)
    target : array (B, T)
        The target as returned by `loss.cast`.
    show : Numbers
        Formats the numbers.
    """
    known = WRITTEN.get(type(loss))
    return None if known is None else known(loss, y, k, outputs, target, show)
