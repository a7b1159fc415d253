"""The gallery's pictures, drawn by the lines that stand above them."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

PART = re.compile(r"^```python\n(.*?)^```$|\]\((gallery/\d+\.png)\)", re.DOTALL | re.MULTILINE)


def draw(page: Path) -> None:
    """Run the page's code, and save the figure that each picture's lines leave."""
    matplotlib.use("agg")
    (page.parent / "gallery").mkdir(exist_ok=True)
    names: dict[str, object] = {"__name__": "gallery"}
    for code, picture in PART.findall(page.read_text(encoding="utf-8")):
        if picture:
            plt.gcf().savefig(page.parent / picture, dpi=110, bbox_inches="tight")
            plt.close("all")
        else:
            exec(compile(code, str(page), "exec"), names)
