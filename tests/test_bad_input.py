"""Errors of all public calls say what was expected and received, where, and the fix."""

import sys

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core import documented


def classifier(size=None, layers=None, loss=None):
    return mg.Sequential(
        layers or [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 3)],
        loss=loss or mg.SoftmaxCrossEntropy(),
        random_state=0,
        ensemble_size=size,
    )


def regressor(size=None, layers=None):
    return classifier(size, layers or [mg.Dense(2, 1)], mg.MeanSquaredError())


X = np.random.default_rng(0).normal(size=(6, 2))
Y = np.arange(6) % 3


def with_value(array, value, at):
    array = np.array(array, dtype=float)
    array[at] = value
    return array


BAD_X = {
    "wrong width": (np.ones((6, 5)), ValueError, r"x expects 2 features.*got 5.*change"),
    "one dimension": (
        np.ones(2),
        ValueError,
        r"x expects shape \(samples, features\).*x\[None, :\]",
    ),
    "three dimensions": (np.ones((6, 2, 2)), ValueError, r"got \(6, 2, 2\)"),
    "strings": (np.full((6, 2), "a"), TypeError, "x expects numbers, got strings.*convert"),
    "objects": (np.full((6, 2), None), TypeError, "x expects numbers, got object"),
    "empty batch": (np.empty((0, 2)), ValueError, "x is empty.*at least one sample"),
    "NaN": (with_value(X, np.nan, (3, 1)), ValueError, r"got nan at x\[3, 1\].*impute"),
    "infinity": (with_value(X, -np.inf, (2, 0)), ValueError, r"got -inf at x\[2, 0\]"),
    "complex": (X + 1j, TypeError, "x expects real numbers"),
}

BAD_Y = {
    "too few": (Y[:4], ValueError, "6 rows in x and 4 in y"),
    "label too large": (np.r_[Y[:5], 3], ValueError, "3"),
    "negative label": (np.r_[Y[:5], -1], ValueError, "-1"),
    "fractional label": (Y + 0.5, ValueError, "0.5"),
    "wrong one-hot width": (np.eye(4)[Y], ValueError, "4"),
    "rows that do not sum to one": (np.ones((6, 3)), ValueError, "sum"),
    "strings": (
        np.array(list("ababab")),
        ValueError,
        "y (holds labels such as 'a'|has 2 classes, 'a', 'b'|expects one of the classes 0, 1, 2)",
    ),
    "NaN": (with_value(np.eye(3)[Y], np.nan, (1, 2)), ValueError, r"got nan at y\[1, 2\]"),
    "empty": (np.empty(0), ValueError, "y is empty"),
    "complex": (np.eye(3)[Y] + 1j, TypeError, "y expects real numbers"),
}


def entry_points(model):
    """All public calls that take a batch."""
    fit = {"optimizer": mg.SGD(0.1), "epochs": 1, "verbose": 0}
    return {
        "backpropagate": model.backpropagate,
        "input_gradient": model.input_gradient,
        "objective": model.objective,
        "evaluate": model.evaluate,
        "fit": lambda x, y: model.fit(x, y, **fit),
        "fit, validation": lambda x, y: model.fit(X, Y, validation_data=(x, y), **fit),
        "check_gradients": lambda x, y: mg.check_gradients(model, x, y),
    }


ENTRIES = list(entry_points(classifier()))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_x(entry, case):
    x, error, message = BAD_X[case]
    with pytest.raises(error, match=message):
        entry_points(classifier())[entry](x, Y)


@pytest.mark.parametrize("case", BAD_X)
@pytest.mark.parametrize("entry", ["predict", "predict_proba", "predict_classes"])
def test_bad_x_in_predictions(entry, case):
    x, error, message = BAD_X[case]
    with pytest.raises(error, match=message):
        getattr(classifier(), entry)(x)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", BAD_Y)
def test_bad_y(entry, case):
    y, error, message = BAD_Y[case]
    with pytest.raises(error, match=message):
        entry_points(classifier())[entry](X, y)


def test_a_vector_target_never_broadcasts_against_a_column():
    model = regressor()
    y = np.arange(6.0)
    assert model.backpropagate(X, y) == model.backpropagate(X, y[:, None])
    with pytest.raises(ValueError, match=r"1 columns.*got 6"):
        model.backpropagate(X, np.ones((6, 6)))
    with pytest.raises(ValueError, match=r"MeanSquaredError expects targets with 3 columns"):
        classifier(loss=mg.MeanSquaredError()).backpropagate(X, y)


