"""The pytest plugin: a fixture `gradcheck`, its options, and reports where a test fails.

Installed with the package; `-p no:mlpgrad` turns it off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlpgrad.gradcheck import GradientReport

REPORTS = pytest.StashKey[list[Any]]()
USUAL, THOROUGH = 3, 20  # directions in each array


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of every check made through the fixture."""
    group = parser.getgroup("mlpgrad", "gradient checks")
    group.addoption(
        "--gradcheck-seed", type=int, default=0, help="seed of the random directions (default: 0)"
    )
    group.addoption(
        "--gradcheck-thorough",
        action="store_true",
        help=f"{THOROUGH} directions in each array instead of {USUAL}",
    )


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Callable[..., GradientReport]:
    """`gradcheck(model, x, y)` or `gradcheck(f, grad, params)`: fails the test with the report.

    Takes what `mlpgrad.assert_gradients` takes; seed and thoroughness come from the command line
    where the call does not say otherwise.
    """
    from mlpgrad.gradcheck.asserting import check, fails

    config = request.config
    reports = request.node.stash.setdefault(REPORTS, [])
    directions = THOROUGH if config.getoption("--gradcheck-thorough") else USUAL
    usual = {"seed": config.getoption("--gradcheck-seed"), "directions": directions}

    def checked(*args: Any, strict: bool = False, **options: Any) -> GradientReport:
        __tracebackhide__ = True
        report = check(*args, **(usual | options))
        reports.append(report)
        if fails(report, strict=strict):
            pytest.fail(f"gradient check: {report.verdict.value}; see the report below")
        return report

    return checked


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Add the gradient reports of a failed test to what pytest prints of it."""
    outcome: Any = yield
    if outcome.when == "call" and outcome.failed:
        reports: list[Any] = item.stash.get(REPORTS, [])
        for number, report in enumerate(reports, start=1):
            outcome.sections.append((f"gradient check {number}", str(report)))
    return outcome
