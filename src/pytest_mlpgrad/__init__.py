"""pytest plugin: a `gradcheck` fixture, its options, and its reports in the failure section.

It is a separate package so that pytest can load it without importing mlpgrad, which is imported
only by the first test that uses the fixture, when coverage is already being measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlpgrad.gradcheck import GradientReport

THOROUGH_DIRECTIONS = 12


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--gradcheck-seed` and `--gradcheck-thorough`."""
    group = parser.getgroup("gradcheck", "gradient checks (mlpgrad)")
    group.addoption(
        "--gradcheck-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the random directions in gradient checks (default: 0)",
    )
    group.addoption(
        "--gradcheck-thorough",
        action="store_true",
        help=f"check along {THOROUGH_DIRECTIONS} directions in each array instead of 3, and fail "
        f"where a check could not have noticed a mistake",
    )


class GradientChecks:
    """The fixture's value: call it with the arguments of `mlpgrad.assert_gradients`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request = request
        self.seed: int = request.config.getoption("--gradcheck-seed")
        self.thorough: bool = request.config.getoption("--gradcheck-thorough")

    def __call__(self, *args: Any, strict: bool | None = None, **options: Any) -> GradientReport:
        """Check a model, a layer, a loss or a function; fail the test with the report.

        Parameters
        ----------
        *args, **options
            As for `mlpgrad.assert_gradients`.
        strict : bool, optional
            Also fail on NO_POWER; by default with `--gradcheck-thorough`.
        """
        from mlpgrad.gradcheck import assert_gradients

        __tracebackhide__ = True
        options.setdefault("seed", self.seed)
        if self.thorough:
            options.setdefault("directions", THOROUGH_DIRECTIONS)
        try:
            return assert_gradients(
                *args, strict=self.thorough if strict is None else strict, **options
            )
        except AssertionError as error:
            report: GradientReport | None = getattr(error, "report", None)
            if report is None:  # the error is an assertion in the function under test
                raise
        self.request.node.add_report_section("call", "gradient check", str(report))
        reason = next(iter(report.hints), report.first_wrong)
        pytest.fail(f"gradient check: {report.verdict.value} {reason}".strip())


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradientChecks:
    """Check gradients: `gradcheck(model, x, y)`, `gradcheck(layer)`, `gradcheck(f, grad, params)`.

    The report of a wrong gradient is shown in the failure section.
    """
    return GradientChecks(request)
