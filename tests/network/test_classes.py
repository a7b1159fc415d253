"""Labels of any kind are given or learnt by fit, and predict_classes returns them."""

import copy
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import LOSSES, every, every_loss, example, one_and_many

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
INDICES = np.r_[0, 1, 2, RNG.integers(0, 3, 57)]
NAMES = np.array(["ant", "bee", "cat"])
FIT = {"epochs": 2, "batch_size": 16, "verbose": 0}


def classifier(outputs=3, loss=None, **options):
    options = {"loss": loss or mg.SoftmaxCrossEntropy(), "random_state": 0} | options
    return mg.Sequential([mg.Dense(3, outputs)], **options)


def fitted(y, outputs=3, loss=None, fit=None, **options):
    model = classifier(outputs, loss, **options)
    model.fit(X, y, optimizer=mg.Adam(0.1), **FIT, **(fit or {}))
    return model


TEXT = NAMES[INDICES]
SEVERAL = {
    "array": (TEXT, NAMES),
    "list": (TEXT.tolist(), NAMES),
    "objects": (TEXT.astype(object), NAMES),
    "string dtype": (TEXT.astype(np.dtypes.StringDType()), NAMES),
    "column": (TEXT[:, None], NAMES),
    "series": (pandas.Series(TEXT, index=np.arange(60)[::-1]), NAMES),
    "nullable text": (pandas.Series(TEXT, dtype="string"), NAMES),
    "category": (pandas.Series(TEXT, dtype="category"), NAMES),
    "categorical": (pandas.Categorical(TEXT), NAMES),
    "frame": (pandas.DataFrame({"insect": TEXT}), NAMES),
    "dummies": (pandas.get_dummies(pandas.Series(TEXT)), NAMES),
    "polars": (polars.Series(TEXT), NAMES),
    "polars categorical": (polars.Series(TEXT, dtype=polars.Categorical), NAMES),
    "polars enum": (polars.Series(TEXT, dtype=polars.Enum(NAMES.tolist())), NAMES),
    "polars frame": (polars.DataFrame({"insect": TEXT}), NAMES),
    "integers": (INDICES + 5, [5, 6, 7]),
    "negative": (10 * INDICES - 10, [-10, 0, 10]),
    "whole floats": (10.0 * INDICES, [0.0, 10.0, 20.0]),
    "nullable integers": (pandas.Series(INDICES + 1, dtype="Int64"), [1, 2, 3]),
    "polars integers": (polars.Series(INDICES + 1), [1, 2, 3]),
    "numpy integers": ((INDICES + 1).astype(object), [1, 2, 3]),
    "indices": (INDICES, [0, 1, 2]),
    "unsigned": (INDICES.astype(np.uint8), [0, 1, 2]),
    "one-hot": (np.eye(3)[INDICES], [0, 1, 2]),
}


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("loss", [mg.SoftmaxCrossEntropy, mg.CrossEntropy])
def test_every_way_to_give_classes_trains_as_indices_do(kind, loss):
    def trained(y):
        layers = [mg.Dense(3, 3), *([mg.Softmax()] if loss is mg.CrossEntropy else [])]
        model = mg.Sequential(layers, loss=loss(), random_state=0)
        options = {"validation_split": 0.2, "class_weight": "balanced"}
        history = model.fit(X, y, optimizer=mg.Adam(0.1), **FIT, **options)
        return model, history

    y, classes = SEVERAL[kind]
    (model, history), (by_index, expected) = trained(y), trained(INDICES)
    np.testing.assert_array_equal(model.params, by_index.params)
    assert dict(history) == dict(expected)
    np.testing.assert_array_equal(model.classes_, classes)
    predicted = model.predict_classes(X)
    np.testing.assert_array_equal(predicted, np.asarray(classes)[by_index.predict_classes(X)])
    assert model.evaluate(X, y) == by_index.evaluate(X, INDICES)
    assert model.backpropagate(X, y) == by_index.backpropagate(X, INDICES)


TWO = {
    "text": (np.array(["no", "yes"]), np.array(["no", "yes"])),
    "booleans": (np.array([False, True]), np.array([False, True])),
    "signs": (np.array([-1, 1]), np.array([-1, 1])),
    "1 and 2": (np.array([1, 2]), np.array([1, 2])),
    "bytes": (np.array([b"no", b"yes"]), np.array([b"no", b"yes"])),
}
BINARY = [mg.SigmoidCrossEntropy, mg.BinaryCrossEntropy, mg.Hinge]


