"""The code of the documentation runs and prints what is shown; the names in it exist."""

import contextlib
import importlib
import io
import re
from pathlib import Path

import pytest

import mlpgrad as mg
from tests.printed import curves, layout

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"_build", "notebooks", "reference"} & set(path.relative_to(DOCS).parts)
)
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONAL = re.compile(r"^\s*(?:import|from) (torch|jax|autograd|polars|sklearn|llvmlite)\b", re.M)


def pages(*, with_code=False):
    chosen = [page for page in PAGES if not with_code or BLOCK.search(page.read_text("utf-8"))]
    return pytest.mark.parametrize("page", chosen, ids=lambda page: str(page.relative_to(DOCS)))


def absent(code):
    """The first library that a block imports and that is not installed, or None."""
    for name in OPTIONAL.findall(code):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            return name
    return None


@pages(with_code=True)
def test_code_runs_and_prints_what_stands_below_it(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, printed, skipped = {"__name__": "page"}, "", None
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            skipped = absent(block)
            if skipped is None:
                output = io.StringIO()
                with contextlib.redirect_stdout(output):
                    exec(compile(block, str(page), "exec"), names)
                printed = output.getvalue()
        elif skipped is None:
            assert layout(printed) == layout(block)
            assert curves(printed) == pytest.approx(curves(block), rel=0.15)


@pages()
def test_the_names_in_a_page_exist(page):
    for dotted in re.findall(r"\bmg\.(\w+(?:\.\w+)*)", page.read_text(encoding="utf-8")):
        found = mg
        for name in dotted.split("."):
            found = getattr(found, name)


GENERATED = re.compile(r"docs/(gallery/\d+\.png|reference/index\.rst|notebooks/index\.md)")


@pages()
def test_links_lead_to_files_of_the_repository(page):
    """Links work on forges as well, where nothing is generated."""
    for target in re.findall(r"\]\(([^):#]+)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        assert GENERATED.fullmatch(path.relative_to(ROOT).as_posix()) or path.exists(), target


@pages()
def test_every_page_is_reached_from_the_index(page):
    if page.name == "index.md" and page.parent == DOCS:
        return
    listed = [
        (folder / entry).with_suffix(".md").resolve()
        for index in DOCS.rglob("index.md")
        for folder in [index.parent]
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text("utf-8"), re.DOTALL)
        for entry in tree.splitlines()
        if entry and not entry.startswith(":")
    ]
    assert page.resolve() in listed
