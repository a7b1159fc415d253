"""The report of a check: read by people, by notebooks and by programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlpgrad.gradcheck.probes import Finding
from mlpgrad.gradcheck.verdicts import MEANING, Verdict

SCHEMES = {
    "auto": "central differences",
    "central": "central differences",
    "coordinates": "central differences of every element",
    "ridders": "Ridders' extrapolation",
    "complex": "complex steps",
}
GOOD = (Verdict.PASS, Verdict.KINK, Verdict.NO_POWER)


@dataclass
class Culprit:
    """One wrong element of a gradient, found by bisection."""

    name: str
    """`layers[2].weights[0, 3]`."""
    analytic: float
    numeric: float
    bound: float
    step: float

    def __str__(self) -> str:
        ratio = f", ratio {self.analytic / self.numeric:.6g}" if self.numeric else ""
        return (
            f"{self.name}: gradient says {self.analytic:.9g}, "
            f"numeric {self.numeric:.9g} +- {self.bound:.1g}{ratio}, step {self.step:.0e}"
        )


@dataclass
class TensorReport:
    """What was found in one tensor."""

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    findings: list[Finding] = field(default_factory=list)
    note: str = ""

    @property
    def worst(self) -> Finding | None:
        """The direction with the largest error in units of its tolerance."""

        def excess(finding: Finding) -> float:
            ratio = abs(finding.error) / finding.tolerance if finding.tolerance else 0.0
            return ratio if ratio == ratio else float("inf")

        return max(self.findings, key=excess, default=None)

    @property
    def error(self) -> float:
        """Largest relative error seen: |numeric - analytic| over the slope's scale."""
        worst = self.worst
        if worst is None:
            return float("nan")
        return abs(worst.error) / worst.scale if 0 < worst.scale < np.inf else 0.0

    @property
    def resolution(self) -> float:
        """The relative error that would have been noticed: tolerance over the slope's scale."""
        worst = self.worst
        if worst is None:
            return float("nan")
        return worst.tolerance / worst.scale if 0 < worst.scale < np.inf else float("inf")


