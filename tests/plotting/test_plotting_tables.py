"""Pictures of models that take tables use the features that the model's encoder makes."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.plotting import (
    confusion_matrix,
    decision_boundary,
    ensemble_spread,
    interval_coverage,
    loss_landscape,
    regression_curve,
)
from mlpgrad.tables import TableEncoder, TargetBins

pytest.importorskip("matplotlib")
ROWS = 60


def table(*columns, seed=0):
    rng = np.random.default_rng(seed)
    made = {"size": rng.normal(500, 100, ROWS), "age": rng.normal(40, 9, ROWS)}
    made["town"] = rng.choice(["Bonn", "Ulm"], ROWS)
    return {name: made[name] for name in columns or made}


def trained(x, y, loss, encoder=None, **options):
    encoder = (encoder or TableEncoder()).plan(x)
    layers = [mg.Dense(encoder.width, 4), mg.Tanh(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=loss, random_state=0, encoder=encoder, **options)
    folds = {"folds": True} if options.get("ensemble_size") else {}
    model.fit(x, y, optimizer=mg.Adam(0.05), epochs=20, verbose=0, **folds)
    return model


@pytest.mark.parametrize("encoder", [TableEncoder(), TableEncoder(TargetBins(3))])
@pytest.mark.parametrize("size", [None, 3])
def test_pictures_of_samples_take_the_table(encoder, size):
    x = table()
    classes = np.where(x["size"] > 500, "large", "small")
    model = trained(x, classes, mg.SigmoidCrossEntropy(), encoder, ensemble_size=size)
    average = {"average": True} if size else {}
    right = int((model.predict_classes(x, **average) == classes).sum())
    counts = confusion_matrix(model, x, classes).images[0].get_array()
    assert counts.trace() == right
    y = x["size"] * 2
    model = trained(
        x, y, mg.MeanSquaredError(), encoder, ensemble_size=size, target_scaling="standard"
    )
    model.uncertainty = mg.Noise.fit(model, x, y)
    low, high = model.predict(x, interval=0.5)
    drawn = interval_coverage(model, x, y).lines[-1].get_xydata()
    at_half = drawn[np.argmin(np.abs(drawn[:, 0] - 0.5)), 1]
    assert at_half == ((low[:, 0] <= y) & (y <= high[:, 0])).mean()
    if size:
        line = ensemble_spread(model, x, y)
        assert "Predictions of the networks" in line.get_title()
    else:
        loss_landscape(model, x, y, resolution=3)


def test_a_plane_of_features_is_that_of_the_encoder():
    x = table("size", "age")
    classes = x["size"] > 500
    model = trained(x, classes, mg.SigmoidCrossEntropy())
    ax = decision_boundary(model, x, classes, resolution=5)
    assert max(np.abs(ax.get_xlim())) < 10  # standard units, not hundreds
    x = table("size")
    y = x["size"] / 100 - 5
    ax = regression_curve(trained(x, y, mg.MeanSquaredError()), x, y)
    assert max(np.abs(ax.get_xlim())) < 10


def test_features_that_differ_by_member_have_no_plane():
    x = table("size")
    classes = x["size"] > 500
    encoder = TableEncoder(TargetBins(2))
    model = trained(x, classes, mg.SigmoidCrossEntropy(), encoder, ensemble_size=2)
    with pytest.raises(ValueError, match=r"same features for all members.*model.member"):
        decision_boundary(model, x, classes)
