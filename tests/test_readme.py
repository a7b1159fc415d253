"""What the README shows is there, and its figures are those of the results."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.printed import curves, layout

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


def test_code_prints_what_stands_below_it():
    names, printed, compared = {}, "", 0
    for language, block in re.findall(r"```(python|text)\n(.*?)```", README, re.DOTALL):
        if language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(block, names)
            printed = output.getvalue()
        else:
            assert layout(printed) == layout(block)
            assert curves(printed) == pytest.approx(curves(block), rel=0.15)
            compared += 1
    assert compared == 2


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_to_files(target):
    assert (ROOT / target).is_file()
