"""`import mlpgrad` loads little more than NumPy: modules are counted, not seconds."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import mlpgrad

HEAVY = {"scipy", "matplotlib", "pandas", "tqdm", "pytest", "IPython", "sklearn", "torch"}


def modules_after(statement):
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_no_heavy_package():
    assert {name.partition(".")[0] for name in modules_after("import mlpgrad")} & HEAVY == set()


def test_importing_loads_at_most_half_as_many_modules_again_as_numpy():
    numpy, ours = modules_after("import numpy"), modules_after("import mlpgrad")
    assert len(ours) <= 1.5 * len(numpy), sorted(ours - numpy)
    foreign = {name for name in ours - numpy if not name.startswith("mlpgrad")}
    assert len(foreign) <= 12, sorted(foreign)


def test_training_needs_no_heavy_package():
    training = (
        "import mlpgrad as mg; x, y = mg.datasets.digits(); "
        "m = mg.Sequential([mg.Dense(64, 8), mg.ReLU(), mg.Dense(8, 10)], "
        "loss=mg.SoftmaxCrossEntropy()); "
        "m.fit(x, y, optimizer=mg.Adam(), epochs=1, verbose=0)"
    )
    assert {name.partition(".")[0] for name in modules_after(training)} & HEAVY == set()


def test_every_submodule_is_reached_by_its_name():
    import mlpgrad as mg

    assert mg.datasets.xor.__module__.startswith("mlpgrad.")
    assert mg.training.__name__ == "mlpgrad.training"


def test_names_that_are_imported_later_are_completed_too():
    code = "import mlpgrad as mg; assert set(mg.__all__) <= set(dir(mg)); assert mg.LivePlot"
    assert "mlpgrad.plotting.live" in modules_after(code)
    assert "mlpgrad.plotting" not in modules_after("import mlpgrad")
    assert "matplotlib" not in modules_after("import mlpgrad as mg; mg.LivePlot; mg.LayerSignals")


def test_pictures_lie_below_the_history_that_calls_them():
    package = Path(mlpgrad.__file__).parent
    for path in (package / "plotting").glob("*.py"):
        assert package / "history.py" not in set(imported(path, package.parent)), path


def imported(path, root):
    """Files of the package that a file imports, also for typing only or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            file = root.joinpath(*name.split(".")).with_suffix(".py")
            if file.exists():
                yield file


@pytest.mark.parametrize("family", ["explanation", "plotting"])
def test_no_file_of_a_family_imports_in_a_circle(family):
    package = Path(mlpgrad.__file__).parent
    files = [path for path in (package / family).glob("*.py") if path.name != "__init__.py"]
    assert len(files) > 5
    imports = {path: set(imported(path, package.parent)) & set(files) for path in files}
    assert sum(map(len, imports.values())) > 5
    assert set(graphlib.TopologicalSorter(imports).static_order()) == set(files)  # or CycleError
