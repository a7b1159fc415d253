"""Labels that a loss does not take: the message gives one piece of advice, and it works.

`fit` learns the labels if there are as many classes as the network distinguishes. Other labels, and
other calls before `fit`, raise an error with advice.
"""

import re

import numpy as np
import pytest

import mlpgrad as mg

N = 24
X = np.random.default_rng(0).normal(size=(N, 3))
NUMBER = "classes, y = np.unique(y, return_inverse=True)"


def model(loss, outputs):
    layers = [mg.Dense(3, outputs)]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if isinstance(loss, mg.CrossEntropy) else mg.Sigmoid())
    return mg.Sequential(layers, loss=loss, random_state=0)


def fit(loss, outputs, y):
    model(loss, outputs).fit(X, y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)


def refused(loss, outputs, y, learnt=False):
    """The advice after the semicolon of the message, or `learnt` if `fit` learns the labels."""
    if learnt:
        fit(loss, outputs, y)
    else:
        with pytest.raises(ValueError, match=r"expects .*, got .*; "):
            fit(loss, outputs, y)
    with pytest.raises(ValueError, match=r"expects .*, got .*; ") as caught:
        model(loss, outputs).backpropagate(X, y)
    return str(caught.value).split("; ", 1)[1]


def numbered(y):
    space = {"np": np, "y": y}
    exec(NUMBER, space)
    return space["y"]


TWO = {
    "-1 and 1": np.where(X[:, 0] > 0, 1, -1),
    "1 and 2": np.where(X[:, 0] > 0, 2, 1),
    "a column": np.where(X[:, :1] > 0, 2.0, 1.0),
    "3 and 7": np.where(X[:, 0] > 0, 7, 3),
    "a half": np.where(X[:, 0] > 0, 1.5, 0.0),
    "one class": np.full(N, 2),
}


@pytest.mark.parametrize("labels", TWO)
@pytest.mark.parametrize("loss", [mg.SigmoidCrossEntropy(), mg.BinaryCrossEntropy(), mg.Hinge()])
def test_two_labels_are_numbered(loss, labels):
    if isinstance(loss, mg.Hinge) and labels == "-1 and 1":
        return  # these are its own targets
    learnt = labels not in ("a half", "one class")
    assert refused(loss, 1, TWO[labels], learnt) == f"number the classes 0 and 1: {NUMBER}"
    fit(loss, 1, numbered(TWO[labels]))


def test_two_labels_for_several_outputs_are_numbered():
    y = np.where(X > 0, 1, -1)
    assert refused(mg.SigmoidCrossEntropy(), 3, y) == f"number the classes 0 and 1: {NUMBER}"
    fit(mg.SigmoidCrossEntropy(), 3, numbered(y))
    assert refused(mg.SigmoidCrossEntropy(), 3, X) == "give each output a target from 0 to 1"


@pytest.mark.parametrize("loss", [mg.SigmoidCrossEntropy(), mg.BinaryCrossEntropy(), mg.Hinge()])
def test_more_labels_than_two_need_another_loss(loss):
    y = np.arange(N) % 4 + 1
    advice = refused(loss, 1, y)
    other = re.search(r"for 4 classes use (\w+)(| after a Softmax), with 4 outputs", advice)
    assert other, advice
    assert advice.endswith(NUMBER)
    fit(getattr(mg, other[1])(), 4, numbered(y))


NUMBERS = 10 * X[:, 0]


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [(mg.SigmoidCrossEntropy(), 1), (mg.Hinge(), 1), (mg.SoftmaxCrossEntropy(), 3)],
)
def test_numbers_need_a_loss_on_numbers(loss, outputs):
    advice = refused(loss, outputs, NUMBERS)
    assert advice == "for targets that are numbers, not classes, use MeanSquaredError"
    fit(mg.MeanSquaredError(), 1, NUMBERS)


SEVERAL = {
    "1 to 3": np.arange(N) % 3 + 1,
    "-1 to 1": np.arange(N) % 3 - 1,
    "tens": 10 * (np.arange(N) % 3),
    "halves": np.arange(N) % 3 + 0.5,
}


@pytest.mark.parametrize("labels", SEVERAL)
@pytest.mark.parametrize("loss", [mg.SoftmaxCrossEntropy(), mg.CrossEntropy()])
def test_labels_of_several_classes_are_numbered_from_0(loss, labels):
    y = SEVERAL[labels]
    assert refused(loss, 3, y, labels != "halves") == f"number the classes from 0: {NUMBER}"
    fit(loss, 3, numbered(y))


