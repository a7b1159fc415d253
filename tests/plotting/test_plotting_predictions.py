"""Pictures of predictions: the drawn data equal numbers computed here."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import mlpgrad as mg
from mlpgrad import plotting
from mlpgrad.plotting import style
from tests.plotting.pictures import (
    RNG,
    X1,
    X2,
    Y2,
    band,
    binary,
    contour_points,
    labelled,
    network,
    new_axes,
    trained,
)

# decision boundary


def expected_colours(probabilities):
    """Mix white with the colour of the likeliest class, sample by sample, in plain Python."""
    classes = probabilities.shape[-1]
    out = np.empty((*probabilities.shape[:-1], 3))
    for place in np.ndindex(probabilities.shape[:-1]):
        p = list(probabilities[place])
        best = p.index(max(p))
        share = 0.65 * (max(p) - 1 / classes) / (1 - 1 / classes)
        out[place] = [1 - share + share * c for c in to_rgb(style.CLASSES[best])]
    return out


def plane(ax):
    """The centres of the pixels of the image in an Axes, as rows."""
    image = ax.images[0]
    side = image.get_array().shape[0]
    left, right, bottom, top = image.get_extent()
    across, up = (
        (np.arange(side) + 0.5) / side * (b - a) + a for a, b in [(left, right), (bottom, top)]
    )
    return np.array([[u, v] for v in up for u in across])


@pytest.mark.parametrize("size", [None, 5])
def test_decision_boundary_of_two_classes(size):
    model = binary(size)
    trained(model, X2, Y2, epochs=60)
    ax = plotting.decision_boundary(model, X2, Y2, resolution=30, ax=new_axes())
    points = plane(ax)
    assert (points.min(axis=0) < X2.min(axis=0)).all()
    assert (points.max(axis=0) > X2.max(axis=0)).all()
    one = 1 / (1 + np.exp(-model.predict(points)[..., 0]))
    mean = one.mean(axis=0) if size else one
    expected = expected_colours(np.stack([1 - mean, mean], axis=-1))
    drawn = ax.images[0].get_array().reshape(-1, 3)
    np.testing.assert_allclose(drawn, expected, atol=1e-9)
    # one line for each member, then the mean's; within the grid's interpolation error
    for number, line in enumerate(ax.collections[: 1 + (size or 0)]):
        p = 1 / (1 + np.exp(-model.predict(contour_points(line))[..., 0]))
        if size:
            p = p.mean(axis=0) if number == size else p[number]
        assert np.abs(p - 0.5).max() < 0.1
    samples = labelled(ax.collections)
    for k in (0, 1):
        np.testing.assert_allclose(samples[f"class {k}"].get_offsets(), X2[k == Y2])
    assert ("5 networks" in ax.get_title()) == (size == 5)


@pytest.mark.parametrize("size", [None, 3])
def test_decision_boundary_of_many_classes(size):
    model = network(2, 8, 4, loss=mg.SoftmaxCrossEntropy(), size=size, seed=1)
    y = np.arange(len(X2)) % 4
    ax = plotting.decision_boundary(model, X2, y, resolution=25, ax=new_axes())
    points = plane(ax)
    z = np.exp(model.predict(points))
    p = z / z.sum(axis=-1, keepdims=True)
    mean = p.mean(axis=0) if size else p
    drawn = ax.images[0].get_array().reshape(-1, 3)
    np.testing.assert_allclose(drawn, expected_colours(mean), atol=1e-9)
    samples = labelled(ax.collections)
    for k in range(4):
        np.testing.assert_allclose(samples[f"class {k}"].get_offsets(), X2[y == k])


def test_decision_boundary_without_probabilities():
    model = binary(loss=mg.Hinge())
    ax = plotting.decision_boundary(model, X2, Y2, resolution=12, ax=new_axes())
    points = plane(ax)
    yes = (model.predict(points)[:, 0] > 0).astype(float)
    expected = expected_colours(np.stack([1 - yes, yes], axis=-1))
    np.testing.assert_allclose(ax.images[0].get_array().reshape(-1, 3), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "x", "options", "error", "message"),
    [
        (network(3, 1), X2, {}, ValueError, "a model with 2 inputs, got 3; choose two features"),
        (binary(), RNG.random((40, 3)), {}, ValueError, "x expects 2 features"),
        (binary(), X2[:, 0], {}, ValueError, "x expects shape"),
        (binary(), X2[:5], {}, ValueError, "same number of samples"),
        (network(2, 1), X2, {}, TypeError, "classifies, got HalfSquaredError.*regression_surface"),
        (
            network(2, 3, loss=mg.SigmoidCrossEntropy()),
            X2,
            {},
            ValueError,
            "got 3 binary labels",
        ),
        (binary(), X2, {"resolution": 1}, ValueError, "resolution expects an int >= 2, got 1"),
    ],
)
def test_decision_boundary_refuses(model, x, options, error, message):
    with pytest.raises(error, match=message):
        plotting.decision_boundary(model, x, Y2, ax=new_axes(), **options)


# regression


def test_regression_curve_of_one_network():
    model = network(1, 5, 1)
    ax = plotting.regression_curve(model, X1, X1[:, 0] ** 2, resolution=50, ax=new_axes())
    (line,) = ax.lines
    grid = line.get_xdata()
    assert len(grid) == 50
    assert (grid[0] < X1.min(), grid[-1] > X1.max()) == (True, True)
    np.testing.assert_allclose(line.get_ydata(), model.predict(grid[:, None])[:, 0])
    (samples,) = ax.collections
    np.testing.assert_allclose(samples.get_offsets(), np.c_[X1, X1**2])


def test_regression_curve_of_an_ensemble():
    model = network(1, 5, 2, size=4)
    y = np.c_[X1**2, X1**3]
    ax = plotting.regression_curve(model, X1, y, output=1, ax=new_axes())
    (line,) = ax.lines
    members = np.array([model.member(i).predict(line.get_xdata()[:, None])[:, 1] for i in range(4)])
    mean, deviation = members.mean(axis=0), members.std(axis=0)
    np.testing.assert_allclose(line.get_ydata(), mean)
    _, low, high = band(labelled(ax.collections)["disagreement of 4 networks, ± 2 s.d."])
    np.testing.assert_allclose(low, mean - 2 * deviation)
    np.testing.assert_allclose(high, mean + 2 * deviation)
    np.testing.assert_allclose(
        labelled(ax.collections)["samples"].get_offsets()[:, 1], X1[:, 0] ** 3
    )


@pytest.mark.parametrize("size", [None, 3])
def test_regression_curve_with_predicted_noise(size):
    model = network(1, 5, 2, loss=mg.GaussianNLL(), size=size)
    ax = plotting.regression_curve(model, X1, X1**2, ax=new_axes())
    grid = ax.lines[0].get_xdata()
    outputs = model.predict(grid[:, None]).reshape(-1, len(grid), 2)
    means, variances = outputs[..., 0], np.exp(outputs[..., 1])
    # the mean of the members' second moments, minus the square of the mean
    variance = (variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    name = "with the predicted noise, ± 2 s.d." if size else "predicted noise, ± 2 s.d."
    _, low, high = band(labelled(ax.collections)[name])
    np.testing.assert_allclose(low, means.mean(axis=0) - 2 * np.sqrt(variance))
    np.testing.assert_allclose(high, means.mean(axis=0) + 2 * np.sqrt(variance))


def test_regression_curve_of_quantiles_and_of_counts():
    model = network(1, 5, 6, loss=mg.Quantile([0.1, 0.5, 0.9]))
    ax = plotting.regression_curve(model, X1, np.c_[X1, X1], output=1, ax=new_axes())
    outputs = model.predict(ax.lines[0].get_xdata()[:, None])[:, 3:]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), outputs[:, 1])
    _, low, high = band(labelled(ax.collections)["quantiles 0.1 to 0.9"])
    np.testing.assert_allclose(low, outputs[:, [0, 2]].min(axis=1))
    np.testing.assert_allclose(high, outputs[:, [0, 2]].max(axis=1))
    model = network(1, 5, 1, loss=mg.Poisson())
    ax = plotting.regression_curve(model, X1, np.arange(15), ax=new_axes())
    rate = np.exp(model.predict(ax.lines[0].get_xdata()[:, None])[:, 0])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), rate)


@pytest.mark.parametrize("size", [None, 4])
def test_regression_surface(size):
    model = network(2, 6, 1, size=size)
    y = 3 * X2[:, 0] * X2[:, 1]
    ax = plotting.regression_surface(model, X2, y, resolution=60, ax=new_axes())
    filled, samples = ax.collections[0], ax.collections[-1]
    np.testing.assert_allclose(samples.get_offsets(), X2)
    np.testing.assert_allclose(samples.get_array(), y)
    assert samples.norm is filled.norm
    assert samples.cmap is filled.cmap
    levels = filled.levels
    assert levels[0] <= y.min()
    assert levels[-1] >= y.max()
    for path, low, high in zip(filled.get_paths(), levels, levels[1:], strict=False):
        if len(path.vertices):
            values = model.predict(path.vertices)[..., 0]
            values = values.mean(axis=0) if size else values
            slack = 0.1 * (high - low)
            assert low - slack < values.min()
            assert values.max() < high + slack
    if not size:
        assert len(ax.collections) == 2
        return
    lines = ax.collections[1]
    for path, level in zip(lines.get_paths(), lines.levels, strict=True):
        if len(path.vertices):
            deviation = model.predict(path.vertices)[..., 0].std(axis=0)
            np.testing.assert_allclose(deviation, level, rtol=0.1)


def test_regression_surface_shows_predicted_noise():
    model = network(2, 6, 2, loss=mg.GaussianNLL())
    ax = plotting.regression_surface(model, X2, X2[:, 0], resolution=60, ax=new_axes())
    lines = ax.collections[1]
    for path, level in zip(lines.get_paths(), lines.levels, strict=True):
        if len(path.vertices):
            deviation = np.exp(model.predict(path.vertices)[:, 1] / 2)
            np.testing.assert_allclose(deviation, level, rtol=0.02)


def test_regression_surface_of_a_constant():
    model = network(2, 1)
    model.params = 0
    ax = plotting.regression_surface(model, X2, np.zeros(40), resolution=5, ax=new_axes())
    assert ax.collections[0].levels[0] <= 0 < ax.collections[0].levels[-1]


@pytest.mark.parametrize(
    ("draw", "model", "x", "options", "error", "message"),
    [
        (
            "curve",
            network(2, 1),
            X2,
            {},
            ValueError,
            "model with 1 input, got 2.*regression_surface",
        ),
        ("surface", network(1, 1), X1, {}, ValueError, "2 inputs, got 1; .*regression_curve"),
        ("surface", binary(), X2, {}, TypeError, "predicts numbers.*decision_boundary"),
        ("surface", network(2, 1), X2, {"output": 1}, ValueError, "output expects.*0 to 0, got 1"),
    ],
)
def test_regression_refuses(draw, model, x, options, error, message):
    with pytest.raises(error, match=message):
        getattr(plotting, f"regression_{draw}")(model, x, x[:, 0] > 0, ax=new_axes(), **options)


# confusion matrix


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("size", [None, 3])
def test_confusion_matrix(size, normalize):
    model = network(2, 6, 3, loss=mg.SoftmaxCrossEntropy(), size=size, seed=3)
    y = np.where(X2[:, 0] > 0, 2, 0)  # class 1 has no samples
    labels = ["left", "none", "right"]
    options = {"labels": labels, "normalize": normalize}
    ax = plotting.confusion_matrix(model, X2, y, ax=new_axes(), **options)
    members = [model.member(i) for i in range(size)] if size else [model]
    predicted = sum(m.predict_proba(X2) for m in members).argmax(axis=1)
    counts = [[int(((y == i) & (predicted == j)).sum()) for j in range(3)] for i in range(3)]
    drawn = ax.images[0].get_array()
    cells = {tuple(map(int, t.get_position())): t.get_text() for t in ax.texts}
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            value = count / max(sum(row), 1) if normalize else count
            assert drawn[i, j] == pytest.approx(value)
            shown = (f"{value:.2f}" if normalize else str(value)) if value else "0"
            assert cells[j, i] == shown  # columns are predictions
    right = sum(counts[i][i] for i in range(3)) / len(y)
    assert ax.get_title() == f"{right:.1%} of 40 samples are classified correctly"
    assert [t.get_text() for t in ax.get_yticklabels()] == labels


def test_confusion_matrix_of_two_classes_on_one_output():
    model = binary()
    ax = plotting.confusion_matrix(model, X2, Y2, ax=new_axes())
    predicted = model.predict_classes(X2)
    expected = [[((i == Y2) & (predicted == j)).sum() for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_array_equal(ax.images[0].get_array(), expected)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (network(2, 1), {}, TypeError, "classifies, got HalfSquaredError"),
        (binary(), {"labels": ["a"]}, ValueError, "labels expects 2 names, one per class, got 1"),
        (network(2, 2, loss=mg.SigmoidCrossEntropy()), {}, ValueError, "got 2 binary labels"),
    ],
)
def test_confusion_matrix_refuses(model, options, error, message):
    with pytest.raises(error, match=message):
        plotting.confusion_matrix(model, X2, Y2, ax=new_axes(), **options)


# ensemble spread


def test_ensemble_spread_of_numbers():
    model = network(2, 4, 2, size=5)
    y = RNG.normal(scale=0.5, size=(40, 2))
    ax = plotting.ensemble_spread(model, X2, y, output=1, ax=new_axes())
    members = np.array([model.member(i).predict(X2)[:, 1] for i in range(5)])
    order = sorted(range(40), key=lambda i: members[:, i].mean())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), members.mean(axis=0)[order])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 41))
    edges = ax.collections[0].get_paths()[0].vertices
    for rank, i in enumerate(order[:-1], start=1):  # the band is a step around each sample
        drawn = edges[np.isclose(edges[:, 0], rank + 0.5), 1]
        assert np.isclose(drawn, members[:, i].min()).any()
        assert np.isclose(drawn, members[:, i].max()).any()
    marks = labelled(ax.collections)
    inside = {i for i in range(40) if members[:, i].min() <= y[i, 1] <= members[:, i].max()}
    assert 0 < len(inside) < 40
    for label, chosen in (
        ("target in the band", inside),
        ("target outside", {*range(40)} - inside),
    ):
        expected = [(rank, y[i, 1]) for rank, i in enumerate(order, start=1) if i in chosen]
        np.testing.assert_allclose(marks[label].get_offsets(), expected)
    assert f"{len(inside) / 40:.0%} of the targets" in ax.get_title()


@pytest.mark.parametrize("classes", [2, 3])
def test_ensemble_spread_of_classes(classes):
    loss = mg.SoftmaxCrossEntropy() if classes == 3 else mg.SigmoidCrossEntropy()
    model = network(2, 4, classes if classes == 3 else 1, loss=loss, size=4, seed=2)
    ax = plotting.ensemble_spread(model, X2, Y2, ax=new_axes())
    p = np.array([model.member(i).predict_proba(X2) for i in range(4)])
    p = p if classes == 3 else np.concatenate([1 - p, p], axis=-1)
    chosen = p.mean(axis=0).argmax(axis=1)
    members = np.array([[p[m, i, chosen[i]] for i in range(40)] for m in range(4)])
    mean = members.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean[order])
    wrong = [(rank, mean[i]) for rank, i in enumerate(order, start=1) if chosen[i] != Y2[i]]
    assert wrong
    np.testing.assert_allclose(labelled(ax.collections)["wrong class"].get_offsets(), wrong)
    assert f"{len(wrong)} of 40 samples are wrong" in ax.get_title()


@pytest.mark.parametrize("model", [binary(3), network(2, 1, size=3)])
def test_ensemble_spread_without_targets(model):
    ax = plotting.ensemble_spread(model, X2, ax=new_axes())
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "lowest to highest of 3 networks",
        "mean",
    ]


def test_ensemble_spread_of_rates_is_in_the_unit_of_the_counts():
    model = network(2, 4, 1, loss=mg.Poisson(), size=3)
    ax = plotting.ensemble_spread(model, X2, RNG.poisson(1.0, size=40), ax=new_axes())
    rates = np.exp([model.member(i).predict(X2)[:, 0] for i in range(3)])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.sort(rates.mean(axis=0)), rtol=1e-6)


def test_ensemble_spread_of_predicted_means():
    model = network(2, 4, 2, loss=mg.GaussianNLL(), size=3)
    y = RNG.normal(scale=0.5, size=40)
    ax = plotting.ensemble_spread(model, X2, y, ax=new_axes())
    means = np.array([model.member(i).predict(X2)[:, 0] for i in range(3)])
    inside = (means.min(axis=0) <= y) & (y <= means.max(axis=0))
    assert len(labelled(ax.collections)["target in the band"].get_offsets()) == inside.sum() > 0


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (binary(), {}, "expects an ensemble, got one network; build the model with"),
        (network(2, 1, size=2), {"output": 1}, "output expects one of 0 to 0, got 1"),
        (
            network(2, 2, loss=mg.GaussianNLL(), size=2),
            {"y": X2[:, 0], "output": 1},  # the log variance
            "1 for 2 outputs; leave y",
        ),
        (network(2, 2, loss=mg.SigmoidCrossEntropy(), size=2), {}, "got 2 binary labels"),
    ],
)
def test_ensemble_spread_refuses(model, options, message):
    with pytest.raises(ValueError, match=message):
        plotting.ensemble_spread(model, X2, ax=new_axes(), **options)
