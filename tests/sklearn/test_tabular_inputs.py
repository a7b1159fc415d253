"""The pair for tables with targets, folds and options in the forms that people give."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import StackingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import learning_curve

import mlpgrad as mg
from mlpgrad.sklearn import MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from mlpgrad.sklearn.candidates import CANDIDATES

pd = pytest.importorskip("pandas")

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
NAMES = SPECIES.map({0: "setosa", 1: "versicolor", 2: "virginica"})
PATIENTS, PROGRESS = load_diabetes(return_X_y=True, as_frame=True)
FEW = {"candidates": ["plain"], "n_members": 2, "max_epochs": 4, "learning_rate": 0.02}
FEW |= {"hidden_layer_sizes": (8,), "random_state": 0}


def classifier(**options):
    return TabularMLPClassifier(**{**FEW, **options})


def regressor(**options):
    return TabularMLPRegressor(**{**FEW, **options})


@pytest.mark.parametrize(
    "target",
    [
        *(NAMES.astype("category"), NAMES.astype("string"), NAMES.astype(object), NAMES.to_frame()),
        *(SPECIES.astype("Int64"), SPECIES.astype("UInt8"), (SPECIES > 1).astype("boolean")),
        *(SPECIES.astype(float), SPECIES > 1, SPECIES.to_numpy(), NAMES.tolist()),
        *(SPECIES.astype(object), (SPECIES > 1).astype(object)),
    ],
    ids=lambda y: str(getattr(y, "dtype", type(y).__name__)),
)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_come_back_as_they_were_given(target):
    found = classifier().fit(FLOWERS, target)
    labels = np.asarray(target).ravel().tolist()
    assert found.classes_.tolist() == sorted(set(labels))
    assert {type(label) for label in found.predict(FLOWERS).tolist()} == set(map(type, labels))


def test_a_missing_label_is_refused_in_every_type():
    for target in (SPECIES.where(SPECIES > 0), SPECIES.astype("Int64").where(SPECIES > 0)):
        with pytest.raises(ValueError, match="contains NaN"):
            classifier().fit(FLOWERS, target)


HOURS = pd.Series(pd.to_timedelta(np.arange(len(PATIENTS)), unit="h"))
DAYS = pd.Timestamp("2020-01-01") + HOURS
DATES = {
    **{f"timedelta64[{unit}]": HOURS.astype(f"timedelta64[{unit}]") for unit in ("s", "ns")},
    **{f"datetime64[{unit}]": DAYS.astype(f"datetime64[{unit}]") for unit in ("s", "ns")},
    "durations with a gap": HOURS.where(HOURS.index > 3),
    "dates with a gap": DAYS.where(DAYS.index > 3),
    "dates with a zone": DAYS.dt.tz_localize("UTC"),
    "dates of Python": [day.date() for day in DAYS],
    "durations of Python": [hours.to_pytimedelta() for hours in HOURS],
    "an array": HOURS.to_numpy(),
    "a frame": HOURS.to_frame(),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_and_durations_are_not_numbers_of_a_unit_that_the_dtype_decides(kind):
    for estimator in (regressor(), MLPRegressor(max_iter=2)):
        with pytest.raises(TypeError, match="y expects numbers, got"):
            estimator.fit(PATIENTS, DATES[kind])
    with pytest.raises(TypeError, match="y expects numbers, got"):
        MLPRegressor().partial_fit(PATIENTS, DATES[kind])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_target_of_dates_beside_one_of_numbers_is_refused_as_such(library):
    frames = pytest.importorskip(library)
    y = frames.DataFrame({"a": PROGRESS.to_numpy(), "day": [day.date() for day in DAYS]})
    with pytest.raises(TypeError, match="y expects numbers, got"):
        regressor().fit(PATIENTS, y)
    with pytest.raises(ValueError, match="y should be a 1d array"):
        classifier().fit(PATIENTS, y)
    if library == "pandas":
        with pytest.raises(TypeError, match="y expects numbers, got datetime64"):
            regressor().fit(PATIENTS, y.astype({"day": "datetime64[s]"}))
        with pytest.raises(ValueError, match="y should be a 1d array"):
            classifier().fit(PATIENTS, y.astype({"day": "datetime64[s]"}))


def test_text_among_targets_is_shown_as_it_stands():
    prices = np.array([f"${value}" for value in PROGRESS])
    with pytest.raises(ValueError, match=r"got the text '\$151\.0'; convert them"):
        regressor().fit(PATIENTS, prices)


@pytest.mark.parametrize("unit", [1e-36, 1e-22, 1e25])
def test_the_uncertainty_is_in_the_unit_of_the_target(unit):
    plain, scaled = (regressor().fit(PATIENTS, PROGRESS * one) for one in (1, unit))
    std = scaled.predict_std(PATIENTS)
    np.testing.assert_allclose(std, plain.predict_std(PATIENTS) * unit, rtol=1e-5)
    low, high = scaled.predict_interval(PATIENTS, coverage=0.9)
    np.testing.assert_allclose((high - low) / std, 2 * 1.6448536, rtol=1e-5)


def test_folds_are_as_many_as_members_can_leave_out():
    for folds in (np.zeros(150, int), np.arange(150) % 3):
        with pytest.raises(ValueError, match=r"from 2 to 2 folds.*another n_members"):
            classifier().fit(FLOWERS, NAMES, folds=folds)
    named = np.where(np.arange(150) % 2, "second", "first")
    np.testing.assert_array_equal(
        classifier().fit(FLOWERS, NAMES, folds=named).folds_, np.arange(150) % 2
    )


def test_errors_name_the_options_of_the_estimator():
    with pytest.raises(TypeError, match="expects whole numbers such as"):
        classifier(hidden_layer_sizes=(3.5,)).fit(FLOWERS, NAMES)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[8, 0\]"):
        classifier(hidden_layer_sizes=(8, 0)).fit(FLOWERS, NAMES)
    found = regressor().fit(PATIENTS, PROGRESS)
    with pytest.raises(ValueError, match=r"coverage expects a number in \(0, 1\)"):
        found.predict_interval(PATIENTS, coverage=2)
    with pytest.raises(ValueError, match=r"differ from row to row$"):
        classifier().fit(pd.DataFrame({"same": [1] * 150}), NAMES)
    with pytest.raises(TypeError, match=r"such as X\['day'\]\.dt\.year"):
        classifier().fit(FLOWERS.assign(day=pd.Timestamp("2020-01-01")), NAMES)


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
def test_an_array_in_place_of_a_frame_is_told_what_to_give():
    named = regressor().fit(PATIENTS, PROGRESS)
    with pytest.raises(ValueError, match="are numbered: give a DataFrame with these names"):
        named.predict(PATIENTS.to_numpy())
    nameless = regressor().fit(PATIENTS.to_numpy(), PROGRESS)
    with pytest.raises(ValueError, match=r"pass X\.to_numpy\(\)$"):
        nameless.predict(PATIENTS)


def test_inspection_calibration_stacking_and_learning_curves():
    table = FLOWERS.assign(colour=np.where(SPECIES == 1, "blue", None))
    found = classifier(max_epochs=20).fit(table, NAMES)
    drops = permutation_importance(found, table, NAMES, n_repeats=2, random_state=0)
    assert drops.importances_mean.max() > 0.05
    averages = partial_dependence(found, table, ["petal width (cm)"], grid_resolution=4).average
    assert averages.shape == (3, 4)
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(table, NAMES)
    np.testing.assert_allclose(calibrated.predict_proba(table).sum(axis=1), 1)
    stacked = StackingRegressor([("ours", regressor()), ("ridge", Ridge())], cv=2)
    assert stacked.fit(PATIENTS, PROGRESS).score(PATIENTS, PROGRESS) > 0.4
    _, scores, _ = learning_curve(regressor(), PATIENTS, PROGRESS, cv=2, train_sizes=[0.5, 1.0])
    assert scores.shape == (2, 2)


@pytest.mark.parametrize(
    ("written", "first"),
    [
        ("${},500.5", 1500.5),
        ("{},5", 1.5),
        ("{}.250,75 €", 1250.75),
        ("{},500", 1500.0),
        ("-{}.25%", -1.25),
        ("{},5 %", 1.5),
        ("{},500 kg", 1500.0),
        ("Rs. {},200", 1200.0),
        ("CHF {}'250.5", 1250.5),
        ("{}.5 EUR/m²", 1.5),
    ],
)
def test_amounts_as_a_target_are_converted_as_the_error_says(written, first):
    x, y = (
        pd.DataFrame({"a": np.arange(30.0)}),
        pd.Series([written.format(k) for k in range(1, 31)]),
    )
    with pytest.raises(ValueError, match="expects numbers in y, got the text") as caught:
        regressor().fit(x, y)
    assert repr(written.format(1)) in str(caught.value)
    advice = str(caught.value).partition("such as ")[2].partition(", or use")[0]
    numbers = eval(advice, {"y": y})
    assert numbers[0] == first
    assert np.isfinite(regressor().fit(x, numbers).predict(x)).all()


@pytest.mark.parametrize(
    "values",
    [
        ["${},500", "TBD", "${},250"],
        ["{},5 %", "{} %", "n.a."],
        [1.5, "-", 2.5],
        ["$1,250", "?", 7],
    ],
    ids=["dollars", "per cent", "numbers", "mixed"],
)
def test_other_texts_among_amounts_are_to_be_left_out(values):
    y = pd.Series(values * 10, dtype=object)
    y = y.map(lambda value: value.format(3) if isinstance(value, str) else value)
    x = pd.DataFrame({"a": np.arange(30.0)})
    with pytest.raises(ValueError, match=r"; leave out the rows with '(TBD|n.a.|-|[?])'") as caught:
        regressor().fit(x, y)
    kept = y[~y.isin(["TBD", "n.a.", "-", "?"])]
    advice = str(caught.value).partition("convert the others, such as ")[2].partition(", or use")[0]
    numbers = eval(advice or "y", {"y": kept})
    assert np.isfinite(regressor().fit(x.loc[kept.index], numbers).predict(x)).all()


def test_names_are_not_to_be_converted_to_numbers():
    with pytest.raises(ValueError, match="got the text 'good'; give numbers, or use TabularMLPC"):
        regressor().fit(pd.DataFrame({"a": np.arange(20.0)}), ["good", "bad", "5", "bad"] * 5)


@pytest.mark.parametrize(
    ("texts", "units"), [(["5 g", "2 kg"], "'g' and 'kg'"), (["5 %", "0.5"], "'%' and none")]
)
def test_amounts_in_several_units_are_not_to_be_stripped_of_them(texts, units):
    with pytest.raises(ValueError, match=f"convert them to one unit: they have {units}, or use"):
        regressor().fit(pd.DataFrame({"a": np.arange(20.0)}), pd.Series(texts * 10))


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize("dtype", [object, "string", "string[python]"])
@pytest.mark.parametrize("gap", [None, np.nan, pd.NA], ids=str)
def test_a_gap_in_a_target_of_text_is_named_by_its_row(cls, dtype, gap):
    y = pd.Series(["hi", "lo", gap, "hi"] * 5, dtype=dtype)
    with pytest.raises(ValueError, match="first in row 2; leave out rows without a target"):
        cls().fit(pd.DataFrame({"a": np.arange(20.0)}), y)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_classes_that_are_dates_are_refused_before_anything_is_trained(zone, monkeypatch):
    monkeypatch.setattr(mg.Sequential, "fit", None)
    y = pd.Series(pd.date_range("2020-01-01", periods=2, tz=zone).repeat(10))
    with pytest.raises(TypeError, match=r"y expects (labels|numbers)"):
        TabularMLPClassifier().fit(pd.DataFrame({"a": np.arange(20.0)}), y)


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("kind", [classifier, regressor])
def test_no_candidate_gives_advice_about_its_training(kind, name):
    rng = np.random.default_rng(0)
    x, noise = rng.uniform(-3, 3, (20, 1)), rng.integers(0, 2, 20)
    options = {"candidates": ["plain", name], "learning_rate": 10.0, "patience": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind(hidden_layer_sizes=(2, 2), batch_size=1, dropout=0, **options).fit(x, noise)


@pytest.mark.parametrize("kind", [classifier, regressor])
def test_rows_of_positive_weight_are_in_all_folds_alike(kind):
    weights, labels = np.zeros(60), np.arange(60) % 2
    weights[:8] = 1
    for seed in range(20):
        found = kind(n_members=4, n_folds=4, max_epochs=1, random_state=seed)
        found.fit(FLOWERS[:60], labels, sample_weight=weights)
        assert sorted(found.folds_[:8]) == [0, 0, 1, 1, 2, 2, 3, 3]
    three = (np.arange(60) < 3).astype(float)
    assert kind(n_members=5).fit(FLOWERS[:60], labels, sample_weight=three).folds_.max() == 2
    with pytest.raises(ValueError, match="got 1 sample with a positive weight"):
        kind().fit(FLOWERS[:60], labels, sample_weight=(np.arange(60) == 3).astype(float))


def test_candidates_that_do_not_suit_are_refused_with_what_they_do_not_suit():
    with pytest.raises(ValueError, match="suits 150 rows of classes and hidden_layer_sizes="):
        classifier(candidates=["linear", "long"]).fit(FLOWERS, SPECIES)
    with pytest.raises(ValueError, match=r"suits 442 rows of numbers and hidden_layer_sizes=\(\)"):
        regressor(candidates=["linear"], hidden_layer_sizes=()).fit(PATIENTS, PROGRESS)


def test_a_row_whose_outputs_overflow_has_no_class():
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = TabularMLPClassifier(candidates=["plain"], max_epochs=2, n_members=2, random_state=0)
    model.fit(x, np.where(x[:, 0] > 0, "warm", "cold"))
    x[1] = 1e38
    with pytest.raises(ValueError, match=r"outputs for x\[1\] are not finite"):
        model.predict(x)
    assert np.isnan(model.predict_proba(x)).any(axis=1).nonzero()[0].tolist() == [1]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", ["plain", "evidence"])
def test_a_row_of_weight_0_leaves_no_trace_in_score_and_noise(name):
    x, weights = np.random.default_rng(0).normal(size=(60, 3)), np.append(np.ones(59), 0.0)
    y, found = x.sum(axis=1), []
    for value in (1.0, 1e200 if name == "evidence" else 1e30):  # whose square overflows
        y[-1] = value
        fitted = regressor(candidates=[name], random_state=0)
        fitted.fit(x, y, sample_weight=weights)
        found.append([fitted.oof_score_, *fitted.predict_std(x)])
    np.testing.assert_array_equal(*found)