def test_more_classes_than_outputs():
    y = np.arange(N) % 5
    assert (
        refused(mg.SoftmaxCrossEntropy(), 3, y) == "y has 5 classes: give the last layer 5 outputs"
    )
    fit(mg.SoftmaxCrossEntropy(), 5, y)
    advice = refused(mg.SoftmaxCrossEntropy(), 3, y + 1)
    assert advice.startswith("y has 5 classes: give the last layer 5 outputs, and number")
    assert advice.endswith(NUMBER)
    fit(mg.SoftmaxCrossEntropy(), 5, numbered(y + 1))


ONE_HOT = np.eye(3)[np.arange(N) % 3]
ROWS = {
    "counts": (3 * ONE_HOT + 1, "divide each row by its sum: y / y.sum(axis=-1, keepdims=True)"),
    "-1 and 1": (2 * ONE_HOT - 1, "write (y + 1) / 2"),
    "negative": (ONE_HOT - 0.5, "give probabilities, none of them negative"),
    "empty row": (ONE_HOT * (np.arange(N)[:, None] > 3), "give each row a class: some rows are ze"),
}


@pytest.mark.parametrize("rows", ROWS)
def test_rows_that_are_no_probabilities(rows):
    y, advice = ROWS[rows]
    found = refused(mg.SoftmaxCrossEntropy(), 3, y)
    assert found.startswith(advice)
    code = re.search(r"(y /|\(y \+).*", found)
    if code:
        fit(mg.SoftmaxCrossEntropy(), 3, eval(code[0], {"y": y}))


UNKNOWN = [(mg.SoftmaxCrossEntropy, 2), (mg.SigmoidCrossEntropy, 1), (mg.Hinge, 1)]


@pytest.mark.parametrize(("loss", "outputs"), UNKNOWN)
def test_a_class_that_was_not_trained_on_is_named(loss, outputs):
    y = np.arange(N) % 2
    trained = model(loss(), outputs)
    trained.fit(X, y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)
    options = {"optimizer": mg.SGD(0.01), "epochs": 1, "verbose": 0}
    for call in (
        lambda y: trained.evaluate(X, y),
        lambda y: trained.backpropagate(X, y),
        lambda y: trained.fit(X, y, **options),
        lambda y: trained.fit(X, np.arange(N) % 2, validation_data=(X, y), **options),
        lambda y: mg.explain(trained, X[:4], y[:4]),
    ):
        with pytest.raises(ValueError, match="y expects one of the classes 0, 1, got 2 in row 1"):
            call(y + 1)


def test_an_index_beyond_the_classes_is_named():
    named = mg.Sequential([mg.Dense(3, 2)], loss=mg.SoftmaxCrossEntropy(), classes=["a", "b"])
    with pytest.raises(ValueError, match="y expects one of the classes 0, 1, got 2 in row 2"):
        named.evaluate(X, np.arange(N) % 3)


@pytest.mark.parametrize(("loss", "outputs"), UNKNOWN)
def test_classes_are_not_numbered_in_some_rows_alone(loss, outputs):
    y = np.arange(N) % 2 + 1
    stream = [(X[:12], y[:12]), (X[12:], y[12:])]
    numbered = [(X[:12], y[:12] - 1), (X[12:], y[12:] - 1)]
    options = {"optimizer": mg.SGD(0.01), "epochs": 1, "verbose": 0}
    for first, validation in ((stream, None), (numbered, (X, y))):
        with pytest.raises(ValueError, match=r"same in all rows, or name them: .*classes=") as told:
            model(loss(), outputs).fit(first, validation_data=validation, **options)
        assert "unique" not in str(told.value)
    named = mg.Sequential([mg.Dense(3, outputs)], loss=loss(), random_state=0, classes=[1, 2])
    named.fit(stream, validation_data=(X, y), **options)
    arrays = model(loss(), outputs)
    arrays.fit(X, y, **options | {"optimizer": mg.SGD(0.01)}, batch_size=12, shuffle=False)
    np.testing.assert_allclose(named.params, arrays.params, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "fix"),
    [((N - 1,), "give one"), ((), "give one"), ((2, N), "give one"), ((N, 1), "flatten it")],
)
def test_sample_weights_of_another_shape_are_told_what_helps(shape, fix):
    with pytest.raises(ValueError, match=rf"sample_weight expects shape \({N},\), .*; {fix}"):
        model(mg.MeanSquaredError(), 1).evaluate(X, X[:, 0], sample_weight=np.ones(shape))
