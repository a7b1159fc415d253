"""The pair for tables: raw columns, members that leave out folds, a choice by loss."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import mlpgrad as mg
from mlpgrad.sklearn import TabularMLPClassifier, TabularMLPRegressor, joining, tabular
from mlpgrad.sklearn.candidate import Candidate, Table, mean_and_error
from mlpgrad.sklearn.candidates import CANDIDATES
from mlpgrad.sklearn.joining import joined, together
from mlpgrad.sklearn.tabular_classifier import PRIOR, _temperature
from mlpgrad.tables.features import Features

FAST = {
    "hidden_layer_sizes": (16,),
    "max_epochs": 20,
    "batch_size": 32,
    "learning_rate": 0.01,
    "candidates": ["plain"],
    "random_state": 0,
}


def people(rows=240, seed=0):
    """A table with numbers, categories and gaps, and two targets that depend on them."""
    rng = np.random.default_rng(seed)
    age, town = rng.uniform(20, 70, rows), rng.choice(["Bonn", "Ulm", "Köln"], rows)
    income = 1000 + 40 * age + 800 * (town == "Ulm") + 100 * rng.normal(size=rows)
    table = pd.DataFrame({"age": age, "town": town, "code": rng.choice(["01", "02"], rows)})
    table.loc[rng.random(rows) < 0.1, "age"] = np.nan
    table.loc[rng.random(rows) < 0.1, "town"] = None
    return table, income, np.where(income > 2900, "rich", "poor")


TABLE, INCOME, WEALTH = people()


# inputs


def test_a_table_is_taken_as_it_is():
    found = TabularMLPClassifier(**FAST).fit(TABLE, WEALTH)
    assert found.classes_.tolist() == ["poor", "rich"]
    assert found.score(TABLE, WEALTH) > 0.85
    assert "town" in found.encoder_.summary()
    assert found.feature_names_in_.tolist() == ["age", "town", "code"]
    new = pd.DataFrame({"age": [30.0], "town": ["Jena"], "code": ["01"]})
    assert found.predict_proba(new).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="feature names"):
        found.predict(TABLE[["town", "age"]])


def test_polars_gives_what_pandas_gives():
    polars = pytest.importorskip("polars")
    table = TABLE.fillna({"age": 0.0}).assign(town=TABLE["town"].fillna("?"))
    a = TabularMLPRegressor(**FAST).fit(table, INCOME)
    b = TabularMLPRegressor(**FAST).fit(polars.DataFrame(table.to_dict("list")), INCOME)
    np.testing.assert_allclose(a.predict(table), b.predict(polars.DataFrame(table.to_dict("list"))))


def test_arrays_with_gaps_and_more_classes():
    x, y = load_iris(return_X_y=True)
    x[::7, 0] = np.nan
    found = TabularMLPClassifier(**FAST | {"max_epochs": 60}).fit(x, y)
    assert found.predict_proba(x).shape == (150, 3)
    assert found.score(x, y) > 0.9


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ValueError, match=r"candidates expects some of \['plain'"):
        TabularMLPRegressor(**FAST | {"candidates": ["bins"]}).fit(TABLE, INCOME)
    with pytest.raises(ValueError, match="NaN"):
        TabularMLPRegressor(**FAST).fit(TABLE, np.where(INCOME > 2900, np.nan, INCOME))
    for folds, message in ((np.arange(7), "inconsistent"), (np.arange(240), "from 2 to 5 folds")):
        with pytest.raises(ValueError, match=message):
            TabularMLPRegressor(**FAST).fit(TABLE, INCOME, folds=folds)
    with pytest.raises(ValueError, match="one class"):
        TabularMLPClassifier(**FAST).fit(TABLE, ["rich"] * len(TABLE))


# out-of-fold predictions


def test_the_advice_of_a_refusal_can_be_followed():
    def refused(table, y=WEALTH):
        with pytest.raises((TypeError, ValueError)) as caught:
            TabularMLPClassifier(**FAST).fit(table, y)
        assert "columns={" not in str(caught.value)
        assert "missing=" not in str(caught.value)
        return str(caught.value)

    X = TABLE.assign(when=pd.Timestamp("2020-01-01"))
    assert "leave the column out with X.drop(columns=['when'])" in refused(X)
    TabularMLPClassifier(**FAST).fit(X.drop(columns=["when"]), WEALTH)
    codes = np.arange(len(TABLE)).astype(str).astype(object)
    codes[3] = "unknown"
    X = TABLE.assign(block=codes)
    found = refused(X)
    assert "X['block'] = X['block'].astype('category')" in found
    X["block"] = X["block"].astype("category")
    TabularMLPClassifier(**FAST).fit(X, WEALTH)
    X = TABLE.assign(block=codes)
    assert "make it None, a missing value" in found
    X.loc[3, "block"] = None
    model = TabularMLPClassifier(**FAST).fit(X, WEALTH)
    with pytest.raises(ValueError, match=r"got 'unknown'.*make it None, a missing value"):
        model.predict(TABLE.assign(block=codes))
    y = WEALTH.astype(object)
    y[5] = None
    assert "y contains None, first in row 5; leave out rows" in refused(TABLE, y)


def test_out_of_fold_predictions_are_those_of_members_that_left_the_row_out():
    options = FAST | {"rows": "folds", "calibrate": False}
    found = TabularMLPClassifier(**options).fit(TABLE, WEALTH)
    logits = found.model_.predict(TABLE)[..., 0]
    rows = np.arange(len(TABLE))
    own = expit(logits[found.folds_, rows].astype(float))
    np.testing.assert_allclose(found.oof_prediction_[:, 1], own, atol=1e-6)
    decided = np.where(own > 0.5, "rich", "poor")
    assert found.oof_score_ == pytest.approx(accuracy_score(WEALTH, decided))
    assert found.oof_loss_ == pytest.approx(log_loss(WEALTH, found.oof_prediction_), rel=1e-4)
    regressor = TabularMLPRegressor(**FAST | {"rows": "folds"}).fit(TABLE, INCOME)
    outputs = regressor.model_.predict(TABLE)[..., 0]
    np.testing.assert_allclose(
        regressor.oof_prediction_, outputs[regressor.folds_, rows], rtol=1e-5
    )
    assert regressor.oof_score_ == pytest.approx(r2_score(INCOME, regressor.oof_prediction_))


def test_a_rows_own_target_does_not_reach_its_prediction():
    # only the targets themselves predict random targets: bins that had seen them would
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(240, 10)), rng.integers(0, 2, 240)
    for encoding in ("plain", "target"):
        found = TabularMLPClassifier(**FAST | {"candidates": [encoding]}).fit(x, y)
        assert 0.4 < found.oof_score_ < 0.6


def test_rows_that_belong_together_are_left_out_together():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 8)
    x = rng.normal(size=(30, 20))[person]
    y = rng.integers(0, 2, 30)[person]  # depends on the person only
    options = FAST | {"hidden_layer_sizes": (64,), "calibrate": False}
    leaking = TabularMLPClassifier(**options).fit(x, y)
    honest = TabularMLPClassifier(**options).fit(x, y, folds=person % 5)
    assert leaking.oof_score_ > 0.95
    assert honest.oof_score_ < 0.75
    np.testing.assert_array_equal(honest.folds_, person % 5)


def test_drawn_folds_have_each_class_in_proportion():
    y = np.array(["a"] * 200 + ["b"] * 40)
    found = TabularMLPClassifier(**FAST | {"max_epochs": 1}).fit(TABLE, y)
    assert [(found.folds_[y == "b"] == fold).sum() for fold in range(5)] == [8] * 5


# choices


def test_the_encoding_with_the_lowest_out_of_fold_loss_is_kept():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (300, 1))
    y = np.sin(40 * x[:, 0])  # bins can fit this, a line cannot
    options = FAST | {"max_epochs": 40, "candidates": ["plain", "quantile", "target"]}
    found = TabularMLPRegressor(**options).fit(x, y)
    losses = {choice.name: choice.loss for choice in found.candidates_}
    assert found.chosen_ == min(losses, key=losses.get) != "plain"
    assert found.oof_loss_ == losses[found.chosen_] < 0.5 * losses["plain"]
    assert "plain" not in found.joined_


ENCODINGS = ["plain", "quantile", "target"]


def surprise(labels, probabilities, temperature):
    """The mean log-loss with the prior of the temperature's logarithm."""
    prior = (np.log(temperature) / PRIOR) ** 2 / 2
    return log_loss(labels, probabilities) + prior / len(labels)


