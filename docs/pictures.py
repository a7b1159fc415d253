"""Pictures that the lines above them have drawn: of the gallery, and of examples in docstrings."""

from __future__ import annotations

import contextlib
import doctest
import html
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

import mlpgrad as mg

PART = re.compile(r"^```python\n(.*?)^```$|\]\((gallery/\d+\.png)\)", re.DOTALL | re.MULTILINE)
DRAWS = re.compile(r"\bplotting\.|\.plot\(|\bexplain\(|\bLivePlot\(")
LOOK: dict[str, Any] = {"dpi": 110, "bbox_inches": "tight"}


def draw(page: Path) -> None:
    """Run the page's code, and save the figure that each picture's lines leave."""
    matplotlib.use("agg")
    (page.parent / "gallery").mkdir(exist_ok=True)
    names: dict[str, object] = {"__name__": "gallery"}
    for code, picture in PART.findall(page.read_text(encoding="utf-8")):
        if picture:
            plt.gcf().savefig(page.parent / picture, **LOOK)
            plt.close("all")
        else:
            exec(compile(code, str(page), "exec"), names)


def below(docstring: str, folder: Path, name: str) -> list[str]:
    """Run the examples of a docstring that draw; what is to stand below them, as a page's lines.

    The figure that they leave becomes `name`.png in the folder `pictures`, and an explanation is
    shown as the page that `to_html` writes. Examples that draw nothing add nothing.
    """
    parts = doctest.DocTestParser().get_examples(docstring)
    if not DRAWS.search("".join(part.source for part in parts)):
        return []
    matplotlib.use("agg")
    plt.close("all")
    names: dict[str, Any] = {"__name__": "example"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for part in parts:
            if not part.options.get(doctest.SKIP):
                exec(compile(part.source, name, "single"), names)
    lines = []
    if plt.get_fignums():
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        plt.gcf().savefig(folder / "pictures" / f"{name}.png", **LOOK)
        plt.close("all")
        lines += ["", f".. image:: /reference/pictures/{name}.png", f"   :alt: {name}, drawn", ""]
    for value in names.values():
        if isinstance(value, mg.Explanation):
            lines += ["", ".. raw:: html", "", *frame(value, folder / f"{name}.html"), ""]
    return lines


def frame(explanation: mg.Explanation, path: Path) -> list[str]:
    """The page of an explanation within another page; the file serves to write it only."""
    page = html.escape(explanation.to_html(path).read_text(encoding="utf-8"))
    path.unlink()
    tag = f'<iframe title="explanation" width="100%" height="640" srcdoc="{page}"></iframe>'
    return [f"   {line}" for line in tag.splitlines()]
