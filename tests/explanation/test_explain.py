"""All numbers and formulas of `mg.explain`, for every layer, activation and loss."""

import copy
import functools
import html
import math
import pickle
import re

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.explanation.losses import WRITTEN
from mlpgrad.explanation.markup import as_html, latex
from mlpgrad.explanation.notation import is_activation
from mlpgrad.explanation.page import page_data
from tests.kinds import subclasses

FEATURES, BATCH = 5, 3


def layer_case(cls):
    """The layer between two others, after a Dense, in a small network off its initial values."""
    layer = cls.example()
    width = layer.out_features or FEATURES
    layers = [mg.Dense(4, FEATURES), layer, mg.Dense(width, 2), mg.Sigmoid()]
    return settled(layers, mg.HalfSquaredError()), inputs(4), np.cos(np.arange(2.0 * BATCH))


def first_layer_case(cls):
    layer = cls.example()
    width = layer.out_features or FEATURES
    layers = [layer, mg.Dense(width, 2)]
    return settled(layers, mg.MeanSquaredError()), inputs(FEATURES), np.sin(np.arange(2.0 * BATCH))


def last_layer_case(cls):
    layer = cls.example()
    width = layer.out_features or FEATURES
    model = settled([mg.Dense(4, FEATURES), layer], mg.HalfSquaredError())
    return model, inputs(4), np.sin(np.arange(1.0 * BATCH * width))


def loss_case(cls):
    loss, prediction, target = cls.example()
    layers = [mg.Dense(4, 4), mg.Tanh(), mg.Dense(4, prediction.shape[-1])]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
    return settled(layers, loss), inputs(4), target[:BATCH]


def settled(layers, loss):
    model = mg.Sequential(layers, loss=loss, dtype="float64", random_state=0)
    rng = np.random.default_rng(2)
    model.params = model.params + 0.3 * rng.normal(size=model.params.shape)
    return model


def inputs(features):
    return np.random.default_rng(1).normal(size=(BATCH, features))


CASES = [
    pytest.param(case, cls, id=f"{cls.__name__}-{case.__name__}")
    for case in (layer_case, first_layer_case, last_layer_case)
    for cls in subclasses(mg.Layer)
]
CASES += [pytest.param(loss_case, cls, id=cls.__name__) for cls in subclasses(mg.Loss)]
every_case = pytest.mark.parametrize(("case", "cls"), CASES)


def quantities(e):
    return [q for step in e.steps for q in step.quantities]


def functions(e):
    """The names in substituted formulas, with their values."""

    def function(layer):
        def apply(z):
            out = np.empty(1)
            layer.apply(np.array([float(z)]), out)
            return out[0]

        return apply

    known = {
        type(layer).__name__: function(layer) for layer in e.model.layers if is_activation(layer)
    }
    return known | {
        "sigma": lambda s: 1 / (1 + math.exp(-s)),
        "exp": math.exp,
        "log": math.log,
        "sign": np.sign,
        "clip": np.clip,
    }


def computed(substitution, known):
    """The value of a line of numbers."""
    python = re.sub(r"\|([^|]*)\|", r"abs(\1)", substitution.replace("^", "**"))
    return eval(python, {}, known)


def case_data(case, cls):
    model, x, y = case(cls)
    if np.ndim(y) == 1 and model.out_features != 1 and len(y) != BATCH:
        y = np.reshape(y, (BATCH, -1))
    return model, x, y


@every_case
def test_the_numbers_are_those_of_backpropagate(case, cls):
    model, x, y = case_data(case, cls)
    e = mg.explain(model, x, y, learning_rate=0.1)
    value = model.backpropagate(x, y)  # from the same generator state: explain works on a copy
    assert e.loss == value
    np.testing.assert_array_equal(e.grads, model.grads)
    gradients = {q.parameter: q.value for q in quantities(e) if q.role == "gradient"}
    assert gradients.keys() == {slot.name for slot in model.parameters}
    for slot in model.parameters:
        np.testing.assert_array_equal(gradients[slot.name], slot.view(model.grads))
    for q in quantities(e):
        if q.role == "delta":
            np.testing.assert_array_equal(q.value, model.layers[q.layer].delta)
        if q.role in ("sum", "output") and q.layer is not None:
            np.testing.assert_array_equal(q.value, model.layers[q.layer].outputs)
    updates = np.concatenate([q.value.ravel() for q in quantities(e) if q.role == "update"] or [[]])
    np.testing.assert_array_equal(updates, e.new_params)
    np.testing.assert_allclose(e.new_params, model.params - 0.1 * model.grads, rtol=1e-12)


