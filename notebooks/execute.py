"""Make the notebooks, outputs included: `python notebooks/execute.py [SOURCE.py ...]`.

Each source is text with `# %%` before a cell of code and `# %% [markdown]` before one of prose.
Notebooks are made in full size. The tests run them with the numbers of `# smoke: NUMBER` in place
of those before, and without the assertions that are marked `# full size`.
"""

import base64
import copy
import hashlib
import io
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

SMOKE = re.compile(r"^(\s*\w+ = )\S+  # smoke: (\S+)$", re.MULTILINE)
FULL = re.compile(r"^(\s*)assert .*  # full size$", re.MULTILINE)

SOURCES = sorted(Path(__file__).parent.glob("[0-9]*.py"))

HOUR = 3600
PATIENCE = {"timeout": HOUR, "startup_timeout": HOUR, "iopub_timeout": HOUR}
"""Seconds for a cell, a kernel's start and its outputs: on a busy machine each may take long."""


def from_source(path):
    """The notebook that a source describes, without outputs; the same source, the same bytes."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    return notebook


def smoke(notebook):
    """The same notebook in its smallest size, which says whether it runs, not what it shows."""
    notebook = copy.deepcopy(notebook)
    for cell in code_of(notebook):
        cell.source = SMOKE.sub(r"\1\2", FULL.sub(r"\1pass", cell.source))
    return notebook


def code_of(notebook):
    """Its cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook):
    """A short name for all code of a notebook: another size, another name."""
    code = "\n".join(cell.source for cell in code_of(notebook))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run(notebook):
    """Run all cells in a fresh kernel and keep what they print and draw, and of which code."""
    notebook.metadata["executed"] = digest(notebook)
    options = {"kernel_name": "python3", "record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, **PATIENCE, **options).execute()
    notebook.metadata.pop("language_info", None)  # the interpreter's version, of no interest
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if "text/plain" in data:  # an address in memory is another one in every run
            data["text/plain"] = re.sub(r" at 0x[0-9a-f]+", "", data["text/plain"])
        if "image/png" in data:
            data["image/png"] = small(data["image/png"])
    return notebook


def small(png):
    """The same picture in 128 colours, a third of the size."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(128)
    picture.save(out, "png", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


if __name__ == "__main__":
    for source in [Path(name) for name in sys.argv[1:]] or SOURCES:
        began = time.perf_counter()
        target = source.with_suffix(".ipynb")
        nbformat.write(run(from_source(source)), target)
        seconds = time.perf_counter() - began
        print(f"{target}: {seconds:.1f} s, {target.stat().st_size / 1000:.0f} kB")
