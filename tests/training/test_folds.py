"""Fold-out members train on all folds but one, stop on that fold, and predict it."""

import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import minibatch
from mlpgrad.training.folds import FoldBatches, Split, fold_of_rows
from tests.kinds import every_loss

MEMBERS = 3


def regression(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    return x, (x @ [[1.0], [-2.0]] + 0.3 * rng.normal(size=(rows, 1))) + 3


def classes(rows=90, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [rows // 2, rows // 3, rows - rows // 2 - rows // 3])
    return rng.normal(size=(rows, 2)) + y[:, None], y


def network(loss=None, outputs=1, size=MEMBERS, dtype="float64", first=(), last=(), **options):
    return mg.Sequential(
        [*first, mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, outputs), *last],
        loss=loss or mg.MeanSquaredError(),
        dtype=dtype,
        random_state=0,
        ensemble_size=size,
        **options,
    )


def left_out(history, member):
    return history.folds == member % (history.folds.max() + 1)


def fit(model, x, y, **options):
    options = {"optimizer": mg.Adam(0.02), "epochs": 5, "verbose": 0, "folds": True} | options
    return model.fit(x, y, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"target_scaling": "standard"}])
def test_each_member_is_trained_as_if_alone_on_the_other_folds(options, weighted):
    x, y = regression()
    weights = np.random.default_rng(1).uniform(0.5, 2, 60) if weighted else None
    first = [mg.Standardize(2)] if options else []
    model = network(first=first, **options)
    alone = [model.member(j) for j in range(MEMBERS)]
    history = fit(model, x, y, shuffle=False, batch_size=16, sample_weight=weights)
    for j, single in enumerate(alone):
        rows = ~left_out(history, j)
        some = None if weights is None else weights[rows]
        fit(single, x[rows], y[rows], shuffle=False, batch_size=16, sample_weight=some, folds=None)
        np.testing.assert_allclose(model.params[j], single.params, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.state[j], single.state, rtol=1e-9, atol=1e-12)