def test_sparse_matrices_name_the_fix():
    from scipy.sparse import csr_matrix

    with pytest.raises(TypeError, match="toarray"):
        classifier().predict(csr_matrix(X))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(5), r"\(6,\), one per sample, got \(5,\)"),
        (np.ones((6, 2)), r"got \(6, 2\)"),
        (-np.ones(6), "no negative number, got -1"),
        (np.full(6, np.nan), "finite"),
    ],
)
def test_bad_sample_weights(weights, message):
    for call in (classifier().backpropagate, classifier().evaluate):
        with pytest.raises(ValueError, match=message):
            call(X, Y, sample_weight=weights)


# building


def test_neighbours_must_agree():
    with pytest.raises(
        ValueError,
        match=r"layer 2 Dense\(5, 3\) expects 5 features, got 4 from layer 1 Tanh\(\); make the",
    ):
        classifier(layers=[mg.Dense(2, 4), mg.Tanh(), mg.Dense(5, 3)])


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: mg.Dense(0, 3), "Dense: in_features"),
        (lambda: mg.Dense(3, -1), "Dense: out_features"),
        (lambda: mg.Dense(3, 2.5), "Dense: out_features"),
        (lambda: mg.Dense(3, "4"), "Dense: out_features"),
        (lambda: mg.Dense(True, 4), "Dense: in_features"),
        (lambda: mg.BatchNorm(0), "BatchNorm: features"),
    ],
)
def test_widths_are_positive_integers(build, name):
    with pytest.raises(ValueError, match=f"{name} expects an int >= 1, got"):
        build()


@pytest.mark.parametrize("width", [0, 2.5, True, "3"])
def test_widths_of_a_layer_of_ones_own_are_positive_integers(width):
    class Own(mg.Layer):
        in_features = width

    with pytest.raises(ValueError, match=r"layer 0 Own\(\) expects widths that are ints >= 1, got"):
        classifier(layers=[Own()])


def test_a_small_integer_type_does_not_wrap():
    layer = mg.Dense(np.uint8(200), np.uint8(100))
    model = classifier(layers=[layer, mg.Dense(100, 3)])
    assert model.params.size == 200 * 100 + 100 + 303


def test_one_layer_object_twice():
    layer = mg.Tanh()
    with pytest.raises(ValueError, match=r"layer 2 Tanh\(\) is the same object as layer 1"):
        classifier(layers=[mg.Dense(2, 2), layer, layer])
    inner = mg.Dense(2, 2)
    with pytest.raises(ValueError, match="same object"):
        classifier(layers=[mg.Residual([inner]), inner])


def test_one_layer_object_in_two_models():
    layers = [mg.Dense(2, 3)]
    classifier(layers=layers)
    with pytest.raises(ValueError, match="already belongs to a model"):
        classifier(layers=layers)


def test_a_failed_model_leaves_its_layers_free():
    layers = [mg.Dense(2, 3), mg.Softmax()]
    with pytest.raises(ValueError, match="expects logits"):
        classifier(layers=layers)
    classifier(layers=layers[:1])


@pytest.mark.parametrize("loss", [mg.SoftmaxCrossEntropy, mg.SigmoidCrossEntropy])
@pytest.mark.parametrize("last", [mg.Softmax, mg.Sigmoid])
def test_probabilities_in_front_of_a_loss_on_logits(loss, last):
    with pytest.raises(
        ValueError, match=f"expects logits, got probabilities from layer 1 {last.__name__}"
    ):
        classifier(layers=[mg.Dense(2, 3), last()], loss=loss())


def test_logits_in_front_of_a_loss_on_probabilities():
    with pytest.raises(ValueError, match=r"expects probabilities.*layer 0 Dense.*add Softmax"):
        classifier(layers=[mg.Dense(2, 3)], loss=mg.CrossEntropy())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": []}, ValueError, "at least one layer"),
        ({"layers": [mg.Tanh]}, TypeError, r"write Tanh\(\.\.\.\)"),
        ({"layers": ["relu"]}, TypeError, "such as Dense"),
        ({"loss": "mse"}, TypeError, "loss expects a Loss"),
        ({"loss": mg.MeanSquaredError}, TypeError, "loss expects a Loss"),
        ({"dtype": int}, TypeError, "floating type"),
        ({"ensemble_size": 0}, ValueError, "ensemble_size"),
        ({"ensemble_size": 2.5}, ValueError, "ensemble_size"),
        ({"random_state": "seed"}, TypeError, "random_state"),
        ({"penalties": [1e-4]}, TypeError, "L2"),
        ({"los": mg.MeanSquaredError()}, TypeError, "no option 'los'; did you mean 'loss'"),
    ],
)
def test_building(arguments, error, message):
    arguments = {"layers": [mg.Dense(2, 1)], "loss": mg.MeanSquaredError()} | arguments
    with pytest.raises(error, match=message):
        mg.Sequential(**arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mg.Dropout(1.0), "drop_probability"),
        (lambda: mg.Dropout(-0.1), "drop_probability"),
        (lambda: mg.L2(-1.0), "strength"),
        (lambda: mg.EarlyStopping(mode="least"), "mode"),
        (lambda: mg.ReduceOnPlateau(2.0), "factor"),
        (lambda: mg.ExponentialMovingAverage(1.0), "decay"),
    ],
)
def test_options_out_of_range(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


# training options


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs expects an int >= 1, got 0"),
        ({"epochs": 1.5}, ValueError, "epochs"),
        ({"batch_size": -3}, ValueError, "batch_size"),
        ({"optimizer": "adam"}, TypeError, r"such as Adam\(1e-3\), got 'adam'"),
        ({"optimizer": mg.Adam}, TypeError, r"write Adam\(\.\.\.\)"),
        ({"batchsize": 3}, TypeError, "no option 'batchsize'; did you mean 'batch_size'"),
        ({"validation_split": 1.5}, ValueError, "validation_split"),
        ({"validation_split": 0.5, "validation_data": (X, Y)}, ValueError, "not both"),
        ({"validation_data": X}, TypeError, "validation_data"),
        ({"class_weight": {0: 1.0}}, ValueError, r"missing: \[1, 2\]"),
        ({"class_weight": "balance"}, ValueError, "balanced"),
    ],
)
def test_training_options(options, error, message):
    options = {"optimizer": mg.SGD(0.1), "verbose": 0} | options
    with pytest.raises(error, match=message):
        classifier().fit(X, Y, **options)


