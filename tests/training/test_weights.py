"""Weights of samples and classes: `fit` minimizes sum(w l) / sum(w) over the training rows."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.derivatives.objective import Objective
from mlpgrad.training import choose_step
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep
from tests.kinds import FEATURES, every_case, every_layer, every_loss, loss_case, one_and_many

RNG = np.random.default_rng(0)
N = 29
X = RNG.normal(size=(N, 5))
Y = np.r_[0, 1, 2, RNG.integers(0, 3, N - 3)]
CLASSES = {0: 1.0, 1: 100.0, 2: 0.01}
ONE_EACH, ONE_A_MEMBER = 3 * RNG.random(N) ** 3, 40 * RNG.random((3, N)) ** 2


def network(size=None, norm=False):
    layers = [mg.Dense(5, 6), mg.Tanh(), mg.Dense(6, 3)]
    return mg.Sequential(
        [mg.BatchNorm(5), *layers] if norm else layers,
        loss=mg.SoftmaxCrossEntropy(),
        dtype="float64",
        random_state=0,
        ensemble_size=size,
    )


class Watching(mg.SGD):
    """Records the gradients, and does not move the weights."""

    def __init__(self):
        super().__init__(0.0)
        self.seen = []

    def step(self, params, grads):
        self.seen.append(grads.copy())
        super().step(params, grads)


WEIGHTS = {
    "samples": ({"sample_weight": ONE_EACH}, None, ONE_EACH),
    "members": ({"sample_weight": ONE_A_MEMBER}, 3, ONE_A_MEMBER),
    "members share": ({"sample_weight": ONE_EACH}, 3, ONE_EACH),
    "classes": ({"class_weight": CLASSES}, None, np.array([1.0, 100.0, 0.01])[Y]),
    "balanced": ({"class_weight": "balanced"}, None, 1 / np.bincount(Y)[Y]),
    "classes and samples": (
        {"class_weight": CLASSES, "sample_weight": ONE_A_MEMBER},
        3,
        ONE_A_MEMBER * np.array([1.0, 100.0, 0.01])[Y],
    ),
}


@pytest.mark.parametrize("kind", [LayerStep, RecordedStep])
@pytest.mark.parametrize("batch_size", [1, 7, N])
@pytest.mark.parametrize("way", WEIGHTS)
def test_an_epochs_mean_gradient_is_that_of_the_objective(way, batch_size, kind, monkeypatch):
    options, size, weights = WEIGHTS[way]
    monkeypatch.setattr(kind, "serves", lambda *_: True)
    monkeypatch.setattr(choose_step, "STEPS", [kind])
    model, optimizer = network(size), Watching()
    history = model.fit(
        X, Y, optimizer=optimizer, epochs=2, batch_size=batch_size, verbose=0, **options
    )
    first = optimizer.seen[: len(optimizer.seen) // 2]
    rows = np.full(len(first), batch_size)
    rows[-1] = N - rows[:-1].sum()
    mean = np.average(first, axis=0, weights=rows)
    loss = model.backpropagate(X, Y, sample_weight=weights)
    np.testing.assert_allclose(mean, model.grads, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(history["loss"], [loss, loss], rtol=1e-12)
    np.testing.assert_allclose(
        model.evaluate(X, Y, sample_weight=weights)["loss"], loss, rtol=1e-12
    )


def test_ranks_divide_by_the_mean_weight_of_all_their_rows():
    from tests.training.test_ranks import joined

    mine = [slice(0, 12), slice(12, N)]
    weights = np.r_[np.full(12, 0.1), np.full(N - 12, 5.0)]
    results, _ = joined(
        lambda rank: network(),
        lambda rank: (X[mine[rank]], Y[mine[rank]]),
        optimizer=lambda: mg.SGD(0.1),
        weights=lambda rank: weights[mine[rank]],
    )
    alone = network()
    history = alone.fit(
        X, Y, optimizer=mg.SGD(0.1), sample_weight=weights, epochs=4, batch_size=N, verbose=0
    )
    for model, found in results:
        np.testing.assert_allclose(model.params, alone.params, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found["loss"], history["loss"], rtol=1e-12)
    errors, _ = joined(
        lambda rank: network(),
        lambda rank: (X[mine[rank]], Y[mine[rank]]),
        optimizer=lambda: mg.SGD(0.1),
        weights=lambda rank: weights[mine[rank]] if rank else None,
    )
    assert all("some ranks have sample weights" in str(error) for error in errors)


def test_a_stream_divides_by_the_rows_of_the_batch():
    optimizer = Watching()
    weights = np.full(N, 5.0)
    model = network()
    model.fit([[X, Y, weights]], optimizer=optimizer, epochs=1, verbose=0)
    model.backpropagate(X, Y)
    np.testing.assert_allclose(optimizer.seen[0], 5 * model.grads, rtol=1e-12)


# repetition

COUNTS = np.array([2, 1, 3, 1])


def normalised(cls, size=None):
    """A loss's example behind a BatchNorm and one within a Residual, with data."""
    inner, x, y = loss_case(cls, size=size)
    twin = mg.Sequential(
        [
            mg.Residual([mg.BatchNorm(FEATURES)]),
            mg.BatchNorm(FEATURES),
            *(type(a)(**a.config()) for a in inner.layers),
        ],
        loss=inner.loss.reader(),
        dtype="float64",
        random_state=0,
        ensemble_size=size,
    )
    return twin, x, y