@pytest.mark.parametrize("kind", TWO)
@pytest.mark.parametrize("loss", BINARY)
@pytest.mark.parametrize("as_given", [np.asarray, pandas.Series, list], ids=lambda f: f.__name__)
def test_two_classes_of_one_output(kind, loss, as_given):
    def trained(y):
        layers = [mg.Dense(3, 1), *([mg.Sigmoid()] if loss is mg.BinaryCrossEntropy else [])]
        model = mg.Sequential(layers, loss=loss(), random_state=0)
        model.fit(X, y, optimizer=mg.Adam(0.1), **FIT)
        return model

    values, classes = TWO[kind]
    y = INDICES % 2
    model, by_index = trained(as_given(values[y])), trained(y)
    np.testing.assert_array_equal(model.params, by_index.params)
    np.testing.assert_array_equal(model.classes_, classes)
    predicted = model.predict_classes(X)
    assert predicted.dtype == classes.dtype
    np.testing.assert_array_equal(predicted, classes[by_index.predict_classes(X)])


def test_a_nullable_boolean_is_one():
    model = fitted(pandas.Series(INDICES > 0, dtype="boolean"), 1, mg.SigmoidCrossEntropy())
    assert model.classes_.tolist() == [False, True]


@one_and_many
def test_members_share_the_classes(size):
    model = fitted(TEXT, ensemble_size=size)
    lead = () if size is None else (size,)
    assert model.predict_classes(X).shape == (*lead, 60)
    assert set(np.unique(model.predict_classes(X))) <= set(NAMES)
    if size is not None:
        assert set(model.predict_classes(X, average=True)) <= set(NAMES)
        assert model.member(0).classes_.tolist() == NAMES.tolist()
        own = np.stack([TEXT, TEXT[::-1], TEXT])
        assert fitted(own, ensemble_size=3).classes_.tolist() == NAMES.tolist()


def test_the_order_of_categories_is_that_of_the_outputs():
    levels = ["low", "mid", "high"]
    y = pandas.Series(pandas.Categorical(np.array(levels)[INDICES], levels, ordered=True))
    assert fitted(y).classes_.tolist() == levels
    enum = polars.Series(np.array(levels)[INDICES], dtype=polars.Enum(levels))
    assert fitted(enum).classes_.tolist() == levels
    some = y[INDICES < 2].reset_index(drop=True)  # "high" is a category that does not occur
    model = classifier()
    model.fit(X[INDICES < 2], some, optimizer=mg.Adam(), **FIT)
    assert model.classes_.tolist() == levels
    model = classifier(1, mg.SigmoidCrossEntropy())
    model.fit(X[INDICES < 2], some, optimizer=mg.Adam(), **FIT)
    assert model.classes_.tolist() == ["low", "mid"]


def test_labels_of_their_own_are_named_by_the_columns_of_a_frame():
    y = pandas.DataFrame({"red": INDICES == 0, "round": INDICES != 1, "big": INDICES == 2})
    model = fitted(y, loss=mg.SigmoidCrossEntropy())
    by_hand = fitted(y.to_numpy().astype(int), loss=mg.SigmoidCrossEntropy())
    np.testing.assert_array_equal(model.params, by_hand.params)
    assert model.classes_.tolist() == ["red", "round", "big"]
    np.testing.assert_array_equal(model.predict_classes(X), by_hand.predict_classes(X))
    with pytest.raises(ValueError, match=r"y expects its columns in the order of the training"):
        model.evaluate(X, y[["round", "red", "big"]])
    given = classifier(loss=mg.SigmoidCrossEntropy(), classes=["red", "round", "big"])
    given.backpropagate(X, y)
    with pytest.raises(ValueError, match="a name for each output, 3 in all, got 2"):
        classifier(loss=mg.SigmoidCrossEntropy(), classes=["red", "round"])


# given classes


def test_given_classes_are_those_of_the_outputs_in_this_order():
    model = fitted(TEXT, classes=["cat", "ant", "bee"])
    assert model.classes_.tolist() == ["cat", "ant", "bee"]
    order = np.array([1, 2, 0])
    by_index = fitted(order[INDICES])
    np.testing.assert_array_equal(model.params, by_index.params)
    # integers inside 0 .. K-1 are indices
    np.testing.assert_array_equal(fitted(order[INDICES], classes=NAMES).params, by_index.params)
    stream = [(X[:30], TEXT[:30]), (X[30:], TEXT[30:])]
    streamed = classifier(classes=NAMES)
    streamed.fit(stream, optimizer=mg.Adam(), epochs=1, verbose=0)
    with pytest.raises(ValueError, match=r"does not know its classes yet; .*classes="):
        classifier().fit(stream, optimizer=mg.Adam(), epochs=1, verbose=0)
    assert repr(model).endswith("classes=['cat', 'ant', 'bee'])")


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (["a", "b"], ValueError, "a name for each output, 3 in all, got 2: 'a', 'b'"),
        (["a", "b", "a"], ValueError, "labels that are all different"),
        ("abc", TypeError, "a list of labels, got 'abc'"),
        (3, TypeError, "a list of labels, got 3"),
        (["a", 1, "b"], TypeError, "all text or all numbers, got text and 1 in row 1"),
    ],
)
def test_given_classes_are_checked(classes, error, message):
    with pytest.raises(error, match=message):
        classifier(classes=classes)


