"""What `mlpgrad predict` prints for models that Python has saved is what they predict there."""

import csv
import io

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.network.labels import classes_for
from tests.cli.running import run

ROWS = 12


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def columns(text):
    """The columns of a printed table, by name."""
    head, *rows = csv.reader(io.StringIO(text))
    return dict(zip(head, zip(*rows, strict=True), strict=True))


def saved(folder, loss, outputs, members):
    """A model without training, in a file beside one with rows for it."""
    x = np.random.default_rng(0).normal(size=(ROWS, 2))
    model = mg.Sequential([mg.Dense(2, outputs)], loss=loss, random_state=0, ensemble_size=members)
    model.save(folder / "model.npz")
    np.savetxt(folder / "x.csv", x, delimiter=",", header="a,b", comments="", fmt="%.17g")
    return model, x


OF_NUMBERS = [
    *((loss, 1) for loss in (mg.MeanSquaredError(), mg.Poisson(), mg.Huber())),
    (mg.GaussianNLL(), 2),
    (mg.Quantile([0.05, 0.5, 0.95]), 3),
]


@pytest.mark.parametrize("targets", [1, 2, 3])
@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize(("loss", "per_target"), OF_NUMBERS, ids=lambda each: repr(each))
def test_each_target_has_a_column(capsys, folder, loss, per_target, targets, members):
    model, x = saved(folder, loss, per_target * targets, members)
    code, out, err = run(capsys, "predict", "model.npz", "x.csv")
    assert (code, err) == (0, "")
    found, wanted = columns(out), loss.numbers(np.asarray(model.predict(x), np.float64))
    numbered = [f"prediction {i + 1}" for i in range(targets)]
    assert list(found) == (numbered if targets > 1 else ["prediction"])
    wanted = wanted if members is None else wanted.mean(axis=0)
    np.testing.assert_allclose(np.array([*found.values()], float).T, wanted, rtol=1e-5)


@pytest.mark.parametrize("targets", [1, 2])
def test_each_target_has_its_uncertainty(capsys, folder, targets):
    model, x = saved(folder, mg.GaussianNLL(), 2 * targets, 2)
    code, out, _ = run(capsys, "predict", "model.npz", "x.csv", "--std", "--interval", "0.9")
    found = columns(out)
    names = ["prediction 1", "prediction 2"][:targets] if targets > 1 else ["prediction"]
    ends = ("", "_std", "_low", "_high")
    assert (code, list(found)) == (0, [name + end for end in ends for name in names])
    estimate = model.predict(x, std=True)
    for end, values in zip(ends, (*estimate, *model.predict(x, interval=0.9)), strict=True):
        printed = np.array([found[name + end] for name in names], float).T
        np.testing.assert_allclose(printed, values, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("members", [None, 3])
def test_labels_that_may_apply_together_have_a_column_each(capsys, folder, members):
    model, x = saved(folder, mg.SigmoidCrossEntropy(), 2, members)
    assert classes_for(model.loss, 2) == (2, True)
    average = members is not None
    found = columns(run(capsys, "predict", "model.npz", "x.csv", "--proba")[1])
    names = ["prediction 1", "prediction 2"]
    assert list(found) == [*names, *(f"P({name})" for name in names)]
    printed = np.array([*found.values()], float).T
    np.testing.assert_array_equal(printed[:, :2], model.predict_classes(x, average=average))
    np.testing.assert_allclose(printed[:, 2:], model.predict_proba(x, average=average), rtol=1e-5)
