"""The installed tests of scikit-learn's pair, run on ours."""

import re
from pathlib import Path

import pytest

neural_network = pytest.importorskip("sklearn.neural_network")

SOURCE = Path(neural_network.__file__).parent / "tests" / "test_mlp.py"
THEIRS = "from sklearn.neural_network import MLPClassifier, MLPRegressor"

PRIVATE = {"test_gradient": "calls _loss_grad_lbfgs; ours is checked in test_dropin.py"}
"""Tests of private functions of scikit-learn's classes, with the reason for leaving them out."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCE.exists(), reason="scikit-learn is installed without its tests"),
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]


@pytest.fixture
def global_random_seed():
    return 0


def theirs():
    """The tests of the installed version, which import our pair instead."""
    text = SOURCE.read_text("utf-8")
    assert text.count(THEIRS) == 1
    found = {"__name__": __name__}
    exec(
        compile(
            text.replace(THEIRS, "from mlpgrad.sklearn import MLPClassifier, MLPRegressor"),
            SOURCE,
            "exec",
        ),
        found,
    )
    return {name: value for name, value in found.items() if name.startswith("test_")}


TESTS = theirs() if SOURCE.exists() else {}
globals().update({name: test for name, test in TESTS.items() if name not in PRIVATE})


def test_what_is_left_out_exists_and_calls_private_functions():
    text = SOURCE.read_text("utf-8")
    for name in PRIVATE:
        body = re.search(rf"def {name}\(.*?(?=\n(?:@|def ))", text, re.DOTALL).group()
        assert "._loss_grad_lbfgs(" in body


def test_that_many_are_run():
    assert len(TESTS) - len(PRIVATE) >= 40
