"""The report of a check, as text, HTML and data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.methods import METHODS
from mlpgrad.gradcheck.verdicts import GOOD, Verdict

NUMBERS = ("gradient", "numeric", "+-", "error", "seen from", "scheme", "step")
HEAD = ("tensor", "shape", "verdict", *NUMBERS)


@dataclass
class Culprit:
    """One wrong element of a gradient, found by bisection."""

    name: str
    """For instance `layers[2].weights[0, 3]`."""
    analytic: float
    numeric: float
    bound: float
    step: float

    @property
    def is_wrong(self) -> bool:
        """Whether the difference is larger than its uncertainty."""
        return abs(self.numeric - self.analytic) > self.bound

    def __str__(self) -> str:
        ratio = (
            f", ratio {self.analytic / self.numeric:.6g}"
            if self.numeric and self.analytic and np.isfinite(self.analytic)
            else ""
        )
        return (
            f"{self.name}: gradient says {self.analytic:.9g}, "
            f"numeric {self.numeric:.9g} +- {self.bound:.1g}{ratio}, step {self.step:.0e}"
        )


@dataclass
class TensorReport:
    """What was found in one tensor.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> report = mg.check_gradient(lambda w: (w**2).sum(), lambda w: 3 * w, np.ones(2))
    >>> tensor = report.tensors[0]
    >>> tensor.name, tensor.verdict.name, round(tensor.error, 2)
    ('params', 'FAIL', 0.33)
    """

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    findings: list[Finding] = field(default_factory=list)
    note: str = ""
    hidden: bool = False
    """Whether noise hides all slopes, so that a mistake that matters could be here."""

    @property
    def _deciding(self) -> list[Finding]:
        """The findings behind the verdict: a PASS may be uncertain in a few directions."""
        agrees = [finding for finding in self.findings if finding.outcome is Outcome.AGREES]
        return agrees if self.verdict is Verdict.PASS else self.findings

    @property
    def worst(self) -> Finding | None:
        """The direction with the largest error in units of its tolerance."""
        return max(self._deciding, key=lambda finding: finding.excess, default=None)

    @property
    def error(self) -> float:
        """Largest relative error seen: |numeric - analytic| over the slope's scale."""
        worst = self.worst
        return _relative(worst, abs(worst.error), 0.0) if worst else float("nan")

    @property
    def resolution(self) -> float:
        """The smallest relative error that shows in all directions: tolerance over scale."""
        deciding = self._deciding
        each = (_relative(finding, finding.tolerance, float("inf")) for finding in deciding)
        return max(each, default=float("nan"))

    def row(self) -> tuple[str, ...]:
        """Return the tensor's row of the table."""
        start = self.name, str(self.shape).replace(" ", ""), self.verdict.value
        worst = self.worst
        if worst is None:
            return *start, *([""] * len(NUMBERS))
        return (
            *start,
            f"{worst.direction.analytic:.6g}",
            f"{worst.estimate.value:.6g}",
            f"{worst.tolerance:.0e}",
            f"{self.error:.0e}",
            f"{self.resolution:.0e}" if self.resolution < 1 else "-",
            worst.estimate.scheme.short,
            f"{worst.estimate.step:.0e}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dicts."""
        directions = [
            {key: getattr(finding.estimate, key) for key in ("bound", "step", "scheme")}
            | {"analytic": finding.direction.analytic, "numeric": finding.estimate.value}
            | {"tolerance": finding.tolerance, "outcome": finding.outcome.name}
            for finding in self.findings
        ]
        numbers = {"error": self.error, "resolution": self.resolution, "directions": directions}
        return {key: vars(self)[key] for key in ("name", "shape", "verdict", "note")} | numbers


def _relative(finding: Finding, size: float, otherwise: float) -> float:
    return size / finding.scale if 0 < finding.scale < np.inf else otherwise


def _plain(value: Any) -> Any:
    """Return a value for JSON, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, Culprit):
        return _plain(vars(value))
    if isinstance(value, str):
        return str(value)  # a plain string instead of a verdict or scheme
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value


@dataclass
class GradientReport:
    """Outcome of a gradient check: truthy when it passed, readable when printed.

    Attributes
    ----------
    verdict : Verdict
        PASS, or the most serious finding.
    tensors : list of TensorReport
        The verdict on each parameter array, with its numbers.
    protocol : dict
        Findings about the calls themselves, such as ACCUMULATES, each with an explanation.
    warnings : list of str
        What this check could not have detected (NO_POWER), and what to do about it.
    hints : list of str
        Hints about the error, the most probable first.
    culprits : list of Culprit
        Single wrong elements.
    passes : int
        Forward passes of the check itself; `extra_passes` counts those that locate a failure, and
        `hint_passes` those that explain it.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> point = np.array([1.0, -2.0])
    >>> report = mg.check_gradient(lambda w: (w**2).sum(), lambda w: 3 * w, point)
    >>> bool(report), report.verdict.name, report["params"].shape
    (False, 'FAIL', (2,))
    >>> report.hints
    ['the gradient of params is 1.5 times the correct one throughout']
    >>> ax = mg.plotting.gradient_report(report)
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
    hint_passes: int = 0
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
        mistakes = [v for v in Verdict if v not in (*GOOD, Verdict.INCONCLUSIVE)]
        hidden = [Verdict.NO_POWER] if any(tensor.hidden for tensor in self.tensors) else []
        order = (*mistakes, Verdict.INCONCLUSIVE, *hidden, Verdict.KINK, Verdict.PASS)
        return next((verdict for verdict in order if verdict in found), Verdict.NO_POWER)

    @property
    def passed(self) -> bool:
        """Whether no mistake was found, and at least one tensor could be judged."""
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
        """Yield everything below the table, as (label, text)."""
        yield from self.protocol.items()
        if self.first_wrong:
            yield "where", self.first_wrong
        yield from (("element", str(culprit)) for culprit in self.culprits)
        yield from (("hint", hint) for hint in self.hints)
        if self.taylor is not None:
            expected = "2 for a correct gradient, 1 for a wrong one"
            yield "Taylor", f"slope of the remainder {self.taylor:.2f} ({expected})"
        yield from (("note", f"{t.name}: {t.note}") for t in self.tensors if t.note)
        yield from (("warning", warning) for warning in self.warnings)
        if self.reproduce and not self.passed:
            yield "again", self.reproduce

    def _heading(self) -> str:
        counted = f"{self.passes} forward passes"
        if self.extra_passes:
            counted += f" + {self.extra_passes} to locate"
        if self.hint_passes:
            counted += f" + {self.hint_passes} to explain"
        return (
            f"{self.verdict}: {self.verdict.meaning}\n"
            f"{self.subject}; {METHODS[self.method].title} in {self.precision}, "
            f"{counted}, seed {self.seed}"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [HEAD, *(tensor.row() for tensor in self.tensors)]

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
        """Return a table for notebooks, with wrong tensors in red."""
        from html import escape

        def cells(tag: str, row: tuple[str, ...]) -> str:
            return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)

        green, red = "#1a7f37", "#b42318"
        first, _, second = self._heading().partition("\n")
        colour, (head, *rows) = green if self.passed else red, self._rows()
        table = [f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>"]
        for row, tensor in zip(rows, self.tensors, strict=True):
            wrong = "" if tensor.verdict in GOOD else f' style="color:{red}"'
            table.append(f"<tr{wrong}>{cells('td', row)}</tr>")
        below = [f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in self._lines()]
        return (
            f'<div><p><b style="color:{colour}">{escape(first)}</b><br>{escape(second)}</p>'
            f"{''.join(table)}</tbody></table><dl>{''.join(below)}</dl></div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dicts, ready for JSON."""
        tensors = [tensor.to_dict() for tensor in self.tensors]
        found = vars(self) | {"passed": self.passed, "verdict": self.verdict, "tensors": tensors}
        return _plain(found)  # type: ignore[no-any-return]
