"""The pytest plugin, in separate runs of pytest."""

import pytest

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np

def value(p):
    return float((p ** 2).sum())

def test_right(gradcheck):
    report = gradcheck(value, lambda p: 2 * p, np.arange(1.0, 4.0))
    assert report.verdict.value == "PASS"

def test_wrong(gradcheck):
    gradcheck(value, lambda p: 2.5 * p, np.arange(1.0, 4.0))

def test_model(gradcheck):
    import mlpgrad as mg
    model = mg.Sequential([mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)],
                          loss=mg.SigmoidCrossEntropy(), random_state=0)
    gradcheck(model, *mg.datasets.xor())
    gradcheck(mg.Dense(3, 4))
    gradcheck(mg.HalfSquaredError())
"""


@pytest.fixture
def run(pytester):
    pytester.makepyfile(TESTS)
    return lambda *arguments: pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_the_fixture_fails_a_wrong_gradient_with_the_report(run):
    result = run()
    result.assert_outcomes(passed=2, failed=1)
    output = result.stdout.str()
    assert "gradient check: FAIL" in output
    assert "Captured gradient check call" in output
    assert "ratio 1.25" in output
    assert "seed 0" in output


def test_seed_and_thoroughness_reach_the_check(run):
    output = run("--gradcheck-seed", "7", "--gradcheck-thorough").stdout.str()
    assert "seed 7" in output
    run("--gradcheck-thorough").assert_outcomes(passed=2, failed=1)


def test_the_library_works_without_pytest():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['pytest'] = None; import numpy as np, mlpgrad as mg; "
        "mg.assert_gradients(lambda p: float(p @ p), lambda p: 2 * p, np.ones(3))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
