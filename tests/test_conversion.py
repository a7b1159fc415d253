"""Values that the boundary takes for numbers, and errors with the place or column."""

import decimal
import fractions

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core import checks

pandas = pytest.importorskip("pandas")

X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 0.0], [3.0, 5.0]])
Y = np.array([0, 1, 2, 1])


def classifier(dtype="float32"):
    layers = [mg.Dense(2, 3)]
    return mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), dtype=dtype, random_state=0)


def regressor(dtype="float32"):
    return mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), dtype=dtype, random_state=0)


FIT = {"epochs": 2, "batch_size": 2, "verbose": 0}


def calls(model):
    """All public calls that take arrays, as functions of x, y and weights."""
    return {
        "fit": lambda x, y, w: model.fit(x, y, sample_weight=w, optimizer=mg.SGD(0.1), **FIT),
        "validation": lambda x, y, w: model.fit(
            X, Y, validation_data=(x, y, w), optimizer=mg.SGD(0.1), **FIT
        ),
        "stream": lambda x, y, w: model.fit([(x, y, w)], optimizer=mg.SGD(0.1), epochs=1),
        "backpropagate": lambda x, y, w: model.backpropagate(x, y, sample_weight=w),
        "input_gradient": lambda x, y, w: model.input_gradient(x, y, sample_weight=w),
        "objective": lambda x, y, w: model.objective(x, y, sample_weight=w),
        "evaluate": lambda x, y, w: model.evaluate(x, y, sample_weight=w),
        "predict": lambda x, y, w: model.predict(x),
    }


NUMBERS = {
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "longdouble": lambda a: a.astype(np.longdouble),
    "int8": lambda a: a.astype(np.int8),
    "uint64": lambda a: a.astype(np.uint64),
    "list": lambda a: a.tolist(),
    "objects": lambda a: a.astype(object),
    "Decimal": lambda a: np.vectorize(decimal.Decimal, otypes=[object])(a),
    "Fraction": lambda a: np.vectorize(fractions.Fraction, otypes=[object])(a),
    "big-endian": lambda a: a.astype(">f8"),
    "Fortran": np.asfortranarray,
    "masked, nothing hidden": lambda a: np.ma.array(a, mask=False),
    "frame": lambda a: pandas.DataFrame(a) if a.ndim == 2 else pandas.Series(a),
    "nullable Int64": lambda a: (
        pandas.DataFrame(a).astype("Int64") if a.ndim == 2 else pandas.Series(a).astype("Int64")
    ),
    "mixed columns": lambda a: (
        pandas.DataFrame(a).astype({0: "Int64", 1: "float32"})
        if a.ndim == 2
        else pandas.Series(a, dtype=object)
    ),
}


@pytest.mark.parametrize("call", calls(None))
@pytest.mark.parametrize("kind", NUMBERS)
def test_whatever_is_a_number_is_taken_for_one(kind, call):
    made = NUMBERS[kind]
    results = []
    for convert in (np.asarray, made):
        model = classifier()
        result = calls(model)[call](convert(X), convert(Y), convert(np.array([1, 2, 1, 3])))
        results.append((model.params.copy(), model.grads.copy()))
        if isinstance(result, dict):
            results[-1] += tuple(result.values())
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_booleans_are_0_and_1():
    y = Y > 0
    for boolean in (y, y.astype(object), pandas.Series(y).astype("boolean"), y.tolist()):
        ours, theirs = (mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(),
                                      random_state=0) for _ in range(2))  # fmt: skip
        assert ours.backpropagate(X > 1, boolean) == theirs.backpropagate((X > 1) * 1.0, y * 1.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2**62, 1], np.array([2**62, 1])),
        ([2**70, 1], np.array([2.0**70, 1])),
        ([1, 0.5], np.array([1, 0.5])),
        ([True, 2], np.array([1, 2])),
        ([1j, 2], np.array([1j, 2])),
        ([np.longdouble(1) / 3, 1], np.array([np.longdouble(1) / 3, 1])),
        ([np.float32(0.1), np.int8(1)], np.array([np.float32(0.1), 1], np.float64)),
    ],
)
def test_objects_become_the_numbers_that_they_are(values, expected):
    array = np.empty(2, object)
    array[:] = values
    found = checks.numeric(array, "x")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# errors


def changed(array, at, value):
    array = np.array(array, float)
    array[at] = value
    return array


TOO_LARGE = {
    "x": (changed(X, (2, 1), 1e39), Y, None, r"x expects numbers that float32 can hold, got "
          r"1e\+39 at x\[2, 1\]; rescale it, or make the model with dtype=\"float64\""),
    "y": (X, changed(Y, 3, -1e300), None, r"y expects numbers that float32 can hold, got "
          r"-1e\+300 at y\[3\]"),
    "weights": (X, Y, changed(Y + 1, 1, 1e39), r"sample_weight expects numbers that float32 can "
                r"hold, got 1e\+39 at sample_weight\[1\]"),
}  # fmt: skip