@pytest.mark.parametrize("hidden", [(16,), (8, 20, 5)])
@pytest.mark.parametrize(("all_rows", "best"), [(True, 1), (False, 3)])
def test_joined_ensembles_predict_as_each_alone(all_rows, best, hidden, tmp_path):
    table = Table(TABLE, INCOME[:, None], INCOME[:, None], None, np.arange(240) % 5)
    recipe = TabularMLPRegressor(**FAST | {"hidden_layer_sizes": hidden})
    recipe._learn_target(INCOME)
    recipe = recipe._recipe(240, np.random.RandomState(0))
    tried = [CANDIDATES[name](name, table, recipe) for name in (*ENCODINGS, "linear", "long")]
    models = [one.on_all_rows(table) if all_rows else one.model for one in tried]
    whole = joined(models, tried[best].network)
    each = np.concatenate([model.predict(TABLE) for model in models])
    np.testing.assert_allclose(whole.predict(TABLE), each, rtol=1e-6)
    assert whole.ensemble_size == 30
    assert whole.in_features < sum(model.in_features for model in models)
    whole.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(
        mg.load(tmp_path / "model.npz").predict(TABLE), whole.predict(TABLE)
    )


@pytest.mark.parametrize("rows", ["all", "folds"])
@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_candidates_that_help_predict_together(estimator, rows, monkeypatch):
    made, models = [], []
    init, on_all_rows = Candidate.__init__, Candidate.on_all_rows
    monkeypatch.setattr(
        Candidate, "__init__", lambda self, *args: made.append(self) or init(self, *args)
    )

    def retrained(self, table):
        models.append((self.name, on_all_rows(self, table)))
        return models[-1][1]

    monkeypatch.setattr(Candidate, "on_all_rows", retrained)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = rng.integers(0, 2, 200) if estimator is TabularMLPClassifier else rng.normal(size=200)
    found = estimator(**FAST | {"candidates": ENCODINGS, "rows": rows}).fit(x, y)
    each = {one.name: one for one in made}
    assert len(found.joined_) > 1
    best = min(each.values(), key=lambda one: one.loss)
    assert found.chosen_ == found.joined_[0] == best.name
    assert found.oof_loss_ == best.loss
    temperature = getattr(found, "temperature_", 1)
    alone = dict(models) if rows == "all" else {name: one.model for name, one in each.items()}
    assert alone.keys() >= set(found.joined_)
    answers = np.concatenate([alone[name].predict(x) for name in found.joined_])
    answers = answers / temperature
    np.testing.assert_allclose(found.model_.predict(x), answers, rtol=1e-5, atol=1e-6)
    outputs = np.stack([each[name].outputs for name in found.joined_]).astype(float)
    if estimator is TabularMLPRegressor:
        np.testing.assert_allclose(found.oof_prediction_, outputs.mean(axis=0)[:, 0])
        np.testing.assert_allclose(found.predict(x), answers.mean(axis=0)[:, 0], rtol=1e-5)
        np.testing.assert_allclose(found.oof_score_, r2_score(y, found.oof_prediction_))
        std = found.predict_std(x)
        total = np.mean((found.oof_prediction_ - y) ** 2)  # noise and disagreement
        assert np.mean(std**2) == pytest.approx(total, rel=1e-6)
        return
    shares = expit(outputs[..., 0] / temperature).mean(axis=0)
    np.testing.assert_allclose(found.oof_prediction_[:, 1], shares)
    np.testing.assert_allclose(found.oof_score_, accuracy_score(y, shares > 0.5))
    least = surprise(y, shares, temperature)
    for other in (0.97 * temperature, 1.03 * temperature):
        assert surprise(y, expit(outputs[..., 0] / other).mean(axis=0), other) > least


