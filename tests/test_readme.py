"""The files that the README links exist, and its figures are those of the results."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import mlpgrad as mg
from tests.printed import curves, layout

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

PAGES = [README, *(page.read_text("utf-8") for page in (ROOT / "docs" / "guide").glob("*.md"))]
TABLES = [
    table for page in PAGES for table in re.findall(r"<!-- rows of (\S+) -->\n((?:\|.*\n)+)", page)
]


def test_the_tables_of_figures_are_found():
    assert len(TABLES) >= 2


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


def headings(page):
    """The anchors that forges make of the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(text):
    """The linked files of this repository in a text."""
    return sorted(set(re.findall(r"\]\(([^):]+)\)", text)))


@pytest.mark.parametrize("target", sorted({*links(README), *links(CONTRIBUTING)}))
def test_links_lead_to_files_and_headings(target):
    path, _, heading = target.partition("#")
    page = ROOT / (path or "README.md")
    assert page.exists()
    assert not heading or heading in headings(page)


READERS = re.findall(r"^\| ([\w ]+) \| .* \| (.*\]\(.*) \| (\d+) \|$", CONTRIBUTING, re.MULTILINE)


def test_the_readers_are_found():
    assert len(READERS) >= 5
    assert all(int(line) < 30 for *_, line in READERS)


@pytest.mark.parametrize(("reader", "places", "line"), READERS)
def test_a_reader_finds_what_they_look_for_near_the_top(reader, places, line):
    top = links("\n".join(README.splitlines()[: int(line)]))
    assert links(places)
    assert set(links(places)) <= set(top)


def test_the_list_of_parts_is_complete():
    """The README names every class of these kinds."""
    kinds = (mg.layers, mg.losses, mg.metrics, mg.optimizers, mg.penalties, mg.initializers)
    bases = {"Activation", "Layer", "Loss", "Metric", "Optimizer", "Schedule"}
    bases |= {"Penalty", "Initializer"}
    for kind in kinds:
        classes = {name for name in kind.__all__ if isinstance(getattr(mg, name), type)}
        named = set(re.findall(r"`(\w+)`", README)) | bases | {"ConstantSchedule"}
        assert not classes - named
