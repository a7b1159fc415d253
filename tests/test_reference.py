"""Every public name has a reference page with an example, and a picture if it draws."""

import importlib
import inspect
import types

import pytest

import mlpgrad as mg
from docs import reference

LISTED = [
    (module, name)
    for _, module, _ in reference.FAMILIES.values()
    for name in reference.names(module)
]


def named(dotted):
    module, name = dotted.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


RESULTS = [(*dotted.rsplit(".", 1),) for of in reference.RESULTS.values() for dotted in of]
each = pytest.mark.parametrize(("module", "name"), [*LISTED, *RESULTS])


def test_every_public_name_has_a_page():
    shown = {reference.shown(module, name) for module, name in LISTED}
    families = {name for name in mg.__all__ if isinstance(getattr(mg, name), types.ModuleType)}
    assert {f"mlpgrad.{name}" for name in mg.__all__} - shown == {f"mlpgrad.{n}" for n in families}
    for family in families:
        assert {f"mlpgrad.{family}.{name}" for name in getattr(mg, family).__all__} <= shown | {
            f"mlpgrad.{family}.{name}" for name in mg.__all__
        }


@each
def test_every_public_name_has_an_example(module, name):
    assert ">>> " in inspect.getdoc(named(f"{module}.{name}"))


DRAWING = [
    *(f"mlpgrad.plotting.{name}" for name in mg.plotting.__all__),
    "mlpgrad.History",
    "mlpgrad.GradientReport",
    "mlpgrad.range_test.RangeTest",
    "mlpgrad.explain",
]


@pytest.mark.parametrize("dotted", DRAWING)
def test_a_name_that_draws_has_a_picture(dotted, tmp_path):
    pictures = pytest.importorskip("docs.pictures")
    lines = pictures.below(inspect.getdoc(named(dotted)), tmp_path, dotted)
    drawn = [path for path in (tmp_path / "pictures").glob("*") if path.stat().st_size > 2_000]
    pages = [line for line in lines if "<iframe" in line]
    assert any(".. image::" in line or ".. raw:: html" in line for line in lines)
    assert len(drawn) + len(pages) == 1


def test_examples_that_draw_nothing_are_not_run(tmp_path):
    pictures = pytest.importorskip("docs.pictures")
    assert pictures.below(">>> raise ValueError", tmp_path, "name") == []