class Tried:
    """What a candidate found, for the choice among several: errors of a target that is 0."""

    recipe = SimpleNamespace(members=5)

    def __init__(self, errors, joinable=True, table=None):
        self.outputs, self.joinable = np.asarray(errors)[:, None], joinable
        self.model = SimpleNamespace(in_features=10, loss=mg.HalfSquaredError())
        self.loss = self.loss_of(self.outputs, table or without_weights(len(errors)))[0]

    def loss_of(self, outputs, table):
        return mean_and_error(np.square(outputs[:, 0]), table.weights)


def without_weights(rows):
    return Table(None, np.zeros((rows, 1)), None, None, None)


def test_candidates_that_lower_the_loss_of_the_average_predict_together():
    rng = np.random.default_rng(0)
    apart = np.linalg.qr(rng.normal(size=(400, 5)))[0].T  # uncorrelated
    best, other, third, bad = map(Tried, apart[:4] * [[1], [1.1], [1.2], [9]])
    alike = Tried(apart[0] + 0.2 * apart[4])  # wrong where the best is
    table = without_weights(400)
    assert together([third, bad, alike, best, other], table) == [best, other, third]
    weights = np.r_[np.ones(200), np.zeros(200)]
    for counted, chosen in ((None, 1), (weights, 0)):
        table = table._replace(weights=counted)
        pair = [Tried(size * apart[0], table=table) for size in (1, np.where(weights > 0, 1.2, 0))]
        assert together(pair, table) == [pair[chosen]]