@pytest.mark.parametrize("call", calls(None))
@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_the_dtype_cannot_hold_is_refused_with_its_place(case, call):
    *arrays, message = TOO_LARGE[case]
    if call == "predict" and case != "x":
        return
    with pytest.raises(ValueError, match=message):
        calls(regressor())[call](*arrays)
    calls(regressor("float64"))["backpropagate"](X, Y, None)


def test_the_advice_about_large_numbers_works():
    x = changed(X, (2, 1), 1e39)
    with pytest.raises(ValueError, match='rescale it, or make the model with dtype="float64"'):
        regressor().predict(x)
    regressor("float64").predict(x)
    regressor().predict(x / 1e39)
    wide = changed(X, (2, 1), 1).astype(np.longdouble)
    wide[2, 1] = np.longdouble("1e4000")
    with pytest.raises(ValueError, match=r"float64 can hold, got 1e\+4000 at .*; rescale it$"):
        regressor("float64").predict(wide)


def test_the_largest_numbers_of_the_dtype_are_taken():
    largest = np.finfo(np.float32).max
    checks.finite(np.array([[largest, -largest]]), "x", np.dtype("float32"))
    checks.finite(np.array([[float(largest) * (1 + 1e-9)]]), "x", np.dtype("float32"))  # rounds
    with pytest.raises(ValueError, match=r"at x\[0, 1\]"):
        checks.finite(np.array([[0, float(largest) * (1 + 1e-7)]]), "x", np.dtype("float32"))
    with pytest.raises(ValueError, match=r"float16 can hold, got 70000 at x\[1\]"):
        checks.finite(np.array([1, 70000]), "x", np.dtype("float16"))


@pytest.mark.parametrize("members", [False, True])
def test_a_mapped_file_is_checked_in_blocks_and_the_row_named(tmp_path, members, monkeypatch):
    monkeypatch.setattr(checks, "CHUNK", 64)
    shape = (3, 1000, 2) if members else (1000, 2)
    x = np.memmap(tmp_path / "x", np.float64, "w+", shape=shape)
    at = (1, 777, 1) if members else (777, 1)
    x[at] = 1e39
    read = [rows.size for _, rows in checks.blocks(x)]
    assert max(read) <= 64
    assert sum(read) == x.size
    size = 3 if members else None
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), ensemble_size=size)
    place = r"1, 777, 1" if members else "777, 1"
    with pytest.raises(ValueError, match=rf"got 1e\+39 at x\[{place}\]"):
        model.fit(x, np.zeros(shape[:-1]), optimizer=mg.SGD(0.1), **FIT)


def hidden(array, at):
    mask = np.zeros(np.shape(array), bool)
    mask[at] = True
    return np.ma.array(array, mask=mask)


HIDDEN = {
    "x": (hidden(X, (3, 1)), Y, None, r"x is a masked array with a masked value .* x\[3, 1\]"),
    "y": (X, hidden(Y, 2), None, r"y is a masked array with a masked value .* y\[2\]"),
    "weights": (X, Y, hidden(np.ones(4), 1), r"sample_weight is a .* sample_weight\[1\]"),
    "rows": ([X[0], hidden(X[1], 0), X[2], X[3]], Y, None, r"x\[1\] is .* at x\[1\]\[0\]"),
}


@pytest.mark.parametrize("call", calls(None))
@pytest.mark.parametrize("case", HIDDEN)
def test_what_a_mask_hides_is_never_used(case, call):
    *arrays, message = HIDDEN[case]
    if call == "predict" and case not in ("x", "rows"):
        return
    with pytest.raises(ValueError, match=message):
        calls(classifier())[call](*arrays)


def test_a_mask_is_seen_before_training_too():
    x, y, _, message = HIDDEN["x"]
    with pytest.raises(ValueError, match=r"masked value at standardize\[3, 1\]"):
        mg.datasets.standardize(x)
    with pytest.raises(ValueError, match=message):
        mg.datasets.split(x, y)
    with pytest.raises(ValueError, match=r"layers\[0\].weights is a masked array"):
        classifier().set_weights(
            {**classifier().get_weights(), "layers[0].weights": hidden(np.ones((2, 3)), (0, 1))}
        )
    model = classifier()
    assert model.predict(x.filled(0)).shape == (4, 3)  # as the message advises


FRAME = pandas.DataFrame({"area": [1.0, 2, 3, 4], "town": ["Oslo", "Rome", "Oslo", "Bern"]})


def test_a_column_of_text_is_named_and_the_advice_works():
    with pytest.raises(TypeError, match="column 'town' of x expects numbers, got 'Oslo' in row 0;"):
        classifier().predict(FRAME)
    dummies = pandas.get_dummies(FRAME, columns=["town"])
    model = mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    model.fit(dummies, Y, optimizer=mg.SGD(0.1), **FIT)


