"""Every notebook equals its source, runs in a new kernel, and shows the same output."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra `test`")
pytest.importorskip("jupytext", reason="notebooks need the extra `test`")
pytest.importorskip("nbclient", reason="notebooks need the extra `test`")

from notebooks import execute  # noqa: E402

FOLDER = Path(execute.__file__).parent
BYTES = 300_000
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")

each_source = pytest.mark.parametrize("source", execute.SOURCES, ids=lambda path: path.stem)


def cells(notebook):
    return [(cell.id, cell.cell_type, cell.source) for cell in notebook.cells]


def shown(cell):
    """The output of a code cell without digits, which differ between machines."""
    texts = [
        (output.output_type, output.get("name"), output.get("text") or output.data["text/plain"])
        for output in cell.get("outputs", [])
    ]
    return [(kind, name, " ".join(NUMBER.sub("#", text).split())) for kind, name, text in texts]


def test_every_notebook_has_a_source():
    names = [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
    assert names == [path.stem for path in execute.SOURCES]
    assert len(names) > 1


@each_source
def test_a_notebook_is_its_source_with_outputs(source):
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    assert cells(notebook) == cells(execute.from_source(source)), "run notebooks/execute.py"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < BYTES


@each_source
def test_the_outputs_are_those_of_the_full_size(source):
    committed = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    notebook = execute.from_source(source)
    assert committed.metadata["executed"] == execute.digest(notebook), "run notebooks/execute.py"
    smoke = execute.smoke(notebook)
    assert "# smoke" not in str(smoke)
    assert (smoke == notebook) == ("# smoke" not in source.read_text(encoding="utf-8"))


@pytest.mark.notebook
@pytest.mark.slow
@each_source
def test_a_notebook_runs_and_says_the_same_whatever_its_size(source):
    committed = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    fresh = execute.run(execute.smoke(execute.from_source(source)))
    for cell, kept in zip(fresh.cells, committed.cells, strict=True):
        outputs = shown(cell)
        assert not [output for output in outputs if output[1] == "stderr"], "a warning"
        assert outputs == shown(kept), cell.source