@given(
    errors=arrays(float, (4, 12), elements=st.floats(-3, 3)),
    mixed=arrays(float, (4, 4), elements=st.floats(-1, 1)),
)
def test_each_candidate_that_joins_helps_most_and_none_is_left_that_helps(errors, mixed):
    tried, table = [Tried(one) for one in mixed @ errors], without_weights(12)

    def loss(candidates):
        return np.square(np.mean([one.outputs for one in candidates], axis=0)).mean()

    found = together(tried, table)
    for count in range(1, len(found) + 1):
        some, left = found[:count], [one for one in tried if one not in found[: count - 1]]
        best = min(loss([*some[:-1], one]) for one in left)
        assert loss(some) <= best * (1 + 1e-12)
    for one in tried:
        assert one in found or loss([*found, one]) >= loss(found) * (1 - 1e-12)


@pytest.mark.parametrize("labels", [2, 3])
def test_the_average_of_candidates_is_that_of_their_probabilities(labels, monkeypatch):
    seen = []
    monkeypatch.setattr(
        tabular, "together", lambda tried, table: seen.append((tried, table)) or tried[:1]
    )
    y = np.array(["a", "b", "c"])[np.arange(240) % labels]
    TabularMLPClassifier(**FAST | {"candidates": ENCODINGS, "max_epochs": 3}).fit(TABLE, y)
    ((tried, table),) = seen
    probabilities = []
    for one in tried:
        outputs = one.outputs.astype(float)
        share = expit(outputs)
        share = np.c_[1 - share, share] if labels == 2 else softmax(outputs, axis=-1)
        probabilities.append(share)
    expected = log_loss(y, np.mean(probabilities, axis=0))
    assert joining._loss_of_average(tried, table) == pytest.approx(expected, rel=1e-6)


def test_candidates_are_compared_with_the_weights_of_the_rows(monkeypatch):
    given = []
    monkeypatch.setattr(
        tabular, "together", lambda tried, table: given.append(table.weights) or tried[:1]
    )
    weights = np.linspace(0, 1, 240)
    options = FAST | {"max_epochs": 1, "class_weight": {"rich": 2.0, "poor": 3.0}}
    TabularMLPClassifier(**options).fit(TABLE, WEALTH, weights)
    np.testing.assert_allclose(given[0], weights * np.where(WEALTH == "rich", 2, 3))


def test_one_temperature_calibrates_the_mean_of_the_candidates():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)
    logits = 3 * rng.normal(size=(2, 500, 3)) + 2 * np.eye(3)[labels]
    found = _temperature(logits, labels, None)
    losses = [
        surprise(labels, softmax(logits / other, axis=-1).mean(axis=0), other)
        for other in (0.98 * found, found, 1.02 * found)
    ]
    assert losses[1] < min(losses[0], losses[2])


def test_the_temperature_stays_near_1_where_few_rows_are_all_predicted_right():
    labels = np.arange(20) % 2
    logits = (2 * labels - 1)[None, :, None] * np.ones((1, 20, 1))
    assert 0.5 < _temperature(10 * logits, labels, None) < 1
    weights = np.r_[np.ones(20), np.zeros(20)]  # rows of weight 0 do not count
    few, more = (
        _temperature(
            np.concatenate([2 * logits] * n, 1),
            np.r_[labels, labels][: 20 * n],
            None if n == 1 else weights,
        )
        for n in (1, 2)
    )
    assert few == pytest.approx(more, rel=1e-6)