def test_only_a_loss_on_classes_has_some():
    with pytest.raises(TypeError, match=r"classes expects a loss on classes, got MeanSquaredErr"):
        classifier(loss=mg.MeanSquaredError(), classes=NAMES)
    model = fitted(TEXT)
    with pytest.raises(AttributeError, match="classes cannot be changed"):
        model.classes = ["a", "b", "c"]
    model.loss = mg.MeanSquaredError()
    assert model.classes_ is None
    assert classifier().classes_ is None


def test_what_is_kept_is_read_only_and_saved(tmp_path):
    for model in (fitted(TEXT), fitted(INDICES + 1), fitted(TEXT, classes=NAMES[::-1])):
        model.save(tmp_path / "model.npz")
        twins = [mg.load(tmp_path / "model.npz"), copy.deepcopy(model), model.copy()]
        for twin in (model, *twins, pickle.loads(pickle.dumps(model))):
            assert twin.classes_.dtype == model.classes_.dtype
            np.testing.assert_array_equal(twin.predict_classes(X), model.predict_classes(X))
            with pytest.raises(ValueError, match="read-only"):
                twin.classes_[0] = model.classes_[1]
            with pytest.raises(AttributeError):
                twin.classes_ = NAMES


# labels that do not fit


def test_an_unknown_label_is_named_with_its_row():
    wrong = np.where(np.arange(60) == 7, "dog", TEXT)
    model = fitted(TEXT)
    message = r"expects one of the classes 'ant', 'bee', 'cat', got 'dog' in row 7 of y; "
    calls = [
        lambda: model.evaluate(X, wrong),
        lambda: model.backpropagate(X, wrong),
        lambda: model.fit(X, wrong, optimizer=mg.Adam(), **FIT),
        lambda: fitted(TEXT, fit={"validation_data": (X, wrong)}),
        lambda: fitted(
            TEXT, fit={"callbacks": [mg.EarlyStopping(1, validation_data=(X, wrong[:, None]))]}
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=r"classes 5, 6, 7, got 0 in row 0 of y"):
        fitted(INDICES + 5).evaluate(X, INDICES)
    with pytest.raises(ValueError, match=r"classes 0, 1, 2, got 'ant' in row 0 of y"):
        fitted(INDICES).evaluate(X, ["ant"] * 60)


@pytest.mark.parametrize(
    ("y", "outputs", "message"),
    [
        (TEXT, 2, "y has 3 classes, 'ant', 'bee', 'cat', .* give the last layer 3 outputs$"),
        (TEXT, 4, "distinguishes 4; give the last layer 3 outputs, or name all classes"),
        (TEXT, 1, "distinguishes 2; use SoftmaxCrossEntropy, with 3 outputs of the last layer"),
        (["a"] * 60, 1, "y has 1 class, 'a', .* name all classes: Sequential"),
        (np.arange(60).astype(str), 3, r"y has 60 classes, .* \.\.\. \(60 in all\)"),
    ],
)
def test_a_wrong_number_of_classes_says_how_to_mend_it(y, outputs, message):
    loss = mg.SigmoidCrossEntropy() if outputs == 1 else None
    with pytest.raises(ValueError, match=message):
        fitted(y, outputs, loss)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(np.arange(60) == 3, None, TEXT.astype(object)), "label in each row, got None in"),
        (pandas.Series(TEXT).where(np.arange(60) != 3), "label in each row, got nan in row 3"),
        (pandas.Series(TEXT, dtype="string").where(np.arange(60) != 3), "got <NA> in row 3"),
        (pandas.Series(TEXT, dtype="category").where(np.arange(60) != 3), "got nan in row 3"),
        (pandas.Series(INDICES + 1, dtype="Int64").where(np.arange(60) != 3), "nan|<NA>"),
        (polars.Series([None, *TEXT[1:].tolist()]), "got None in row 0"),
    ],
)
def test_a_missing_label_is_named_with_its_row(y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitted(y)


def test_labels_of_several_kinds_are_refused():
    with pytest.raises(TypeError, match="text and 5 in row 1 of y; write them all as text"):
        fitted(["ant", 5, *TEXT[2:].tolist()])
    with pytest.raises(TypeError, match=r"got datetime64.*write y.astype\(str\)"):
        fitted(np.array(["2020-01-01"] * 60, "M8[D]"))


@pytest.mark.parametrize("names", [["1", "2", "3"], ["01", "02", "x"], ["0", "1.5", "2"]])
def test_numbers_beside_text_labels_that_are_other_numbers_are_refused(names):
    """The number 1 would be the index of the label "2"."""
    model = fitted(np.array(names)[INDICES])
    numbers = np.ones(60, int)
    for y in (numbers, numbers.tolist(), numbers.astype(float), numbers.astype(np.int8)[:, None]):
        for use in (model.evaluate, model.backpropagate, model.input_gradient):
            with pytest.raises(ValueError, match="y expects text, since the classes are the texts"):
                use(X, y)
    with pytest.raises(ValueError, match="y expects text"):
        fitted(np.array(names)[INDICES], fit={"validation_data": (X, numbers)})
    with pytest.raises(ValueError, match="class_weight expects labels of y as keys"):
        fitted(np.array(names)[INDICES], fit={"class_weight": {0: 1.0, 1: 1.0, 2: 1.0}})
    assert model.evaluate(X, model.classes_[INDICES]) == model.evaluate(X, np.eye(3)[INDICES])


@pytest.mark.parametrize("names", [["0", "1", "2"], ["ant", "bee", "cat"], ["0", "b", "c"]])
def test_indices_beside_other_text_labels_are_indices(names):
    model = fitted(np.array(names)[INDICES])
    assert model.evaluate(X, INDICES) == model.evaluate(X, np.array(names)[INDICES])


def test_a_failed_fit_learns_nothing():
    model = classifier()
    with pytest.raises(ValueError, match="59 in y"):
        model.fit(X, TEXT[:59], optimizer=mg.Adam(), **FIT)
    assert model.classes_ is None


def test_fractions_stay_what_they_are_to_the_loss():
    """Probabilities of class 1 are valid targets of a binary loss."""
    y = np.linspace(0, 1, 60)
    model = fitted(y, 1, mg.SigmoidCrossEntropy())
    assert model.classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match="for targets that are numbers"):
        fitted(10 * y, 1, mg.SigmoidCrossEntropy())