def assert_same_network(ours, theirs, rtol=1e-11):
    np.testing.assert_allclose(ours.params, theirs.params, rtol=rtol, atol=1e-13)
    np.testing.assert_allclose(ours.state, theirs.state, rtol=rtol, atol=1e-13)
    np.testing.assert_allclose(ours.grads, theirs.grads, rtol=rtol, atol=1e-13)


@every_loss
@one_and_many
def test_a_weight_is_a_number_of_repetitions(cls, size):
    weighted, x, y = normalised(cls, size)
    repeated, _, _ = normalised(cls, size)
    rows = np.repeat(np.arange(len(x)), COUNTS)
    value = weighted.backpropagate(x, y, sample_weight=COUNTS)
    np.testing.assert_allclose(value, repeated.backpropagate(x[rows], y[rows]), rtol=1e-12)
    assert_same_network(weighted, repeated)
    options = {"optimizer": mg.SGD(0.05), "epochs": 5, "batch_size": 99, "verbose": 0}
    history = weighted.fit(x, y, sample_weight=COUNTS, **options)
    expected = repeated.fit(x[rows], y[rows], **options | {"optimizer": mg.SGD(0.05)})
    assert_same_network(weighted, repeated)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-11)
    ours, theirs = (
        weighted.evaluate(x, y, sample_weight=COUNTS),
        repeated.evaluate(x[rows], y[rows]),
    )
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-11)


def test_two_rows_of_weight_two_are_four_rows_in_the_unbiased_variance():
    x = np.array([[1.0], [4.0]])
    model = mg.Sequential([mg.BatchNorm(1, momentum=1.0)], loss=mg.MeanSquaredError())
    model.backpropagate(x, x, sample_weight=[2, 2])
    assert model.state == pytest.approx([2.5, np.var([1, 1, 4, 4], ddof=1)])
    model.backpropagate(x, x, sample_weight=[1e-3, 1e-3])  # weights that sum to less than a row
    assert model.state == pytest.approx([2.5, np.var([1, 4], ddof=1)])


# weight 0


