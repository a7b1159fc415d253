"""Every notebook runs from a fresh kernel, each cell in under a minute; their asserts must hold."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra `test`")
nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra `test`")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of the kernel's transport, not of ours
def test_a_notebook_runs_in_full(path):
    notebook = nbformat.read(path, as_version=4)
    committed = [
        output.output_type for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    assert committed, "commit the notebook with its outputs"
    assert "error" not in committed
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