def test_another_kind_of_network_and_a_large_table_predict_alone(monkeypatch):
    rng = np.random.default_rng(0)
    errors, table = rng.normal(size=400), without_weights(400)
    best, other = Tried(errors), Tried(rng.normal(0, 1.1, 400))
    evidence = Tried(1.01 * errors[::-1], joinable=False)
    assert together([best, evidence, other], table) == [best, other]
    evidence = Tried(0.99 * errors[::-1], joinable=False)
    assert together([best, evidence, other], table) == [evidence]
    other.model.in_features = 20
    for most, expected in ((400 * 5 * 2 * 20, [best, other]), (400 * 5 * 2 * 20 - 1, [best])):
        monkeypatch.setattr(joining, "MOST_JOINED", most)
        assert together([best, other], table) == expected
    assert not CANDIDATES["evidence"].joinable
    assert all(CANDIDATES[name].joinable for name in (*ENCODINGS, "linear", "long"))


def test_small_tables_are_predicted_better_with_more_weight_decay_on_scaled_numbers(monkeypatch):
    x, y = load_iris(return_X_y=True)
    losses = []
    for most in (len(y) - 1, len(y)):
        monkeypatch.setattr(CANDIDATES["plain"], "most_rows", most)
        found = TabularMLPClassifier(candidates=["plain"], random_state=0).fit(x, y)
        losses.append(found.oof_loss_)
    assert losses[1] < 0.8 * losses[0], losses


@pytest.mark.parametrize("rows", [2000, 2001])
def test_the_weight_decay_of_candidates_is_the_documented_one(monkeypatch, rows):
    decays, options = [], FAST | {"max_epochs": 1, "candidates": ENCODINGS, "weight_decay": 0.02}

    def adam(*args, weight_decay):
        decays.append(weight_decay)
        return mg.AdamW(*args, weight_decay=weight_decay)

    monkeypatch.setattr("mlpgrad.sklearn.candidate.AdamW", adam)
    x = np.random.default_rng(0).normal(size=(rows, 2))
    TabularMLPClassifier(**options, rows="folds").fit(x, x[:, 0] > 0)
    assert decays == [2.0 if rows == 2000 else 0.02, 0.02, 0.02]


def test_long_training_learns_by_heart_what_occurs_again():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    options = {"hidden_layer_sizes": (32, 32), "candidates": ["plain", "long"], "random_state": 0}
    found = TabularMLPRegressor(**options).fit(np.r_[x, x], np.r_[y, y])
    plain, long = found.candidates_
    assert long.loss < 0.8 * plain.loss
    assert found.chosen_ == "long"
    assert found.all_rows_
    assert found.oof_score_ > 0.3


def test_a_linear_function_in_much_noise_is_found_by_a_linear_network():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8))
    y = x.sum(axis=1) + 8 * rng.normal(size=200)
    options = {"candidates": ["plain", "linear"], "hidden_layer_sizes": (32, 32), "random_state": 0}
    found = TabularMLPRegressor(**options).fit(x, y)
    assert found.chosen_ == "linear"
    alone = TabularMLPRegressor(**options | {"candidates": ["plain"]}).fit(x, y)
    test = rng.normal(size=(1000, 8))
    error, without = (
        np.mean((one.predict(test) - test.sum(axis=1)) ** 2) for one in (found, alone)
    )
    assert error < 0.6 * without


@pytest.mark.parametrize("name", ["linear", "long"])
def test_other_trainings_are_tried_for_numbers_that_evidence_does_not_predict(name):
    options = FAST | {"candidates": ["plain", "evidence", name], "max_epochs": 3}

    def tried(estimator, x, y, **other):
        return [one.name for one in estimator(**options | other).fit(x, y).candidates_]

    x = np.random.default_rng(0).uniform(-1, 1, (150, 2))
    noise = np.random.default_rng(1).normal(size=4001)
    assert tried(TabularMLPRegressor, x, x[:, 0] * x[:, 1]) == ["plain", "evidence"]
    assert tried(TabularMLPClassifier, x, noise[:150] > 0) == ["plain", "evidence"]
    plain = {"candidates": ["plain", name], "max_epochs": 1}
    assert tried(TabularMLPRegressor, noise[1:, None], noise[1:], **plain) == ["plain", name]
    assert tried(TabularMLPRegressor, x, x[:, 0], **plain, hidden_layer_sizes=()) == ["plain"]
    large = ["plain"] if name == "long" else ["plain", name]
    assert tried(TabularMLPRegressor, noise[:, None], noise, **plain) == large