@every_case
@one_and_many
def test_a_row_of_weight_zero_moves_nothing(case, cls, size):
    model, x, y = case(cls, size=size)
    alone, _, _ = case(cls, size=size)
    others, outlier = np.ones(len(x)), np.full((1, x.shape[-1]), 1e6)
    longer = np.concatenate([x, outlier]), np.concatenate([y, y[:1]])
    with np.errstate(over="ignore", invalid="ignore"):  # a Poisson loss is infinite there
        value = model.backpropagate(*longer, sample_weight=np.r_[others, 0.0])
    np.testing.assert_allclose(value, alone.backpropagate(x, y), rtol=1e-10)
    np.testing.assert_allclose(model.grads, alone.grads, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.state, alone.state, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("size", [None, 3])
def test_a_minibatch_of_weight_zero_moves_nothing(size, streamed):
    model, alone = network(size, norm=True), network(size, norm=True)
    weights = np.r_[np.ones(20), np.zeros(N - 20)]
    order = {"epochs": 1, "shuffle": False, "batch_size": 10, "verbose": 0}
    if streamed:
        fit(model, [[X[:20], Y[:20]], [X[20:], Y[20:], weights[20:]]], None)
        fit(alone, [[X[:20], Y[:20]]], None)
    else:  # the steps are larger, since fewer of them move the weights
        model.fit(X, Y, sample_weight=weights, optimizer=mg.SGD(0.1 * 20 / N), **order)
        alone.fit(X[:20], Y[:20], optimizer=mg.SGD(0.1), **order)
    np.testing.assert_allclose(model.params, alone.params, rtol=1e-12)
    np.testing.assert_allclose(model.state, alone.state, rtol=1e-12)


@every_layer
@one_and_many
def test_the_checker_agrees_with_weights(cls, size):
    layers = [mg.Dense(FEATURES, FEATURES), cls.example()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), random_state=0, ensemble_size=size)
    x, y = RNG.normal(size=(6, FEATURES)), RNG.normal(size=(6, model.out_features))
    weights = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])
    report = mg.check_gradients(model, x, y, sample_weight=weights, seed=0)
    assert report, str(report)


# validation


@pytest.mark.parametrize("sample_weight", [None, ONE_EACH])
def test_class_weights_never_enter_validation(sample_weight):
    found = {}
    order = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    for class_weight in (None, CLASSES, "balanced"):
        split, given = network(), network()
        options = {"class_weight": class_weight, **order}
        history = split.fit(
            X, Y, sample_weight=sample_weight, validation_split=9 / N, validation_shuffle=False,
            optimizer=Watching(), **options,
        )  # fmt: skip
        w = sample_weight
        held_out = (X[20:], Y[20:]) if w is None else (X[20:], Y[20:], w[20:])
        expected = given.fit(
            X[:20], Y[:20], sample_weight=None if w is None else w[:20],
            validation_data=held_out, optimizer=Watching(), **options,
        )  # fmt: skip
        assert dict(history) == dict(expected)
        found[str(class_weight)] = history["val_loss"], history["val_accuracy"]
    assert found["None"] == found[str(CLASSES)] == found["balanced"]


def test_balanced_counts_the_training_rows_alone():
    y = np.r_[np.zeros(10, int), np.ones(5, int), np.full(5, 2), np.full(9, 1)]
    ours, by_hand = network(), network()
    options = {"validation_split": 9 / N, "validation_shuffle": False, "shuffle": False}
    fit(ours, X, y, class_weight="balanced", **options)
    fit(by_hand, X, y, class_weight={0: 20 / 30, 1: 20 / 15, 2: 20 / 15}, **options)
    np.testing.assert_array_equal(ours.params, by_hand.params)


def test_balanced_counts_a_sample_of_weight_two_as_two():
    weights = np.random.default_rng(1).integers(0, 4, N)
    ours, repeated = network(), network()
    fit(ours, X, Y, class_weight="balanced", sample_weight=weights)
    rows = np.repeat(np.arange(N), weights)
    fit(repeated, X[rows], Y[rows], class_weight="balanced", batch_size=len(rows))
    np.testing.assert_allclose(ours.params, repeated.params, rtol=1e-10)


@pytest.mark.parametrize("own", ["targets", "weights"])
def test_balanced_counts_the_samples_of_each_member(own):
    y = np.array([Y, Y[::-1], (Y + 1) % 3]) if own == "targets" else Y
    weights = ONE_A_MEMBER if own == "weights" else None
    ensemble = network(3)
    alone = [ensemble.member(i) for i in range(3)]
    fit(ensemble, X, y, class_weight="balanced", sample_weight=weights)
    for i, model in enumerate(alone):
        w = None if weights is None else weights[i]
        fit(model, X, y[i] if own == "targets" else y, class_weight="balanced", sample_weight=w)
        np.testing.assert_allclose(ensemble.params[i], model.params, rtol=1e-10)


# errors


def changed(at, value):
    weights = np.ones(N)
    weights[at] = value
    return weights