# other places with labels


def test_the_keys_of_class_weight_are_labels():
    weights = {"cat": 1.0, "ant": 2.0, "bee": 0.5}
    model = fitted(TEXT, fit={"class_weight": weights})
    by_index = fitted(INDICES, fit={"class_weight": {2: 1.0, 0: 2.0, 1: 0.5}})
    np.testing.assert_array_equal(model.params, by_index.params)
    with pytest.raises(ValueError, match=r"got 'dog'; the labels are \['ant', 'bee', 'cat'\]"):
        fitted(TEXT, fit={"class_weight": weights | {"dog": 1.0}})
    with pytest.raises(ValueError, match=r"a weight for each class; missing: \['cat'\]"):
        fitted(TEXT, fit={"class_weight": {"ant": 1.0, "bee": 1.0}})
    by_number = fitted(INDICES + 5, fit={"class_weight": {7: 1.0, 5: 2.0, 6: 0.5}})
    np.testing.assert_array_equal(by_number.params, by_index.params)


def test_metrics_and_stopping_measure_the_classes():
    metrics = [mg.AUC(), mg.F1(), mg.Accuracy(), mg.LogLoss()]
    stopping = mg.EarlyStopping(9, monitor="val_f1")
    options = {"validation_split": 0.25, "metrics": metrics, "callbacks": [stopping]}
    model, by_index = fitted(TEXT, fit=options), fitted(INDICES, fit=options)
    for y, found in ((TEXT, model), (INDICES, by_index)):
        assert found.evaluate(X, y, metrics=metrics) == by_index.evaluate(
            X, INDICES, metrics=metrics
        )


