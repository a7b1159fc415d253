"""Pictures in tests and examples: drawn without windows, closed after each test."""

import sys

import pytest

try:
    import matplotlib
except ModuleNotFoundError:  # an extra
    pass
else:
    matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _pictures_are_closed():
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