BAD = {
    "negative": (changed(3, -1.0), ValueError, r"no negative number, got -1.0 at .*\[3\]"),
    "NaN": (changed(4, np.nan), ValueError, r"finite numbers, got nan at sample_weight\[4\]"),
    "infinite": (changed(5, np.inf), ValueError, r"finite numbers, got inf at sample_weight\[5\]"),
    "overflowing": (changed(6, 1e39), ValueError, r"float32 can hold, got 1e\+39 at .*\[6\]"),
    "vanishing": (changed(7, 1e-46), ValueError, r"float32 can hold, got 1e-46 at .*\[7\]"),
    "large sum": (np.full(N, 3e37), ValueError, "a sum that float32 can hold, got 8.7"),
    "text": (np.full(N, "1"), TypeError, "sample_weight expects numbers, got strings"),
    "complex": (np.ones(N) + 1j, TypeError, "sample_weight expects real numbers"),
    "one member": (np.eye(3, N)[[0, 0, 2]] * -1.0, ValueError, r"-1.0 at sample_weight\[0, 0\]"),
}
ALL_ZERO = {
    "zero": (np.zeros(N), "all weights of the samples are 0"),
    "zero for a member": (np.eye(3, N) * [[1], [0], [1]], "all weights of .* for member 1 are 0"),
}


def fit(model, x=X, y=Y, **options):
    return model.fit(x, y, optimizer=mg.SGD(0.1), epochs=1, verbose=0, **options)


def entries(model):
    return {
        "fit": lambda w: fit(model, sample_weight=w),
        "validation": lambda w: fit(model, validation_data=(X, Y, w)),
        "evaluate": lambda w: model.evaluate(X, Y, sample_weight=w),
        "backpropagate": lambda w: model.backpropagate(X, Y, sample_weight=w),
        "objective": lambda w: model.objective(X, Y, sample_weight=w),
        "stream": lambda w: fit(model, [[X, Y, w]], None),
    }


def ensemble():
    return mg.Sequential(
        [mg.Dense(5, 3)], loss=mg.SoftmaxCrossEntropy(), ensemble_size=3, random_state=0
    )


@pytest.mark.parametrize("entry", entries(None))
@pytest.mark.parametrize("case", BAD)
def test_numbers_that_are_no_weights_are_refused_with_their_place(entry, case):
    weights, error, message = BAD[case]
    with pytest.raises(error, match=message):
        entries(ensemble())[entry](weights)


@pytest.mark.parametrize("entry", ["fit", "validation", "evaluate"])
@pytest.mark.parametrize("case", ALL_ZERO)
def test_weights_that_are_all_zero_are_refused(entry, case):
    weights, message = ALL_ZERO[case]
    with pytest.raises(ValueError, match=message):
        entries(ensemble())[entry](weights)


@pytest.mark.parametrize(
    ("weights", "rows"), [(np.arange(N) < 20, "held-out"), (np.arange(N) >= 20, "training")]
)
def test_a_split_with_nothing_on_one_side_is_refused(weights, rows):
    with pytest.raises(ValueError, match=f"all weights of the {rows} rows are 0"):
        fit(network(), sample_weight=weights, validation_split=9 / N, validation_shuffle=False)


def test_the_advice_about_weights_works():
    for weights in (np.full(N, 3e37), np.full(N, 1e-46)):
        with pytest.raises(ValueError, match="; divide by the mean"):
            fit(ensemble(), sample_weight=weights)
        fit(ensemble(), sample_weight=weights / weights.mean())
    with pytest.raises(ValueError, match='; write 0, or make the model with dtype="float64"'):
        fit(ensemble(), sample_weight=changed(7, 1e-46))
    fit(ensemble(), sample_weight=changed(7, 0.0))
    fit(network(), sample_weight=changed(7, 1e-46))


class Series:
    """A class weight in the form of another library."""

    def to_dict(self):
        return CLASSES