def test_a_gap_is_named_with_its_column():
    gap = pandas.DataFrame({"area": [1.0, 2, 3, 4], "age": pandas.array([1, None, 3, 4], "Int64")})
    with pytest.raises(ValueError, match=r"column 'age' of x .* nan in row 1; remove or impute"):
        classifier().predict(gap)
    assert classifier().predict(gap.dropna()).shape == (3, 3)
    assert classifier().predict(gap.fillna(0)).shape == (4, 3)
    twice = pandas.DataFrame([[1.0, "a"], [2.0, "b"]], columns=["area", "area"])
    with pytest.raises(TypeError, match="column 'area' of x expects numbers, got 'a' in row 0"):
        classifier().predict(twice)


def test_numbers_in_text_are_told_how_to_be_converted():
    text = X.astype(str)
    with pytest.raises(TypeError, match=r"strings such as '0.0' .*numpy.asarray\(x, dtype=float\)"):
        classifier().predict(text)
    classifier().predict(np.asarray(text, dtype=float))
    with pytest.raises(TypeError, match="convert the text to numbers, for instance one column"):
        classifier().predict(np.full((4, 2), "a"))


@pytest.mark.parametrize(
    "names",
    [
        np.array(["cat", "dog", "cow", "dog"]),
        ["cat", "dog", "cow", "dog"],
        np.array(["cat", "dog", "cow", "dog"], object),
        pandas.Series(["cat", "dog", "cow", "dog"]),
        pandas.Series(["cat", "dog", "cow", "dog"], dtype="category"),
        np.array(["1", "2", "5", "2"]),
    ],
    ids=["array", "list", "objects", "series", "categories", "digits"],
)
def test_names_of_classes_are_learnt(names):
    model = classifier()
    model.fit(X, names, optimizer=mg.SGD(0.1), **FIT)
    assert set(model.predict_classes(X)) <= set(names)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[None, 1]], object), r"got object: None at \[0, 0\]; remove or impute"),
        (np.array([[1.0, {}]], object), r"got object: \{\} at \[0, 1\]; convert it to numbers"),
        (None, "x expects an array of numbers, got None; pass an array, or a list with a row"),
        (iter([[1.0, 2.0]]), "x expects an array of numbers, got <list_iterator"),
        ({"a": 1.0, "b": 2.0}, r"x expects an array of numbers, got \{'a': 1\.0"),
        (np.array([(1, 2)], "i4,i4"), "x expects numbers, got void"),
        (
            pandas.DataFrame({"a": [1.0], "day": pandas.to_datetime(["2020-01-01"])}),
            r"column 'day' of x expects numbers, got datetime64.*; write .* for days",
        ),
    ],
)
def test_what_is_no_number_is_named(values, message):
    with pytest.raises(TypeError, match=message):
        classifier().predict(values)


@pytest.mark.parametrize("dtype", [float, str, object])
@pytest.mark.parametrize(("shape", "missing"), [((0, 2), "sample"), ((4, 0), "column")])
def test_what_an_empty_array_lacks_is_named(shape, missing, dtype):
    with pytest.raises(ValueError, match=f"x is empty: .*; at least one {missing} is needed"):
        classifier().predict(np.empty(shape, dtype))


@pytest.mark.parametrize("kind", ["M8[D]", "m8[h]"])
def test_dates_are_told_how_to_become_numbers(kind):
    x = np.array([[0, 24], [48, 72]], kind)
    with pytest.raises(TypeError, match=r"x expects numbers, got .*64.*; write ") as caught:
        classifier().predict(x)
    advice = str(caught.value).split("; write ")[1].removesuffix(" for days")
    days = eval(advice, {"numpy": np, "x": x})
    np.testing.assert_array_equal(days, x.astype(int) / (24 if kind == "m8[h]" else 1))
    classifier().predict(days)


def test_the_dates_of_a_frame_become_days_as_the_message_says():
    polars = pytest.importorskip("polars")
    days = ["2020-01-01", "2020-01-04"]
    for x in (
        pandas.DataFrame({"day": pandas.to_datetime(days), "age": [1.0, 2.0]}),
        polars.DataFrame({"day": days, "age": [1.0, 2.0]}).with_columns(
            polars.col("day").str.to_datetime()
        ),
    ):
        with pytest.raises(TypeError, match=r"column 'day' of x .*; write ") as caught:
            classifier().predict(x)
        code = str(caught.value).split("; write ")[1].removesuffix(" for days")
        assert list(eval(code, {"x": x})) == [0.0, 3.0]


def test_a_frame_of_one_column_is_a_target():
    y = pandas.DataFrame({"label": ["cat", "dog", "cow", "dog"]})
    with pytest.raises(
        ValueError, match=r"does not know its classes yet; give them: Sequential\(\.\.\., classes"
    ):
        classifier().backpropagate(X, y)
    model = mg.Sequential(
        [mg.Dense(2, 3)], loss=mg.SoftmaxCrossEntropy(), classes=["cat", "cow", "dog"]
    )
    model.backpropagate(X, y)


def test_a_checked_array_is_not_copied():
    for array in (X, X.astype(np.float32), Y):
        assert checks.numeric(array, "x") is array