@every_case
def test_every_substituted_formula_gives_its_number(case, cls):
    model, x, y = case_data(case, cls)
    e = mg.explain(model, x, y, digits=17, limit=20)
    known, checked = functions(e), 0
    for q in quantities(e):
        for index in np.ndindex(q.value.shape):
            line = q.line(index)
            assert float(line.value) == q.value[index]
            if line.substitution:
                found = computed(line.substitution, known)
                np.testing.assert_allclose(found, q.value[index], rtol=1e-9, atol=1e-12)
                checked += 1
    assert checked > 0


@every_case
def test_text_fits_80_columns_and_html_is_well_formed(case, cls):
    model, x, y = case_data(case, cls)
    e = mg.explain(model, x, y)
    text = str(e)
    assert max(map(len, text.splitlines())) <= 80
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == len(e.steps)
    page = e._repr_html_()
    assert page.count("<details") == page.count("</details>") == len(e.steps)
    assert page.count("$") % 2 == 0
    for formula in re.findall(r"\$(.*?)\$", page):
        assert formula.count("{") == formula.count("}")


NUMBER = re.compile(r"\(-\d+(\.\d+)?\)|-?\d+(\.\d+)?")  # different numbers are typeset alike


@functools.cache
def typeset(formula):
    """Raise ValueError if the text is not well-formed."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    return mathtext.MathTextParser("path").parse(f"${formula}$")


@pytest.mark.slow
@every_case
def test_a_notebook_can_typeset_every_formula(case, cls):
    model, x, y = case_data(case, cls)
    page = html.unescape(mg.explain(model, x, y)._repr_html_())
    formulas = re.findall(r"\$(.+?)\$", page, flags=re.DOTALL)
    assert len(formulas) > 4
    for formula in formulas:
        assert formula.count(r"\begin{aligned}") == formula.count(r"\end{aligned}") < 2
        lines = formula.removeprefix(r"\begin{aligned}").removesuffix(r"\end{aligned}")
        for line in lines.split(r"\\"):
            typeset(NUMBER.sub("1", line.replace("&", "").strip()))


@pytest.fixture
def lecture():
    layers = [mg.Dense(2, 3), mg.Sigmoid(), mg.Dense(3, 2), mg.Sigmoid()]
    return settled(layers, mg.HalfSquaredError())


def test_the_lectures_formulas(lecture):
    e = mg.explain(lecture, [1.0, 0.5], [1.0, 0.0])
    formulas = {q.formula: q.number for q in quantities(e)}
    assert formulas["delta_k = (z_k - zhat_k) z_k (1 - z_k)"] == "8"
    assert formulas["delta_j = (sum_k delta_k w^b_jk) y_j (1 - y_j)"] == "8"
    assert formulas["dL/dw^b_jk = delta_k y_j"] == "9"
    assert formulas["dL/dw^a_ij = delta_j x_i"] == "9"
    softmax = mg.Sequential([mg.Dense(2, 3)], loss=mg.SoftmaxCrossEntropy())
    delta = mg.explain(softmax, [1, 0], 2).find("delta")
    assert delta.formula == "delta_j = p_j - t_j"
    assert formulas["L = 1/2 sum_k (z_k - zhat_k)^2"] == "2"
    assert formulas["z_k = sigma(s_k)"] == "1"
    assert formulas["new w^a_ij = w^a_ij - eta dL/dw^a_ij"] == "3"
    kinds = [step.kind for step in e.steps]
    expected = ["input", "forward", "forward", "loss", "delta", "gradient", "delta", "gradient"]
    assert kinds == [*expected, "update", "outcome"]


def test_the_lectures_numbers_by_hand(lecture):
    """One delta and one gradient of each kind, by formulas (5) and (7) on plain numbers."""
    x, target = [1.0, 0.5], [1.0, 0.0]
    e = mg.explain(lecture, x, target)
    weights = {name: array.tolist() for name, array in lecture.get_weights().items()}
    wa, wb = weights["layers[0].weights"], weights["layers[2].weights"]

    def layer(values, w, bias):
        sums = [
            sum(values[i] * w[i][j] for i in range(len(values))) + b for j, b in enumerate(bias)
        ]
        return [1 / (1 + math.exp(-s)) for s in sums]

    y = layer(x, wa, weights["layers[0].bias"])
    z = layer(y, wb, weights["layers[2].bias"])
    delta = [(z[k] - target[k]) * z[k] * (1 - z[k]) for k in range(2)]
    hidden = [sum(delta[k] * wb[j][k] for k in range(2)) * y[j] * (1 - y[j]) for j in range(3)]
    np.testing.assert_allclose(e.find("delta", 2).value[0], delta, rtol=1e-12)
    np.testing.assert_allclose(e.find("delta", 0).value[0], hidden, rtol=1e-12)
    np.testing.assert_allclose(e.find("dL/dw^b").value[2, 1], delta[1] * y[2], rtol=1e-12)
    np.testing.assert_allclose(e.find("dL/dw^a").value[1, 2], hidden[2] * x[1], rtol=1e-12)


def test_deeper_networks_use_the_general_recursion():
    layers = [
        mg.Dense(2, 3),
        mg.Sigmoid(),
        mg.Dense(3, 3),
        mg.Sigmoid(),
        mg.Dense(3, 1),
        mg.Sigmoid(),
    ]
    e = mg.explain(settled(layers, mg.HalfSquaredError()), [1, 0], [1])
    formulas = {q.formula for q in quantities(e)}
    assert "delta^c_j = (y^c_j - yhat_j) y^c_j (1 - y^c_j)" in formulas
    assert "delta^b_j = (sum_k delta^c_k w^c_jk) y^b_j (1 - y^b_j)" in formulas
    assert "delta^a_j = (sum_k delta^b_k w^b_jk) y^a_j (1 - y^a_j)" in formulas


def test_penalties_are_in_the_gradient():
    model = mg.Sequential(
        [mg.Dense(2, 1)], loss=mg.HalfSquaredError(), penalties=[mg.L2(0.5)], dtype="float64"
    )
    model.params = [1.0, -2.0, 0.5]
    e = mg.explain(model, [1.0, 1.0], [0.0])
    assert str(e.find("dL/dw").line((1, 0))) == "dL/dw_21 = (-0.5) * 1 + (-1) = -1.5"
    assert e.loss == 0.125 + 0.5 / 2 * 5


def test_formulas_around_layers_that_the_lecture_does_not_have():
    inner = [mg.Dense(4, 4), mg.ReLU()]
    layers = [mg.Dense(3, 4), mg.BatchNorm(4), mg.Tanh(), mg.Residual(inner)]
    layers += [mg.Dense(4, 3), mg.Softmax()]
    e = mg.explain(settled(layers, mg.CrossEntropy()), inputs(3), [0, 2, 1])
    formulas = {q.parameter: q.formula for q in quantities(e) if q.role == "gradient"}
    over = "sum over the samples of"
    assert formulas["layers[0].weights"] == f"dL/dw^a_ij = {over} delta^a_j x_i"
    assert formulas["layers[1].gain"] == f"dL/dgain^b_j = {over} dL/dy^b_j xhat^b_j"
    assert formulas["layers[1].bias"] == f"dL/dbias^b_j = {over} dL/dy^b_j"
    assert formulas["layers[3.0].weights"] == f"dL/dw^d1_ij = {over} delta^d1_j x^d1_i"
    deltas = {q.layer: q.formula for q in quantities(e) if q.role == "delta"}
    assert deltas[0].startswith("BatchNorm: dL/dx = gain / sqrt(var + epsilon) * (delta - mean")
    assert deltas[1] == "dL/dy^b_j = dL/dy^c_j Tanh'(y^b_j)"
    assert deltas[2] == "Residual: dL/dx = delta + dL/dx of f"
    assert deltas[3] == "dL/dy^d_j = sum_k delta^e_k w^e_jk"
    assert deltas[4] == "delta^e_j = y^f_j (dL/dy^f_j - sum_k y^f_k dL/dy^f_k)"


@every_case
def test_the_last_step_is_the_forward_pass_of_the_new_weights(case, cls):
    model, x, y = case_data(case, cls)
    e = mg.explain(model, x, y, learning_rate=0.1)
    model.params = e.new_params
    value = model.backpropagate(x, y)
    assert e.new_loss == value == float(e.find("new L").value)
    shown = {q.layer: q.value for q in e.steps[-1].quantities if q.role == "new output"}
    assert len(model.layers) - 1 in shown
    for layer, outputs in shown.items():
        np.testing.assert_array_equal(outputs, model.layers[layer].outputs)


def test_users_own_classes_show_their_own_formula():
    class Cube(mg.Activation):
        """a = z^3;  da/dz = 3 z^2"""

        def apply(self, z, out):
            np.power(z, 3, out)

        def slope(self, z, a, out):
            np.multiply(3, z * z, out)

    class Fourth(mg.Loss):
        """l = sum_k (z_k - t_k)^4"""

        def losses(self, prediction, target):
            return ((prediction - target) ** 4).sum(axis=-1)

        def slopes(self, prediction, target, out):
            out[...] = 4 * (prediction - target) ** 3

    class Double(mg.Dense):
        """z = 2 (x W + b)"""

        def forward(self, x):
            return 2 * super().forward(x)

        def backward(self, delta):
            return super().backward(2 * delta)

    model = settled([mg.Dense(2, 2), Cube(), Double(2, 1), Cube()], Fourth())
    e = mg.explain(model, [1.0, 0.5], [0.2], learning_rate=1e-6)
    model.backpropagate([[1.0, 0.5]], [[0.2]])
    np.testing.assert_array_equal(e.grads, model.grads)
    text = str(e)
    assert "Cube of a number z: a = z^3; da/dz = 3 z^2" in " ".join(text.split())
    assert "Fourth: l = sum_k (z_k - t_k)^4" in text
    assert "Double: z = 2 (x W + b)" in text
    assert "_j = (sum_k" not in text  # Double is not a Dense layer: it has its own backward


def test_the_model_stays_as_it_is():
    model = settled([mg.Dense(2, 4), mg.Dropout(0.5), mg.Dense(4, 1)], mg.HalfSquaredError())
    before = model.params.copy(), model.rngs[0].bit_generator.state
    mg.explain(model, [1, 0], [1])
    np.testing.assert_array_equal(model.params, before[0])
    assert model.rngs[0].bit_generator.state == before[1]


def test_one_sample_in_many_forms(lecture):
    forms = [([1, 0], [1, 0]), ([[1, 0]], [[1, 0]]), (np.array([1, 0]), np.array([[1, 0]])[0])]
    assert len({str(mg.explain(lecture, x, y)) for x, y in forms}) == 1
    model = settled([mg.Dense(2, 3)], mg.SoftmaxCrossEntropy())
    assert mg.explain(model, [1, 0], 2).find("t").value.tolist() == [[0, 0, 1]]


def test_wide_layers_are_abbreviated():
    model = settled([mg.Dense(64, 100), mg.ReLU(), mg.Dense(100, 10)], mg.SoftmaxCrossEntropy())
    text = str(mg.explain(model, np.linspace(0, 1, 64), 3))
    assert len(text.splitlines()) < 200
    assert "... and 6,391 more" in text
    assert re.search(r"s\S+ = 0\.\d+ \* \S+ \+ .* \+ \.\.\. \+ ", " ".join(text.split()))


def test_what_cannot_be_explained_says_why(lecture):
    ensemble = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), ensemble_size=2)
    with pytest.raises(ValueError, match=r"one network, got an ensemble; pass model.member\(0\)"):
        mg.explain(ensemble, [1, 0], [1])
    with pytest.raises(ValueError, match="at most 32 samples, got 40"):
        mg.explain(lecture, np.zeros((40, 2)), np.zeros((40, 2)))
    with pytest.raises(ValueError, match="expects 2 features"):
        mg.explain(lecture, [1, 0, 2], [1, 0])
    with pytest.raises(ValueError, match=r"a sample's features \(I,\), got 3.0; pass \[3.0\]"):
        mg.explain(lecture, 3.0, [1, 0])
    with pytest.raises(KeyError, match="there are x, s, y"):
        mg.explain(lecture, [1, 0], [1, 0]).find("q")


def test_formulas_as_latex_and_html():
    assert latex("delta_j = (sum_k delta_k w^b_jk) y_j (1 - y_j)") == (
        r"\delta_{j} = (\sum_{k} \delta_{k} w^{b}_{jk}) y_{j} (1 - y_{j})"
    )
    assert latex("zhat_1 = 1.5e-05 * 2") == r"\hat z_{1} = 1.5 \cdot 10^{-5} \cdot 2"
    assert latex("LeakyReLU'(s_j)") == r"\text{LeakyReLU}'(s_{j})"
    assert as_html("dL/dw_1,12 = -2 * 3") == "∂<i>L</i>/∂<i>w</i><sub>1,12</sub> = −2 · 3"
    assert latex("new w_1") == r"\text{new } w_{1}"
    assert latex("softmax(z)_k - xhat_k") == r"\text{softmax}(z)_{k} - \hat x_{k}"
    assert latex("sum over the samples of delta_j") == r"\sum_{\text{samples}} \delta_{j}"
    assert as_html("softmax(z)_k") == "softmax(<i>z</i>)<sub>k</sub>"
    assert as_html("sum over the samples of x") == "Σ<sub>samples</sub> <i>x</i>"
    assert as_html("a < b") == "<i>a</i> &lt; <i>b</i>"


def test_a_step_that_overshoots_is_shown():
    model = settled([mg.Dense(1, 1), mg.Elementwise(np.exp, np.exp)], mg.HalfSquaredError())
    e = mg.explain(model, [3.0], [1e3], learning_rate=1e6)
    assert e.new_loss == np.inf
    assert "inf is not smaller than" in str(e)


def test_every_loss_of_the_library_is_written_with_its_numbers():
    assert sorted(cls.__name__ for cls in WRITTEN) == [cls.__name__ for cls in subclasses(mg.Loss)]
    for cls in WRITTEN:
        model, x, y = loss_case(cls)
        e = mg.explain(model, x[:1], y[:1], digits=17, limit=20)
        line = e.find("L").line(())
        assert line.substitution
        np.testing.assert_allclose(computed(line.substitution, functions(e)), e.loss, rtol=1e-9)


@every_case
def test_each_delta_is_named_in_its_formula_and_letters_do_not_clash(case, cls):
    model, x, y = case_data(case, cls)
    e = mg.explain(model, x[:1], y[:1])
    known = {type(layer).__name__ for layer in model.layers} | {type(model.loss).__name__}
    for q in quantities(e):
        if q.role == "delta":
            start = q.formula.split(" = ")[0]
            assert start.startswith(("delta", "dL/d")) or start.split(":")[0] in known
    if issubclass(cls, mg.Activation):  # s is the weighted sum of the neuron
        own = f"{cls.__name__} of a number z: "
        formula = next(s.note.partition(own)[2] for s in e.steps if own in s.note)
        assert formula.startswith("a = ")
        assert not re.search(r"\bs\b", formula)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (mg.SoftmaxFocal(1.5), [2]),
        (mg.SoftmaxFocal(), [[0.2, 0.3, 0.5]]),
        (mg.SigmoidFocal(0.5, balance=0.25), [[1, 0, 1]]),
        (mg.SigmoidFocal(), [[0.3, 0.9, 0]]),
    ],
    ids=repr,
)
def test_slopes_of_focal_losses_are_written_with_their_numbers(loss, target):
    e = mg.explain(settled([mg.Dense(2, 3)], loss), [[1.0, 0.5]], target, digits=17)
    delta, value = e.find("delta"), e.find("L").line(())
    np.testing.assert_allclose(computed(value.substitution, functions(e)), e.loss, rtol=1e-9)
    for at in delta.indices():
        written = computed(delta.line(at).substitution, functions(e))
        np.testing.assert_allclose(written, delta.value[at], rtol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("cls", [mg.SoftmaxCrossEntropy, mg.SigmoidCrossEntropy])
def test_cross_entropies_show_probabilities(cls, smoothing):
    outputs = 4 if cls is mg.SoftmaxCrossEntropy else 1
    layers = [mg.Dense(3, 5), mg.Tanh(), mg.Dense(5, outputs)]
    model = settled(layers, cls(label_smoothing=smoothing))
    e = mg.explain(model, [1.0, -0.5, 2.0], 1, digits=17)
    p, t = e.find("p"), e.find("t")
    np.testing.assert_allclose(p.value, model.predict_proba([[1.0, -0.5, 2.0]])[:, -outputs:])
    np.testing.assert_allclose(e.find("delta", 2).value, p.value - t.value, rtol=1e-12)
    loss = -np.sum(t.value * np.log(p.value))
    loss -= np.sum((1 - t.value) * np.log(1 - p.value)) if outputs == 1 else 0
    np.testing.assert_allclose(e.loss, loss)
    data = page_data(e)
    expected = [line["at"] for line in data["steps"][3]["quantities"][1]["lines"]]
    assert expected == [f"n3.{k}" for k in range(outputs)]  # "should be" is at the probability
    assert [c["names"][0] for c in data["columns"]] == ["x₁", "y₁", "z₁", "p₁"]


def test_no_two_neurons_share_a_name():
    layers = [mg.Dense(3, 4), mg.BatchNorm(4), mg.Tanh(), mg.Residual([mg.Dense(4, 4), mg.ReLU()])]
    layers += [mg.Dense(4, 3), mg.ReLU(), mg.Dense(3, 2)]
    e = mg.explain(settled(layers, mg.SoftmaxCrossEntropy()), inputs(3), [0, 1, 1])
    for roles in (("input", "sum", "output", "reading"), ("delta",), ("gradient",), ("update",)):
        names = [q.name(at) for q in quantities(e) if q.role in roles for at in q.indices(0)]
        assert len(names) == len(set(names)) > 6
    drawn = [name for column in page_data(e)["columns"] for name in column["names"]]
    assert len(drawn) == len(set(drawn)) == 3 + 4 * 4 + 3 + 2 + 2


def test_of_wide_layers_the_largest_are_shown():
    x, y = mg.datasets.digits()
    model = settled([mg.Dense(64, 20), mg.ReLU(), mg.Dense(20, 10)], mg.SoftmaxCrossEntropy())
    for row in range(10):
        e = mg.explain(model, x[row], y[row])
        shown = [at[1] for at in e.find("x").indices(0, e.limit)]
        assert x[row][shown].min() >= np.sort(x[row])[-3] > 0
        outputs = [at[1] for at in e.find("p").indices(0, e.limit)]
        assert y[row] in outputs
        assert f"(class {y[row]})" in str(e)
        column = page_data(e)["columns"][0]
        assert (len(column["names"]), column["count"]) == (3, 64)


def test_scaled_inputs_and_targets_are_shown_in_both_units():
    x = np.random.default_rng(0).normal(size=(40, 2)) * [1, 100] + [5, 0]
    y = 1e5 + 1e4 * x[:, :1] - 50 * x[:, 1:]
    layers = [mg.Standardize(2), mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, 1)]
    model = mg.Sequential(
        layers, loss=mg.MeanSquaredError(), target_scaling="standard", dtype="float64",
        random_state=0,
    )  # fmt: skip
    model.fit_scaling(x, y)
    e = mg.explain(model, x[0], y[0], digits=17)
    scaled = e.find("y", 0).line((0, 1))
    np.testing.assert_allclose(
        computed(scaled.substitution, {}), (x[0, 1] - x[:, 1].mean()) / x[:, 1].std()
    )
    target = e.find("t").line((0, 0))
    np.testing.assert_allclose(computed(target.substitution, {}), (y[0] - y.mean()) / y.std())
    prediction = e.find("prediction").line((0, 0))
    np.testing.assert_allclose(computed(prediction.substitution, {}), model.predict(x[:1])[0, 0])
    assert [q.symbol for q in e.steps[-1].quantities][-2:] == ["new prediction", "new L"]


def test_features_and_classes_have_their_names():
    x = {"length": np.array([1.0, 2.0, 0.5, 3.0]), "width": np.array([0.1, 0.2, 0.3, 0.4])}
    frame = pytest.importorskip("pandas").DataFrame(x)
    for labels in (["cat", "dog", "cow", "dog"], ["no", "yes", "no", "yes"]):
        count = len(set(labels))
        outputs = count if count > 2 else 1
        loss = mg.SoftmaxCrossEntropy() if count > 2 else mg.SigmoidCrossEntropy()
        layers = [mg.Dense(2, 3), mg.Tanh(), mg.Dense(3, outputs)]
        model = mg.Sequential(layers, loss=loss, random_state=0)
        model.fit(frame, labels, optimizer=mg.Adam(), epochs=1, verbose=0)
        e = mg.explain(model, frame[:2], labels[:2])
        assert [line.label for line in map(e.find("x").line, e.find("x").indices(0))] == [*x]
        names = sorted(set(labels)) if count > 2 else ["yes"]
        assert list(e.find("p").labels) == names
        assert f"({names[-1]})" in str(e)
        drawn = page_data(e)["columns"]
        assert drawn[0]["labels"] == [*x]
        assert drawn[-1]["labels"] == names
        assert rf"\text{{({names[-1]})}}" in e._repr_html_()


@pytest.mark.parametrize("cls", subclasses(mg.Layer), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))], ids=["copy", "pickle"]
)
def test_a_copy_of_an_explanation_is_the_same(cls, copied):
    model, x, y = case_data(first_layer_case, cls)
    e = mg.explain(model, x, y, learning_rate=0.1, digits=7, limit=3)
    twin = copied(e)
    assert str(twin) == str(e)
    assert twin._repr_html_() == e._repr_html_()
    np.testing.assert_array_equal(twin.new_params, e.new_params)
    np.testing.assert_array_equal(twin.model.params, e.model.params)
