"""Sphinx: `python -m sphinx -W -b html docs OUT`, with the extra `docs`. No network is needed."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE)]

import pictures  # noqa: E402
import reference  # noqa: E402

from mlpgrad._core.version import __version__  # noqa: E402

project = "mlpgrad"
author = "the developers of mlpgrad"
copyright = "the developers of mlpgrad"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "numpydoc",
]
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header"]  # notebooks begin where their text begins

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # their outputs are committed; the tests run them

# the reference
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
default_role = "code"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

# the pages
html_theme = "pydata_sphinx_theme"
html_title = "mlpgrad"
html_show_sourcelink = False
html_copy_source = False
html_theme_options: dict[str, Any] = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["style.css"]


def copy_notebooks() -> None:
    """Put the notebooks, whose home is beside the package, among the pages."""
    target = HERE / "notebooks"
    target.mkdir(exist_ok=True)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for notebook in notebooks:
        shutil.copy(notebook, target)
    entries = "\n".join(notebook.stem for notebook in notebooks)
    tree = f"```{{toctree}}\n:maxdepth: 1\n{entries}\n```\n"
    text = f"# Notebooks\n\nEach runs in a few seconds, and the fifth in about a minute.\n\n{tree}"
    (target / "index.md").write_text(text, encoding="utf-8")


def find_notebooks(app: Any, name: str, text: list[str]) -> None:
    """Lead links to notebooks, which forges find beside `docs`, to their copies within it."""
    text[0] = re.sub(r"\]\(\.\./((?:\.\./)*notebooks/\d)", r"](\1", text[0])


def escape_bars(*event: Any) -> None:
    """Write |y - t| in a formula as it is: reStructuredText takes bars for a substitution."""
    lines = event[-1]
    lines[:] = [re.sub(r"(?<!`)\|(?!`)", r"\\|", line) for line in lines]


def draw_examples(
    app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Put what the examples draw below them."""
    if what in {"class", "exception", "function", "method"}:
        lines.extend(pictures.below(inspect.getdoc(value) or "", HERE / "reference", name))


def setup(app: Any) -> None:
    """Write what is generated before Sphinx looks for pages."""
    copy_notebooks()
    reference.write(HERE / "reference")
    pictures.draw(HERE / "gallery.md")
    app.connect("source-read", find_notebooks)
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
    app.connect("autodoc-process-docstring", draw_examples, priority=910)
