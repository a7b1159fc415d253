"""What the README shows is there, and its figures are those of the results."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_checker_is_taken_from_its_results():
    shown = README.partition("<!-- rows of benchmarks/results/gradcheck_power_full.md -->\n")[2]
    rows = shown.partition("\n\n")[0].splitlines()
    results = (ROOT / "benchmarks/results/gradcheck_power_full.md").read_text(encoding="utf-8")
    assert len(rows) > 10
    assert not set(rows) - set(results.splitlines())


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_to_files(target):
    assert (ROOT / target).is_file()