def test_class_weights_without_classes():
    with pytest.raises(TypeError, match="class_weight expects a loss on classes"):
        regressor().fit(X, X[:, 0], optimizer=mg.SGD(0.1), class_weight="balanced", verbose=0)


def test_a_complex_model_is_for_derivatives_not_for_training():
    model = regressor().lifted(np.complex128)
    with pytest.raises(TypeError, match="real model"):
        model.fit(X, X[:, 0], optimizer=mg.SGD(0.1), verbose=0)


# use


def test_a_loss_without_probabilities_says_so():
    with pytest.raises(TypeError, match="does not define probabilities; use predict"):
        regressor().predict_proba(X)
    with pytest.raises(TypeError, match="MeanSquaredError does not define classes"):
        regressor().predict_classes(X)


def test_members():
    with pytest.raises(ValueError, match="expects an ensemble"):
        classifier().member(0)
    with pytest.raises(IndexError, match="0 to 1, got 2"):
        classifier(2).member(2)
    with pytest.raises(ValueError, match="expects one network"):
        classifier(2).tiled(3)


def test_an_ensemble_takes_data_of_its_own_size_only():
    model = classifier(2)
    with pytest.raises(ValueError, match=r"\(2, samples, features\), got \(3, 6, 2\)"):
        model.predict(np.ones((3, 6, 2)))


def test_weights_by_name():
    model = classifier()
    weights = model.get_weights()
    with pytest.raises(ValueError, match=r"layers\[0\].weights"):
        model.set_weights({k: v for k, v in weights.items() if k != "layers[0].weights"})
    weights["layers[0].bias"] = np.ones(9)
    before = model.params.copy()
    with pytest.raises(ValueError, match=r"layers\[0\].bias expects shape \(4,\), got \(9,\)"):
        model.set_weights(weights)
    np.testing.assert_array_equal(model.params, before)


def test_assigning_to_a_view_is_refused():
    model = classifier()
    with pytest.raises(AttributeError, match=r"write into the array instead: .weights\[...\]"):
        model.layers[0].params.weights = np.zeros((2, 4))
    with pytest.raises(AttributeError, match=r"instead: \.weight\["):
        model.layers[0].params.weight = np.zeros((2, 4))


def test_a_view_is_changed_in_place():
    model = classifier()
    before = model.params.copy()
    model.layers[0].params.weights *= 2
    np.testing.assert_array_equal(model.params[:8], 2 * before[:8])
    np.testing.assert_array_equal(model.params[8:], before[8:])


def test_an_unknown_name_in_the_package_names_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        mg.Dens  # noqa: B018


def test_a_layer_that_does_not_keep_its_options_is_shown_and_says_so():
    class Scale(mg.Layer):
        def __init__(self, factor, shift=0.0):
            self._factor, self.shift = factor, shift

    assert repr(Scale(2.0, 1.0)) == "Scale(factor=..., shift=1.0)"
    with pytest.raises(TypeError, match=r"in __init__ write self.factor = factor"):
        Scale(2.0).config()


# sizes