@dataclass
class GradientReport:
    """Outcome of a gradient check: truthy when it passed, readable when printed.

    Attributes
    ----------
    verdict : Verdict
        PASS, or the most serious finding.
    tensors : list of TensorReport
        A verdict for each parameter array, with the numbers behind it.
    protocol : dict
        Findings about the calls themselves, such as ACCUMULATES, each with an explanation.
    warnings : list of str
        What this check could not have noticed (NO_POWER), and what to do about it.
    hints : list of str
        What the error looks like, the likeliest first.
    culprits : list of Culprit
        Single wrong elements.
    passes : int
        Forward passes of the check; `extra_passes` for locating and explaining a failure.
    """

    subject: str
    tensors: list[TensorReport] = field(default_factory=list)
    protocol: dict[Verdict, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    culprits: list[Culprit] = field(default_factory=list)
    first_wrong: str = ""
    taylor: float | None = None
    passes: int = 0
    extra_passes: int = 0
    seed: int = 0
    method: str = "auto"
    precision: str = "float64"
    reproduce: str = ""

    @property
    def verdict(self) -> Verdict:
        """The most serious finding of all."""
        if self.protocol:
            return next(iter(self.protocol))
        found = {tensor.verdict for tensor in self.tensors}
        for verdict in Verdict:
            if verdict not in GOOD and verdict is not Verdict.INCONCLUSIVE and verdict in found:
                return verdict
        if Verdict.INCONCLUSIVE in found:
            return Verdict.INCONCLUSIVE
        for verdict in (Verdict.KINK, Verdict.PASS):
            if verdict in found:
                return verdict
        return Verdict.NO_POWER

    @property
    def passed(self) -> bool:
        """No mistake found, and at least one tensor in which it would have been."""
        return self.verdict in (Verdict.PASS, Verdict.KINK)

    def __bool__(self) -> bool:
        return self.passed

    def __getitem__(self, name: str) -> TensorReport:
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(f"no tensor {name!r}; there are {[t.name for t in self.tensors]}")

    # text

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Everything below the table, as (label, text)."""
        yield from self.protocol.items()
        if self.first_wrong:
            yield "where", self.first_wrong
        for culprit in self.culprits:
            yield "element", str(culprit)
        for hint in self.hints:
            yield "hint", hint
        if self.taylor is not None:
            expected = "the value of a right gradient is 2, of a wrong one 1"
            yield "Taylor", f"slope of the remainder {self.taylor:.2f} ({expected})"
        for tensor in self.tensors:
            if tensor.note:
                yield "note", f"{tensor.name}: {tensor.note}"
        for warning in self.warnings:
            yield "warning", warning
        if self.reproduce and not self.passed:
            yield "again", self.reproduce

    def _heading(self) -> str:
        counted = f"{self.passes} forward passes"
        if self.extra_passes:
            counted += f" + {self.extra_passes} to explain"
        return (
            f"{self.verdict}: {MEANING[self.verdict]}\n"
            f"{self.subject}; {SCHEMES[self.method]} in {self.precision}, "
            f"{counted}, seed {self.seed}"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        numbers_of = ("gradient", "numeric", "+-", "error", "seen from", "scheme", "step")
        head = ("tensor", "shape", "verdict", *numbers_of)
        rows: list[tuple[str, ...]] = [head]
        for tensor in self.tensors:
            worst = tensor.worst
            numbers: tuple[str, ...] = ("",) * len(numbers_of)
            if worst is not None:
                numbers = (
                    f"{worst.direction.analytic:.6g}",
                    f"{worst.estimate.value:.6g}",
                    f"{worst.tolerance:.0e}",
                    f"{tensor.error:.0e}",
                    f"{tensor.resolution:.0e}" if tensor.resolution < 1 else "-",
                    worst.estimate.scheme.removeprefix("central, "),
                    f"{worst.estimate.step:.0e}",
                )
            shape = str(tensor.shape).replace(" ", "")
            rows.append((tensor.name, shape, tensor.verdict.value, *numbers))
        return rows

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(
                cell.ljust(width) if number < 3 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        below = list(self._lines())
        width = max((len(label) for label, _ in below), default=0)
        notes = [f"{label:<{width}}  {text}" for label, text in below]
        return "\n".join([self._heading(), "", *table, *([""] if notes else []), *notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A table for notebooks, wrong tensors in red."""
        from html import escape

        colour = "#1a7f37" if self.passed else "#b42318"
        first, _, second = self._heading().partition("\n")
        heading, *rows = self._rows()
        out = [f'<div><p><b style="color:{colour}">{escape(first)}</b><br>{escape(second)}</p>']
        out.append("<table><thead><tr>")
        out += [f"<th>{escape(cell)}</th>" for cell in heading]
        out.append("</tr></thead><tbody>")
        for row, tensor in zip(rows, self.tensors, strict=True):
            bad = "" if tensor.verdict in GOOD else ' style="color:#b42318"'
            out.append(f"<tr{bad}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
        out.append("</tbody></table><dl>")
        out += [f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in self._lines()]
        out.append("</dl></div>")
        return "".join(out)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings, lists and dicts: ready for JSON."""

        def finite(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        return {
            "passed": self.passed,
            "verdict": self.verdict.value,
            "subject": self.subject,
            "seed": self.seed,
            "method": self.method,
            "precision": self.precision,
            "passes": self.passes,
            "extra_passes": self.extra_passes,
            "protocol": {verdict.value: text for verdict, text in self.protocol.items()},
            "warnings": list(self.warnings),
            "hints": list(self.hints),
            "codes": list(self.codes),
            "first_wrong": self.first_wrong,
            "taylor": self.taylor,
            "reproduce": self.reproduce,
            "culprits": [
                {
                    key: finite(number) if isinstance(number, float) else number
                    for key, number in vars(culprit).items()
                }
                for culprit in self.culprits
            ],
            "tensors": [
                {
                    "name": tensor.name,
                    "shape": list(tensor.shape),
                    "verdict": tensor.verdict.value,
                    "error": finite(tensor.error),
                    "resolution": finite(tensor.resolution),
                    "note": tensor.note,
                    "directions": [
                        {
                            "analytic": finite(finding.direction.analytic),
                            "numeric": finite(finding.estimate.value),
                            "bound": finite(finding.estimate.bound),
                            "tolerance": finite(finding.tolerance),
                            "step": finding.estimate.step,
                            "scheme": finding.estimate.scheme,
                            "outcome": finding.outcome.name,
                        }
                        for finding in tensor.findings
                    ],
                }
                for tensor in self.tensors
            ],
        }
