"""DataFrames give the same numbers as arrays, and their names are kept and checked."""

import copy
import pickle

import numpy as np
import pytest

import mlpgrad as mg

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

RNG = np.random.default_rng(0)
WHOLE = {
    "rooms": RNG.integers(1, 9, 40),
    "area": RNG.normal(100, 30, 40),
    "garden": RNG.integers(0, 2, 40).astype(bool),
}
X = np.stack([column.astype(float) for column in WHOLE.values()], axis=1)
PRICE = 1e3 * X @ [10.0, 2.0, 30.0] + RNG.normal(size=40)
FIT = {"epochs": 2, "batch_size": 16, "verbose": 0}
NULLABLE = {"rooms": "Int64", "area": "Float64", "garden": "boolean"}
NAMES = tuple(WHOLE)


def regressor(**options):
    layers = [mg.Standardize(3), mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 1)]
    options = {"loss": mg.MeanSquaredError(), "target_scaling": "standard"} | options
    return mg.Sequential(layers, **options, random_state=0)


def fitted(x, y=PRICE, **options):
    model = regressor()
    model.fit(x, y, optimizer=mg.Adam(), **FIT, **options)
    return model


FRAMES = {
    "pandas": pandas.DataFrame(WHOLE),
    "pandas nullable": pandas.DataFrame(WHOLE).astype(NULLABLE),
    "pandas with an index": pandas.DataFrame(WHOLE, index=np.arange(40)[::-1]),
    "pandas by columns": pandas.DataFrame(np.asfortranarray(X), columns=NAMES),
    "polars": polars.DataFrame(WHOLE),
    "polars small types": polars.DataFrame(WHOLE, schema_overrides={"rooms": polars.UInt8}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_trains_and_predicts_as_its_array_does(kind):
    frame, options = FRAMES[kind], {"validation_split": 0.25, "metrics": [mg.R2()]}
    model, by_array = fitted(frame, **options), fitted(X, **options)
    np.testing.assert_array_equal(model.params, by_array.params)
    np.testing.assert_array_equal(model.state, by_array.state)
    for x in (frame, X):
        prediction = model.predict(x)
        assert type(prediction) is np.ndarray
        np.testing.assert_array_equal(prediction, by_array.predict(X))
    assert model.evaluate(frame, PRICE) == by_array.evaluate(X, PRICE)
    np.testing.assert_array_equal(model.jacobian(frame), by_array.jacobian(X))
    assert model.feature_names_ == NAMES
    assert by_array.feature_names_ is None


@pytest.mark.parametrize(
    "y",
    [
        pandas.Series(PRICE, index=np.arange(40)[::-1]),
        pandas.Series(PRICE, dtype="Float64"),
        pandas.DataFrame({"price": PRICE}),
        polars.Series("price", PRICE),
        polars.DataFrame({"price": PRICE}),
        PRICE.tolist(),
    ],
    ids=["series", "nullable", "frame", "polars", "polars frame", "list"],
)
def test_a_target_as_people_have_it(y):
    np.testing.assert_array_equal(fitted(X, y).params, fitted(X).params)
    weights = pandas.Series(np.arange(40.0), index=np.arange(40)[::-1])
    by_array = fitted(X, sample_weight=np.arange(40.0))
    np.testing.assert_array_equal(fitted(X, y, sample_weight=weights).params, by_array.params)


def test_a_frame_keeps_a_type_that_holds_all_columns():
    frame = pandas.DataFrame({"a": np.float32([1, 2]), "b": np.int8([1, 2])})
    model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    assert model.checked_inputs(frame).dtype == np.float32
    large = pandas.DataFrame({"a": [2**62, 1], "b": [True, False]})
    assert model.checked_inputs(large).dtype == np.int64


# names


FRAME = FRAMES["pandas"]
WRONG = [
    (lambda f: f[["area", "rooms", "garden"]], "in the order of the training, 'rooms' at place 0"),
    (lambda f: f[["rooms", "area"]], "missing: 'garden'; give x all of them"),
    (lambda f: f[["rooms", "area"]].assign(gardens=1), "missing: 'garden'; additional: 'gardens'"),
    (lambda f: f.assign(price=1, town=2), "additional: 'price', 'town'; write"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
@pytest.mark.parametrize("to", [lambda f: f, polars.from_pandas], ids=["pandas", "polars"])
def test_other_columns_are_named_and_the_advice_works(change, message, to):
    model, x = fitted(FRAME), to(change(FRAME))
    calls = [
        model.predict,
        lambda x: model.predict(x, std=True),
        lambda x: model.evaluate(x, PRICE),
        lambda x: model.fit(x, PRICE, optimizer=mg.Adam(), **FIT),
        lambda x: fitted(FRAME, validation_data=(x, PRICE)),
        model.jacobian,
        lambda x: model.fit_scaling(x, PRICE),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call(x)
    code = str(caught.value).split("; ")[-1]
    if code.startswith("write"):
        again = eval(code.removeprefix("write "), {"x": x, "model": model, "list": list})
        np.testing.assert_array_equal(model.predict(again), model.predict(FRAME))


def test_names_are_learnt_where_all_of_them_are_text():
    assert fitted(pandas.DataFrame(X)).feature_names_ is None
    mixed = pandas.DataFrame(X, columns=["rooms", "area", 3])
    assert fitted(mixed).feature_names_ is None
    model = fitted(X)
    model.fit(FRAME, PRICE, optimizer=mg.Adam(), **FIT)
    assert model.feature_names_ == NAMES
    model.fit(X, PRICE, optimizer=mg.Adam(), **FIT)
    assert model.feature_names_ == NAMES
    with pytest.raises(AttributeError):
        model.feature_names_ = ()


def test_two_columns_of_one_name_are_refused_at_prediction():
    model = fitted(FRAME)
    twice = pandas.DataFrame(X, columns=["rooms", "area", "area"])
    with pytest.raises(ValueError, match="x has two columns named 'area'; remove or rename"):
        model.predict(twice)


def test_names_are_copied_and_saved(tmp_path):
    model = fitted(FRAME)
    model.save(tmp_path / "model.npz")
    twins = [mg.load(tmp_path / "model.npz"), copy.deepcopy(model), model.copy()]
    for twin in (*twins, pickle.loads(pickle.dumps(model))):
        assert twin.feature_names_ == NAMES
        with pytest.raises(ValueError, match="in the order of the training"):
            twin.predict(FRAME[["area", "rooms", "garden"]])


def test_explanations_and_pictures_know_the_columns():
    model = fitted(FRAME)
    assert "rooms" in str(mg.explain(model, X[0], PRICE[0]))
    pytest.importorskip("matplotlib")
    two = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    x = FRAME[["rooms", "area"]]
    two.fit(x, FRAME["garden"], optimizer=mg.Adam(), **FIT)
    mg.plotting.decision_boundary(two, x, FRAME["garden"])
    with pytest.raises(ValueError, match="in the order of the training"):
        mg.plotting.confusion_matrix(two, x[["area", "rooms"]], FRAME["garden"])


# columns that are not numbers


@pytest.mark.parametrize("kind", [pandas.DataFrame, polars.DataFrame])
def test_a_column_of_text_is_encoded_as_the_message_says(kind):
    x = kind(WHOLE | {"town": ["Oslo", "Rome"] * 20})
    with pytest.raises(TypeError, match=r"column 'town' of x .* 'Oslo' in row 0; encode") as caught:
        fitted(x)
    space = {"x": x, "mg": mg}
    exec(str(caught.value).split("the columns: ")[1], space)
    model = mg.Sequential([mg.Dense(5, 1)], loss=mg.MeanSquaredError(), random_state=0)
    model.fit(space["x"], PRICE / 1e5, optimizer=mg.Adam(), **FIT)


@pytest.mark.parametrize(
    "x",
    [
        FRAME.assign(rooms=FRAME["rooms"].where(FRAME.index != 5)),
        FRAME.astype(NULLABLE).assign(rooms=FRAME["rooms"].astype("Int64").where(FRAME.index != 5)),
        polars.DataFrame(
            WHOLE | {"rooms": [None if i == 5 else int(n) for i, n in enumerate(WHOLE["rooms"])]}
        ),
    ],
    ids=["pandas", "nullable", "polars"],
)
def test_a_gap_is_named_by_column_and_row(x):
    with pytest.raises(ValueError, match=r"column 'rooms' of x .* nan in row 5; remove or impute"):
        fitted(x)


@pytest.mark.parametrize(
    "y", [["dear", "cheap"] * 20, pandas.DataFrame({"price": ["dear", "cheap"] * 20})]
)
def test_text_as_a_target_of_numbers_is_told_of_losses_on_classes(y):
    with pytest.raises(TypeError, match=r"got strings such as 'dear'; .* such as SoftmaxCrossEnt"):
        fitted(X, y)


def test_an_array_is_predicted_without_a_look_at_names_or_units(monkeypatch):
    model = mg.Sequential([mg.Dense(3, 1)], loss=mg.MeanSquaredError(), random_state=0)
    expected = model.predict(X)
    for name in ("check_columns", "checked_inputs", "check_fitted", "in_own_unit", "reading"):
        monkeypatch.setattr(mg.Sequential, name, None)
    np.testing.assert_array_equal(model.predict(X), expected)