def test_a_candidate_named_twice_is_tried_once():
    found = TabularMLPRegressor(**FAST | {"candidates": ["plain", "plain"]}).fit(TABLE, INCOME)
    assert [one.name for one in found.candidates_] == found.joined_ == ["plain"]
    small = FAST | {"candidates": ["evidence"] * 2}
    found = TabularMLPRegressor(**small).fit(TABLE[:60], INCOME[:60])
    assert isinstance(found.model_.uncertainty, mg.Laplace)


def test_bins_of_columns_without_numbers_count_once():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"town": rng.choice(["Bonn", "Ulm"], 100), "new": rng.random(100) < 0.5})
    found = TabularMLPRegressor(**FAST | {"candidates": ENCODINGS}).fit(table, rng.normal(size=100))
    assert len(found.joined_) == found.model_.ensemble_size / 5 <= 2
    found = TabularMLPRegressor(**FAST | {"candidates": ENCODINGS})
    found.fit(table[["town"]], rng.normal(size=100))
    assert found.joined_ == ["plain"]


def test_many_rows_are_predicted_in_parts(monkeypatch):
    options = FAST | {"candidates": ENCODINGS, "max_epochs": 2}
    rng = np.random.default_rng(0)
    found = TabularMLPRegressor(**options).fit(TABLE, rng.normal(size=240))
    assert len(found.joined_) > 1
    rows = pd.concat([TABLE] * 10)
    parts = []
    write = Features.astype

    def counted(self, *args, **options):
        parts.append(self.shape[-2])
        return write(self, *args, **options)

    monkeypatch.setattr(Features, "astype", counted)
    for predict in (found.predict, found.predict_std):
        parts.clear()
        np.testing.assert_allclose(predict(rows), np.tile(predict(TABLE), 10), rtol=1e-6)
        assert sum(parts) == 2640
        assert max(parts) <= 1024
    parts.clear()
    found.model_.evaluate(rows, np.zeros(2400))
    assert sum(parts) == 2400
    assert max(parts) <= 1024


def test_the_standard_error_of_a_mean_counts_weights_as_rows():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = mean_and_error(values, None)
    assert (mean, error) == (values.mean(), pytest.approx(values.std() / np.sqrt(50)))
    np.testing.assert_allclose(mean_and_error(values, np.full(50, 0.2)), (mean, error))
    weights = np.r_[np.ones(50), np.zeros(30)]
    more = np.r_[values, np.full(30, 1e9)]
    np.testing.assert_allclose(mean_and_error(more, weights), (mean, error))
    for scale in (1e-200, 1e200):
        np.testing.assert_allclose(mean_and_error(more, scale * weights), (mean, error))


@pytest.mark.parametrize("estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_rows_of_weight_0_change_no_choice(estimator):
    target = WEALTH if estimator is TabularMLPClassifier else INCOME
    weights = (np.arange(240) % 6 > 0).astype(float)
    wrong = np.where(weights > 0, target, target[::-1])
    if estimator is TabularMLPRegressor:
        wrong = np.where(weights > 0, target, 1e6 * target)
    options = FAST | {"candidates": ["plain", "quantile", "evidence"], "max_epochs": 5}
    folds = np.arange(240) % 5
    found, other = (
        estimator(**options).fit(TABLE, y, weights, folds=folds) for y in (target, wrong)
    )
    for one, same in zip(found.candidates_, other.candidates_, strict=True):
        assert one[:-1] == same[:-1]  # all but the seconds
    assert (found.chosen_, found.joined_) == (other.chosen_, other.joined_)
    np.testing.assert_array_equal(found.oof_prediction_, other.oof_prediction_)


def test_small_tables_with_little_noise_are_left_to_the_evidence():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (150, 2))
    y = x[:, 0] * x[:, 1] + 0.001 * rng.normal(size=150)
    options = FAST | {"candidates": ["plain", "evidence"]}
    found = TabularMLPRegressor(**options).fit(x, y)
    assert found.chosen_ == "evidence"
    assert found.all_rows_
    assert found.oof_score_ > 0.999
    large = np.arange(200_000)[:, None]
    with pytest.raises(ValueError, match="no candidate that suits 200000 rows of numbers"):
        TabularMLPRegressor(candidates=["evidence"]).fit(large, large[:, 0])