BAD_CLASSES = {
    "list": ([1, 2, 3], TypeError, r"got list; write class_weight=dict\(enumerate\(\[1, 2, 3\]\)"),
    "array": (np.ones(3), TypeError, r"got ndarray; write .*dict\(enumerate\(\[1.0, 1.0, 1.0\]\)"),
    "series": (Series(), TypeError, r"got Series; write class_weight=class_weight.to_dict\(\)"),
    "number": (2.0, TypeError, "expects a dict such as .*, got float"),
    "unknown key": ({**CLASSES, 7: 1.0}, ValueError, r"got 7; the labels are \[0, 1, 2\]"),
    "text key": ({"0": 1.0, 1: 1.0, 2: 1.0}, ValueError, "labels of y as keys, got '0'"),
    "missing": ({0: 1.0}, ValueError, r"missing: \[1, 2\]"),
    "negative": ({**CLASSES, 1: -1.0}, ValueError, "got -1.0 for class 1"),
    "NaN": ({**CLASSES, 1: np.nan}, ValueError, "got nan for class 1"),
    "infinite": ({**CLASSES, 2: np.inf}, ValueError, "got inf for class 2"),
    "text": ({**CLASSES, 2: "1"}, ValueError, "got '1' for class 2"),
    "zero": (dict.fromkeys(range(3), 0.0), ValueError, "all weights of the training rows are 0"),
    "vanishing": ({**CLASSES, 2: 1e-46}, ValueError, "class_weight expects numbers that float32"),
    "word": ("balance", ValueError, "\"balanced\", got 'balance'"),
}


@pytest.mark.parametrize("case", BAD_CLASSES)
def test_what_is_no_class_weight_is_told_what_to_write(case):
    weights, error, message = BAD_CLASSES[case]
    with pytest.raises(error, match=message) as caught:
        fit(ensemble(), class_weight=weights)
    if "; write class_weight=" in str(caught.value):
        advice = str(caught.value).split("; write class_weight=")[1]
        fit(ensemble(), class_weight=eval(advice, {"class_weight": weights}))


def test_class_weights_are_keyed_by_the_labels_of_y():
    y = np.where(Y == 0, -1, 1)
    runs = []
    for labels, weights in ((y, {-1: 3.0, 1: 0.5}), (y == 1, {False: 3.0, True: 0.5})):
        model = mg.Sequential([mg.Dense(5, 1)], loss=mg.Hinge(), random_state=0)
        fit(model, X, labels, class_weight=weights)
        runs.append(model.params.copy())
    np.testing.assert_array_equal(*runs)
    model = mg.Sequential([mg.Dense(5, 1)], loss=mg.Hinge(), random_state=0)
    with pytest.raises(ValueError, match=r"got 0; the labels are \[-1, 1\]"):
        fit(model, X, y, class_weight={0: 3.0, 1: 0.5})
    absent = {0: 1.0, 1: 1.0, 2: 1.0}  # a class of the network need not occur
    fit(network(), X, Y.clip(max=1), class_weight=absent)


@pytest.mark.parametrize("batch_size", [None, 10])
def test_methods_that_see_all_rows_have_the_same_objective(batch_size):
    model = network(norm=batch_size is None)  # BatchNorm uses the statistics of a part
    checked = model.checked(X, Y, ONE_EACH)
    objective = Objective(model, *checked, batch_size=batch_size)
    value, grads = objective.value_and_grads(model.params)
    loss = model.copy().backpropagate(X, Y, sample_weight=ONE_EACH)
    np.testing.assert_allclose(value, loss, rtol=1e-12)
    v, h = RNG.normal(size=model.params.shape), 1e-6
    up, down = (objective.value_and_grads(model.params + s * h * v)[1] for s in (1, -1))
    np.testing.assert_allclose(
        objective.product(model.params, v), (up - down) / (2 * h), rtol=1e-6, atol=1e-8
    )
    assert grads.shape == model.params.shape


@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_weights_in_every_dtype(dtype):
    twin = network(norm=True)
    model = twin.lifted(dtype)
    weights = np.linspace(0, 2, N)
    for one in (model, twin):
        one.fit(X, Y, sample_weight=weights, optimizer=mg.SGD(0.1), epochs=2, verbose=0)
    assert model.params.dtype == dtype
    tolerance = 30 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(model.params, twin.params, rtol=tolerance, atol=max(tolerance, 1e-9))