def test_class_weights_and_batch_norm_without_the_own_fold():
    x, y = classes()
    model = network(mg.SoftmaxCrossEntropy(), 3, first=[mg.BatchNorm(2)])
    alone = [model.member(j) for j in range(MEMBERS)]
    weights = {0: 1.0, 1: 3.0, 2: 2.0}
    history = fit(model, x, y, shuffle=False, class_weight=weights)
    for j, single in enumerate(alone):
        rows = ~left_out(history, j)
        fit(single, x[rows], y[rows], shuffle=False, class_weight=weights, folds=None)
        np.testing.assert_allclose(model.params[j], single.params, rtol=1e-9, atol=1e-12)
        held_out = single.evaluate(x[~rows], y[~rows])
        for name in ("loss", "accuracy"):  # class weights have no effect on validation
            np.testing.assert_allclose(history[f"val_{name}"][-1][j], held_out[name], rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_are_balanced_over_the_other_folds(weighted):
    x, y = classes()
    folds = np.empty(len(y), int)  # of equal sizes, with unequal numbers of each class
    folds[np.argsort(y + np.random.default_rng(1).normal(size=len(y)))] = np.arange(len(y)) // 30
    weights = np.random.default_rng(2).random(len(y)) if weighted else None
    model = network(mg.SoftmaxCrossEntropy(), 3)
    alone = [model.member(j) for j in range(MEMBERS)]
    options = {"shuffle": False, "class_weight": "balanced"}
    fit(model, x, y, folds=folds, sample_weight=weights, **options)
    for j, single in enumerate(alone):
        rows = folds != j
        w = None if weights is None else weights[rows]
        fit(single, x[rows], y[rows], folds=None, sample_weight=w, **options)
        np.testing.assert_allclose(model.params[j], single.params, rtol=1e-9, atol=1e-12)


def test_folds_are_drawn_in_proportion():
    x, y = classes(101)
    model = network(mg.SoftmaxCrossEntropy(), 3, size=4)
    folds = fit(model, x, y, epochs=1).folds
    table = np.array([np.bincount(folds[y == label], minlength=4) for label in range(3)])
    assert np.ptp(table, axis=1).max() <= 1
    assert np.ptp(table.sum(axis=0)) <= 1
    again = fit(network(mg.SoftmaxCrossEntropy(), 3, size=4), x, y, epochs=1).folds
    np.testing.assert_array_equal(folds, again)
    assert (np.diff(folds) != 1).any()  # not in the order of the rows
    numbers = fit(network(), *regression(61), epochs=1).folds
    assert sorted(np.bincount(numbers)) == [20, 20, 21]


def test_members_see_their_rows_once_an_epoch_and_never_their_fold():
    rows = np.arange(26.0)[:, None]
    folds = np.arange(26) % 3
    batches = FoldBatches(
        [rows, rows, None],
        [np.dtype(np.float32)] * 3,
        split=Split(folds, 3),
        batch_size=4,
        shuffle=True,
        rng=np.random.default_rng(0),
    )
    first = np.concatenate([x.copy() for x, _, _ in batches], axis=-2)[..., 0]
    again = np.concatenate([x.copy() for x, _, _ in batches], axis=-2)[..., 0]
    assert first.shape == (3, 18)
    assert (first != again).any(axis=1).all()
    assert (first[0] != first[1]).any()
    for member, seen in enumerate(first):
        assert set(seen) == set(np.flatnonzero(folds != member))
    assert [len(set(seen)) for seen in first] == [17, 17, 18]
    x, target, weights = batches.held_out()
    assert [x[..., :, :][j, weights[j, :, 0] > 0, 0].tolist() for j in range(3)] == [
        np.flatnonzero(folds == j).tolist() for j in range(3)
    ]
    np.testing.assert_array_equal(x[..., 2:5, :], target[..., 2:5, :])


@pytest.mark.parametrize("options", [{}, {"target_scaling": "standard"}])
def test_out_of_fold_predictions_are_those_of_the_members(options):
    x, y = regression(61)
    model = network(dtype="float32", **options)
    history = fit(
        model,
        x,
        y,
        metrics=[mg.R2()],
    )
    assert history.oof_prediction.shape == (61, 1)
    for j in range(MEMBERS):
        rows = left_out(history, j)
        np.testing.assert_allclose(
            history.oof_prediction[rows], model.predict(x[rows])[j], rtol=1e-5
        )
    residual = history.oof_prediction - y
    np.testing.assert_allclose(
        history.oof_scores["r2"], 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum(), rtol=1e-5
    )
    if not options:
        np.testing.assert_allclose(history.oof_scores["loss"], (residual**2).mean(), rtol=1e-5)


def test_several_members_may_leave_out_the_same_fold():
    x, y = classes()
    model = network(mg.SoftmaxCrossEntropy(), 3, size=5, dtype="float32")
    folds = np.where(np.arange(90) % 2, 7, -3)  # numbers of groups of rows
    history = fit(model, x, y, folds=folds, epochs=20)
    np.testing.assert_array_equal(history.folds, np.arange(90) % 2)
    for fold, members in ((0, [0, 2, 4]), (1, [1, 3])):
        rows = history.folds == fold
        expected = model.predict_proba(x[rows])[members].mean(axis=0)
        found = model.loss.probabilities(history.oof_prediction[rows])
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    right = history.oof_prediction.argmax(axis=1) == y
    assert history.oof_scores["accuracy"] == right.mean()


def test_early_stopping_keeps_the_best_weights_of_each_member():
    x, y = regression(60, seed=3)
    model = network(dtype="float32")
    stopping = mg.EarlyStopping(4)
    history = fit(model, x, y, epochs=200, optimizer=mg.Adam(0.3), callbacks=[stopping])
    curves = np.array(history["val_loss"])
    assert len(set(stopping.best_epoch)) > 1
    for j, best in enumerate(stopping.best_epoch):  # no better epoch before the patience ended
        assert curves[: best + 5, j].argmin() == best
    folds = [left_out(history, j) for j in range(MEMBERS)]
    found = [model.evaluate(x[rows], y[rows])["loss"][j] for j, rows in enumerate(folds)]
    np.testing.assert_allclose(found, stopping.best, rtol=1e-5)


def test_scalings_are_those_of_the_other_folds():
    x, y = regression()
    model = network(first=[mg.Standardize(2)], target_scaling="standard")
    history = fit(model, x, y, epochs=1)
    weights = model.get_weights()
    for j in range(MEMBERS):
        rows = ~left_out(history, j)
        np.testing.assert_allclose(weights["target.mean"][j], y[rows].mean(axis=0))
        np.testing.assert_allclose(model.layers[0].state.mean[j], x[rows].mean(axis=0))


def test_threads_train_the_same(monkeypatch):
    x, y = regression()
    one = network(dtype="float32")
    fit(one, x, y)
    monkeypatch.setattr(minibatch, "shares", lambda *_: [slice(0, 1), slice(1, 3)])
    two = network(dtype="float32")
    fit(two, x, y)
    np.testing.assert_allclose(two.params, one.params, rtol=1e-5)


class Taken(mg.Callback):
    """Takes a snapshot after some batches."""

    def on_train_batch_end(self, batch, logs):
        if self.session.epoch == 2 and batch == 1:
            self.snapshot = self.session.snapshot()


def test_a_training_goes_on_exactly():
    x, y = regression(61)
    taken = Taken()
    model = network(dtype="float32")
    whole = fit(model, x, y, callbacks=[taken], batch_size=8)
    again = network(dtype="float32")
    again.stream("folds").random(5)  # so that it would draw other folds
    history = fit(again, x, y, callbacks=[Taken()], batch_size=8, resume=taken.snapshot)
    np.testing.assert_array_equal(again.params, model.params)
    np.testing.assert_array_equal(history.folds, whole.folds)
    np.testing.assert_array_equal(history["val_loss"], whole["val_loss"])
    np.testing.assert_array_equal(history.oof_prediction, whole.oof_prediction)


def test_the_rows_lie_in_memory_once():
    x = np.zeros((40_000, 40), np.float32)
    model = mg.Sequential([mg.Dense(40, 1)], loss=mg.MeanSquaredError(), ensemble_size=5)
    y = np.zeros((40_000, 1), np.float32)
    tracemalloc.start()
    fit(model, x, y, epochs=1, batch_size=512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * x.nbytes  # orders, weights and predictions, but not five copies of x


def test_methods_that_see_all_rows_see_the_own_fold_with_weight_0():
    x, y = regression()
    model = network()
    batches = FoldBatches(
        [x, y, None],
        [np.dtype(float)] * 3,
        split=Split(fold_of_rows(model, True, y), MEMBERS),
        batch_size=60,
        shuffle=False,
        rng=np.random.default_rng(0),
    )
    value = model.backpropagate(*batches.data()[:2], sample_weight=batches.data()[2][..., 0])
    for j in range(MEMBERS):
        rows = batches.folds != j
        single = model.member(j)
        np.testing.assert_allclose(single.backpropagate(x[rows], y[rows]), value[j])
        np.testing.assert_allclose(single.grads, model.grads[j], atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": True, "validation_split": 0.2}, "give folds or validation data, not both"),
        ({"folds": 5}, r"folds expects True, or the fold of each row as ints of shape \(60,\)"),
        ({"folds": False}, "folds expects True"),
        ({"folds": np.zeros(60, int)}, "expects from 2 to 3 folds, since .* got 1"),
        ({"folds": np.arange(60)}, "expects from 2 to 3 folds, since .* got 60"),
        ({"folds": np.zeros(60)}, "folds expects True"),
        ({"folds": True, "sample_weight": [1.0] + [0.0] * 59}, "all weights of the .* are 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        fit(network(), *regression(), **options)


def test_what_has_no_folds_is_refused():
    x, y = regression()
    with pytest.raises(ValueError, match="folds expects an ensemble of at least 2 members"):
        fit(network(size=None), x, y)
    with pytest.raises(ValueError, match="one row for each of 3 members, got 2 rows"):
        fit(network(), x[:2], y[:2])
    with pytest.raises(ValueError, match="the same target for all members"):
        fit(network(), x, np.stack([y] * MEMBERS))
    with pytest.raises(ValueError, match="cannot be split"):
        network().fit([(x, y)], optimizer=mg.SGD(0.1), folds=True)


def test_members_may_have_inputs_of_their_own():
    x, y = regression()
    each = np.stack([x, x, x])
    shared, own = network(dtype="float32"), network(dtype="float32")
    one, other = fit(shared, x, y), fit(own, each, y)
    np.testing.assert_array_equal(shared.params, own.params)
    np.testing.assert_array_equal(one.oof_prediction, other.oof_prediction)


@every_loss
@pytest.mark.parametrize("scaled", [False, True])
def test_every_loss_has_out_of_fold_figures(cls, scaled):
    loss, prediction, target = cls.example()
    x = np.random.default_rng(0).normal(size=(30, 2))
    y = np.resize(target, (30, target.shape[-1]))
    options = {"target_scaling": "standard"} if scaled else {}
    to_probabilities = {"BinaryCrossEntropy": [mg.Sigmoid()], "CrossEntropy": [mg.Softmax()]}
    last = to_probabilities.get(cls.__name__, ())
    try:
        model = network(loss, prediction.shape[-1], dtype="float32", last=last, **options)
    except ValueError as error:
        if scaled and "target_scaling" in str(error):
            return
        raise
    history = fit(model, x, y)
    if scaled:  # in the unit of the first member
        seen = y[~left_out(history, 0)]
        mean, deviation = seen.mean(axis=0), seen.std(axis=0)
        outputs = loss.rescaled(history.oof_prediction, -mean / deviation, 1 / deviation)
        expected = loss.forward(outputs, (y - mean) / deviation)
    else:
        rows = [left_out(history, j) for j in range(MEMBERS)]
        each = [model.member(j).evaluate(x[r], y[r])["loss"] for j, r in enumerate(rows)]
        expected = np.average(each, weights=[r.sum() for r in rows])
    np.testing.assert_allclose(history.oof_scores["loss"], expected, rtol=1e-4)


def test_a_loss_takes_targets_of_another_precision():
    loss = mg.Quantile([0.1, 0.9])
    for kinds in ((float, np.float32), (np.float32, float)):
        outputs, target = (np.array(a, k) for a, k in zip(([[0, 4]], [[2]]), kinds, strict=True))
        np.testing.assert_allclose(loss.forward(outputs, target), 0.2, rtol=1e-6)


def test_a_refused_fit_has_learnt_nothing_of_the_data():
    table = {"size": [1.0, 2.0, 3.0, 4.0] * 5, "town": ["Bonn", "Ulm"] * 10}
    labels = np.array(["a", "b"] * 10)
    encoder = mg.tables.TableEncoder().plan(table)
    model = mg.Sequential(
        [mg.Dense(encoder.width, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0, encoder=encoder
    )
    options = {"optimizer": mg.Adam(), "epochs": 1, "verbose": 0}
    for wrong in (
        {"class_weight": {"A": 1.0}},
        {"folds": True},
        {"callbacks": [3]},
        {"validation_data": (table, np.array(["a", "c"] * 10))},
    ):
        with pytest.raises((TypeError, ValueError)):
            model.fit(table, labels, **options, **wrong)
        assert model.classes_ is None
        assert not model.encoder.fitted
    model.fit(table, np.where(labels == "a", "no", "yes"), **options)
    assert model.classes_.tolist() == ["no", "yes"]


def test_an_ensemble_whose_encoder_learns_by_member_is_measured_as_a_whole():
    rng = np.random.default_rng(0)
    table = {"size": rng.normal(size=60), "town": rng.choice(["Bonn", "Ulm"], 60)}
    y = table["size"] ** 2 + (table["town"] == "Ulm")
    encoder = mg.tables.TableEncoder(mg.tables.TargetBins(4)).plan(table)
    layers = [mg.Dense(encoder.width, 1)]
    model = mg.Sequential(
        layers, loss=mg.MeanSquaredError(), random_state=0, ensemble_size=3, encoder=encoder
    )
    history = fit(model, table, y)
    found = model.evaluate(table, y)
    mean = model.predict(table).mean(axis=0)[:, 0]
    np.testing.assert_allclose(found["ensemble_loss"], ((mean - y) ** 2).mean(), rtol=1e-5)
    residual = history.oof_prediction[:, 0] - y
    r2 = 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()
    np.testing.assert_allclose(history.oof_scores["r2"], r2, rtol=1e-5)
