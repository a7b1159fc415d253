"""`import mlpgrad` loads little more than NumPy: the tests count modules, not seconds."""

import subprocess
import sys

HEAVY = {"scipy", "matplotlib", "pandas", "tqdm", "pytest", "IPython", "sklearn", "torch"}


def modules_after(statement):
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_no_heavy_package():
    assert {name.partition(".")[0] for name in modules_after("import mlpgrad")} & HEAVY == set()


def test_importing_loads_hardly_a_module_of_others_beside_numpy():
    numpy, ours = modules_after("import numpy"), modules_after("import mlpgrad")
    foreign = {name for name in ours - numpy if not name.startswith("mlpgrad")}
    assert foreign <= {"__future__", "copy", "errno", "signal", "threading"}, sorted(foreign)


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