def work(build, *arguments):
    """The number of bytecodes that a call executes, which is the same on every machine."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        build(*arguments)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("call", ["build", "summary", "get_weights", "copy"])
def test_the_work_is_in_proportion_to_the_number_of_layers(call):
    def layers(number):
        return [mg.Dense(1, 1) for _ in range(number)]

    def cost(number):
        if call == "build":
            return work(lambda given: regressor(layers=given), layers(number))
        return work(getattr(regressor(layers=layers(number)), call))

    cost(2)  # makes what is made once
    assert cost(120) - cost(60) < 1.2 * (cost(60) - cost(2))


def test_what_no_memory_holds_is_refused_before_it_is_allocated():
    with pytest.raises(
        ValueError,
        match=r"parameters and their gradients are too large: they need [\d,]+ GiB, and this",
    ):
        regressor(layers=[mg.Dense(10**7, 10**7)])
    with pytest.raises(ValueError, match="ensemble_size expects an int from 1 to 1000000"):
        regressor(10**9)
    with pytest.raises(ValueError, match="copies are too large"):
        regressor(layers=[mg.Dense(2, 10**6), mg.Dense(10**6, 1)]).tiled(10**6)
    with pytest.raises(ValueError, match="n expects an int from 2 to"):
        mg.datasets.moons(10**12)


def test_blocks_nested_too_deep_are_refused():
    def nested(depth):
        return mg.Residual([nested(depth - 1) if depth else mg.Tanh()])

    assert regressor(layers=[nested(40)]).predict(X).shape == X.shape
    with pytest.raises(ValueError, match="nested at most"):
        nested(100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.check_gradient(3.0, np.cos, [1.0]), "f expects a function such as"),
        (lambda: mg.check_gradient(np.sin, [1.0], [1.0]), "grad expects a function such as"),
        (lambda: mg.check_vjp(np.sin, None, [1.0]), "vjp expects a function such as"),
        (lambda: mg.check_hvp(None, np.cos, [1.0]), "f_or_grad expects a function such as"),
        (lambda: mg.check_layer(mg.Tanh), r"layer expects a Layer .* write Tanh\("),
        (lambda: mg.check_layer(mg.Tanh(), np.ones(3)), "x expects shape"),
        (lambda: mg.check_layer(mg.Tanh(), np.ones((3, 2)) * 1j), "x expects real numbers"),
        (lambda: mg.check_loss(mg.Tanh()), "loss expects a Loss"),
        (lambda: mg.check_loss(mg.Huber(), [1.0], [1.0]), "prediction expects shape"),
        (lambda: mg.check_layer(mg.Tanh(), seed="a"), "seed expects an int"),
        (lambda: mg.check_layer(mg.Tanh(), directions=10**9), "directions expects an int from 1"),
        (lambda: mg.check_layer(mg.Tanh(), method=[1]), r"no method \[1\]"),
    ],
)
def test_the_checkers_say_what_they_expect(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_statistics_that_the_dtype_cannot_hold_are_told_by_their_place():
    layer = mg.Standardize(1, mean=[1e39], deviation=[1.0])
    with pytest.raises(ValueError, match=r"^layers\[0\]\.mean expects numbers that float32"):
        mg.Sequential([layer, mg.Dense(1, 1)], loss=mg.MeanSquaredError())


def test_a_number_too_large_for_its_message_ends_in_no_other_warning():
    model = mg.Sequential([mg.Dense(1, 1)], loss=mg.MeanSquaredError(), dtype="float16")
    with pytest.raises(ValueError, match="x expects numbers that float16 can hold"):
        model.predict(np.array([[np.iinfo(np.int64).min]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.LBFGS(max_line_search=10**30), "LBFGS: max_line_search expects an int from 1"),
        (lambda: fitted(y=np.array([], dtype=object).reshape(0, 4)), "y is empty"),
        (lambda: fitted(x=np.array([], dtype="U3").reshape(0, 1)), "x is empty"),
        (lambda: fitted(class_weight=[[1, 2], [3]]), "class_weight expects a dict"),
        (lambda: fitted(y=pytest.importorskip("pandas").DataFrame()), "y is empty"),
    ],
)
def test_what_was_an_error_of_numpy_is_told_in_words(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def fitted(x=None, y=None, **options):
    model = mg.Sequential([mg.Dense(1, 3)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    x = np.ones((6, 1)) if x is None else x
    y = np.arange(6) % 3 if y is None else y
    return model.fit(x, y, optimizer=mg.SGD(0.1), epochs=1, verbose=0, **options)


def test_to_accept_objects_costs_no_look_at_their_documentation(monkeypatch):
    class Wider(mg.Dense):
        """A class of the package below Dense, as some of its own."""

    monkeypatch.setattr(Wider, "__module__", "mlpgrad.elsewhere")
    monkeypatch.setattr(documented, "completed_docstring", lambda *_: pytest.fail("was written"))
    layers = [mg.Dense(2, 3), mg.ReLU(), Wider(3, 1)]
    assert mg.Sequential(layers, loss=mg.HalfSquaredError()).out_features == 1