def test_members_train_on_all_rows_where_one_number_of_epochs_suits_all():
    for rows, expected in (("all", True), ("folds", False)):
        found = TabularMLPRegressor(**FAST, rows=rows).fit(TABLE, INCOME)
        assert found.all_rows_ is expected
    auto = TabularMLPRegressor(**FAST).fit(TABLE, INCOME)
    assert auto.all_rows_ is auto.candidates_[0].all_rows
    other = TabularMLPRegressor(**FAST, rows="all").fit(TABLE, INCOME)
    own = TabularMLPRegressor(**FAST, rows="folds").fit(TABLE, INCOME)
    assert np.abs(other.predict(TABLE) - own.predict(TABLE)).max() > 1


def test_temperature_makes_the_out_of_fold_log_loss_smallest():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20))
    y = np.where(rng.random(300) < 0.15, x[:, 0] < 0, x[:, 0] > 0)
    options = FAST | {"weight_decay": 0.0, "patience": 30}
    plain = TabularMLPClassifier(**options, calibrate=False).fit(x, y)
    found = TabularMLPClassifier(**options).fit(x, y)
    assert plain.temperature_ == 1
    losses = [log_loss(y, e.oof_prediction_) for e in (found, plain)]
    assert losses[0] < losses[1]
    logits = np.log(plain.oof_prediction_[:, 1] / plain.oof_prediction_[:, 0])
    least = surprise(y, found.oof_prediction_[:, 1], found.temperature_)
    for other in (0.9 * found.temperature_, 1.1 * found.temperature_):
        assert surprise(y, expit(logits / other), other) > least


def test_probabilities_of_members_are_averaged():
    found = TabularMLPClassifier(**FAST).fit(TABLE, WEALTH)
    each = expit(found.model_.predict(TABLE)[..., 0].astype(float))
    np.testing.assert_allclose(found.predict_proba(TABLE)[:, 1], each.mean(axis=0), atol=1e-6)
    assert isinstance(found.model_, mg.Sequential)
    assert found.model_.ensemble_size == 5


def test_weights_count_rows():
    weights = np.where(WEALTH == "rich", 20.0, 1.0)
    plain = TabularMLPClassifier(**FAST).fit(TABLE, WEALTH)
    heavy = TabularMLPClassifier(**FAST).fit(TABLE, WEALTH, sample_weight=weights)
    classes = TabularMLPClassifier(**FAST, class_weight={"rich": 20.0, "poor": 1.0})
    for found in (heavy, classes.fit(TABLE, WEALTH)):
        assert found.predict_proba(TABLE)[:, 1].mean() > plain.predict_proba(TABLE)[:, 1].mean()


def test_several_targets():
    y = np.column_stack([INCOME, -INCOME])
    found = TabularMLPRegressor(**FAST).fit(TABLE, y)
    assert found.predict(TABLE).shape == found.oof_prediction_.shape == (240, 2)
    assert found.score(TABLE, y) > 0.3


# uncertainty


def test_a_std_is_of_noise_and_disagreement():
    found = TabularMLPRegressor(**FAST | {"max_epochs": 60}).fit(TABLE, INCOME)
    std, spread = found.predict_std(TABLE), found.model_.predict(TABLE)[..., 0].std(axis=0)
    noise = np.sqrt(std**2 - spread**2)
    np.testing.assert_allclose(noise, noise[0], rtol=1e-6)
    total = np.mean((found.oof_prediction_ - INCOME) ** 2)  # the sum of the two variances
    assert np.mean(std**2) == pytest.approx(total, rel=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        found.predict_std(TABLE[["town", "age"]])


def test_intervals_hold_new_targets_as_often_as_they_say():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (1500, 2))
    y = 100 + 10 * np.sin(x[:, 0]) + 5 * x[:, 1] + rng.normal(0, 3, 1500)
    for candidate in ("plain", "evidence"):
        options = FAST | {"max_epochs": 100, "candidates": [candidate]}
        found = TabularMLPRegressor(**options).fit(x[:300], y[:300])
        for coverage in (0.5, 0.9):
            low, high = found.predict_interval(x[300:], coverage)
            assert low.shape == (1200,)
            inside = np.mean((low < y[300:]) & (y[300:] < high))
            assert inside == pytest.approx(coverage, abs=0.06)
    both = TabularMLPRegressor(**FAST).fit(TABLE, np.column_stack([INCOME, 2 * INCOME]))
    assert both.predict_std(TABLE).shape == both.predict_interval(TABLE)[0].shape == (240, 2)