def test_pictures_and_explanations_show_labels():
    pytest.importorskip("matplotlib")
    model = fitted(TEXT)
    ax = mg.plotting.confusion_matrix(model, X, TEXT)
    assert [text.get_text() for text in ax.get_xticklabels()] == NAMES.tolist()
    plane = mg.Sequential([mg.Dense(2, 3)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    plane.fit(X[:, :2], TEXT, optimizer=mg.Adam(), **FIT)
    ax = mg.plotting.decision_boundary(plane, X[:, :2], TEXT)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == NAMES.tolist()
    text = str(mg.explain(model, X[0], TEXT[0]))
    assert "(cat)" in text


@every_loss
def test_every_loss_on_classes_takes_text(cls):
    loss, prediction, _ = cls.example()
    if not loss.classifies:
        with pytest.raises(TypeError, match="y expects numbers, got strings"):
            fitted(TEXT, 3, example(cls))
        return
    layers = [mg.Dense(3, prediction.shape[-1])]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
    model = mg.Sequential(layers, loss=loss, classes=NAMES, random_state=0)
    columns = loss.classes(prediction).ndim > 1
    y = np.eye(3, dtype=int)[INDICES] if columns else TEXT
    model.fit(X, y, optimizer=mg.Adam(), **FIT)
    predicted = model.predict_classes(X)
    assert predicted.shape == ((60, 3) if columns else (60,))


@pytest.mark.parametrize(
    ("labels", "shown"), [([-1, 1], "classes -1, 1"), (["no", "yes"], "classes 'no', 'yes'")]
)
def test_the_summary_names_labels_that_are_not_indices(labels, shown):
    x = np.random.default_rng(0).normal(size=(20, 2))
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    assert "classes" not in model.summary()
    model.fit(
        x, np.asarray(labels)[(x[:, 0] > 0).astype(int)], optimizer=mg.SGD(0.1), epochs=1, verbose=0
    )
    assert model.summary().endswith(shown)
    indices = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    indices.fit(x, (x[:, 0] > 0).astype(int), optimizer=mg.SGD(0.1), epochs=1, verbose=0)
    assert "classes" not in indices.summary()


@every([cls for cls in LOSSES if cls.example()[0].classifies])
@one_and_many
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_overflowed_have_no_class(cls, size, value):
    loss, prediction, _ = cls.example()
    layers = [mg.Dense(3, prediction.shape[-1])]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
        value = np.nan  # the sigmoid of infinity is 1
    model = mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size)
    with np.errstate(all="ignore"):
        model.params = np.full_like(model.params, value)
        for average in (False, True):
            with pytest.raises(ValueError, match=r"outputs for x\[0\] are not finite"):
                model.predict_classes(X, average=average)


def test_a_class_of_probability_0_may_have_the_output_minus_infinity():
    model = classifier()
    with np.errstate(all="ignore"):
        model.layers[0].params.bias[...] = [-np.inf, 0, 1]
        assert set(model.predict_classes(X)) <= {1, 2}


@every([cls for cls in LOSSES if cls.example()[0].classifies])
@pytest.mark.parametrize("label", [-1, 0, 1, 2, -1.0, True, "a"])
def test_a_single_label_that_is_accepted_is_one_of_the_classes(cls, label):
    loss = cls.example()[0]
    outputs = 2 if "Softmax" in cls.__name__ or cls is mg.CrossEntropy else 1
    last = [mg.Softmax() if outputs == 2 else mg.Sigmoid()] if cls.expects_probabilities else []
    model = mg.Sequential([mg.Dense(3, outputs), *last], loss=loss, random_state=0)
    y = np.full(60, label)
    try:
        model.fit(X, y, optimizer=mg.Adam(0.5), **FIT | {"epochs": 30})
    except ValueError:
        return
    assert label in model.classes_.tolist()
    np.testing.assert_array_equal(model.predict_classes(X), y)


class Reader:
    """Batches whose first has one label only."""

    def __init__(self, y):
        self.y = y

    def __iter__(self):
        for rows in np.array_split(np.argsort(-self.y, kind="stable"), 4):
            yield X[rows], self.y[rows]


@pytest.mark.parametrize("low", [0, -1])
def test_signs_in_a_stream_are_the_classes(low):
    y = np.where(X[:, 0] > 0, 1, low)
    model = classifier(1, mg.Hinge())
    model.fit(Reader(y), optimizer=mg.Adam(0.1), epochs=30, verbose=0)
    assert set(model.predict_classes(X).tolist()) == {low, 1}


def test_signs_do_not_follow_0_and_1():
    signs, bits = np.where(X[:, 0] > 0, 1, -1), np.where(X[:, 0] > 0, 1, 0)
    for first, then in ((bits, signs), (signs, bits), (np.ones(60, int), signs)):
        model = fitted(first, 1, mg.Hinge())
        with pytest.raises(ValueError, match="y expects one of the classes"):
            model.fit(X, then, optimizer=mg.Adam(0.1), **FIT)
