"""What the README shows is there, and its figures are those of the results."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


TABLES = re.findall(r"<!-- rows of (\S+) -->\n((?:\|.*\n)+)", README)


def test_every_table_says_where_its_rows_are_from():
    assert len(TABLES) == 2
    assert sum(len(rows.splitlines()) for _, rows in TABLES) == README.count("\n|")


@pytest.mark.parametrize(("source", "rows"), TABLES, ids=[source for source, _ in TABLES])
def test_tables_are_taken_from_results(source, rows):
    results = (ROOT / source).read_text(encoding="utf-8").splitlines()
    assert len(rows.splitlines()) > 10
    assert not set(rows.splitlines()) - set(results)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_to_files(target):
    assert (ROOT / target).is_file()