# files


@pytest.mark.parametrize(
    "names", [["plain"], ["target"], ["evidence"], ["quantile", "target"]], ids=" ".join
)
def test_a_saved_model_takes_the_table(names, tmp_path, capsys):
    from mlpgrad.cli.command import main

    few = np.s_[:60] if names == ["evidence"] else np.s_[:]
    table = TABLE[few].assign(sold=lambda x: x.index % 3 == 0)
    income, wealth = INCOME[few], WEALTH[few]
    file, rows = str(tmp_path / "model.npz"), str(tmp_path / "rows.csv")
    table.to_csv(rows, index=False)

    def answered(*options):
        assert main(["predict", file, rows, *options]) == 0
        lines = capsys.readouterr().out.splitlines()[1:]
        return np.array([line.split(",") for line in lines])

    options = FAST | {"candidates": names, "n_members": 2}
    for labels in (wealth, np.where(income > 3500, "high", wealth)):
        found = TabularMLPClassifier(**options).fit(table, labels)
        found.model_.save(file)
        answers = answered("--proba")
        np.testing.assert_array_equal(answers[:, 0], found.predict(table))
        shares = answers[:, 1:].astype(float)
        np.testing.assert_allclose(shares, found.predict_proba(table), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(mg.load(file).classes_, found.classes_)
    found = TabularMLPRegressor(**options).fit(table, income)
    found.model_.save(file)
    answers = answered("--std").astype(float)
    np.testing.assert_allclose(answers[:, 0], found.predict(table), rtol=1e-6)
    np.testing.assert_allclose(answers[:, 1], found.predict_std(table), rtol=1e-6)
    assert mg.load(file).feature_names_ == ("age", "town", "code", "sold")


def test_a_saved_model_that_was_trained_on_an_array_takes_columns_by_place(tmp_path, capsys):
    from mlpgrad.cli.command import main

    x, y = load_iris(return_X_y=True)
    found = TabularMLPClassifier(**FAST).fit(x, y)
    file, rows = str(tmp_path / "model.npz"), str(tmp_path / "rows.csv")
    found.model_.save(file)
    pd.DataFrame(x, columns=list("abcd")).to_csv(rows, index=False)
    assert main(["predict", file, rows]) == 0
    assert capsys.readouterr().out.split()[1:] == found.predict(x).astype(str).tolist()
    pd.DataFrame(x, columns=list("abcd")).to_csv(rows)  # with the index: a column too many
    assert main(["predict", file, rows]) == 1
    assert (
        "expects 4 columns, as many as the model was trained on, got 5" in capsys.readouterr().err
    )


# in use


def test_the_same_seed_gives_the_same_and_pickles_keep_it():
    found = TabularMLPRegressor(**FAST).fit(TABLE, INCOME)
    again = clone(found).fit(TABLE, INCOME)
    np.testing.assert_array_equal(found.predict(TABLE), again.predict(TABLE))
    loaded = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(found.predict(TABLE), loaded.predict(TABLE))
    assert cross_val_score(found, TABLE, INCOME, cv=2).shape == (2,)


WEIGHTED = "a weight scales the step of its batch: the batches of repeated rows are others"
SMALL = {"n_members": 2, "n_folds": 2}
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTED,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTED,
}


@pytest.mark.slow
@parametrize_with_checks(
    [
        TabularMLPClassifier(**FAST, **SMALL),
        TabularMLPRegressor(**FAST | {"max_epochs": 60}, **SMALL),
    ],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_every_check_passes_but_for_weights_that_stand_for_rows(estimator, check):
    check(estimator)
