"""The checker on every mutant, on correct networks, and with plain functions."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mlpgrad as mg
from benchmarks.gradcheck_power import correct_net
from tests.gradcheck import mutants

ACCEPTED = {"PASS", "KINK", "NO_POWER", "INCONCLUSIVE"}


@pytest.mark.slow
@pytest.mark.parametrize("net", mutants.NETS)
@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_found(mutant, net):
    for seed in range(3):
        model, x, y = mutants.NETS[net](seed)
        mutant.apply(model)
        report = mg.check_gradients(model, x, y, seed=seed)
        assert report.verdict.value not in ACCEPTED, str(report)
        assert not report


def test_there_are_enough_mutants_and_nets():
    assert len(mutants.MUTANTS) >= 25
    assert len(mutants.NETS) >= 3


@pytest.mark.parametrize("net", mutants.NETS)
def test_the_nets_are_right_before_they_are_broken(net):
    for seed in range(3):
        report = mg.check_gradients(*mutants.NETS[net](seed), seed=seed)
        assert report, str(report)


@pytest.mark.parametrize("net", mutants.NETS)
def test_the_cost_is_bounded_by_the_number_of_tensors(net):
    report = mg.check_gradients(*mutants.NETS[net](0), directions=3)
    points = 2
    assert report.passes <= points * (12 * 3 * len(report.tensors) + 10)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_false_alarm_on_random_correct_networks(dtype):
    for seed in range(60):
        report = mg.check_gradients(*correct_net(seed, dtype), seed=seed)
        assert report, str(report)


def test_the_verdict_does_not_depend_on_the_scale_of_the_loss():
    def f(p, scale):
        return scale * float(np.sum(np.sin(p) * p))

    def grad(p, scale):
        return scale * (np.cos(p) * p + np.sin(p))

    p = np.random.default_rng(0).normal(size=12)
    for scale in (1e-8, 1.0, 1e8):
        assert mg.check_gradient(lambda q, s=scale: f(q, s), lambda q, s=scale: grad(q, s), p)
        wrong = mg.check_gradient(
            lambda q, s=scale: f(q, s), lambda q, s=scale: 1.0001 * grad(q, s), p
        )
        assert not wrong


def test_parameters_may_be_nested():
    params = {"a": np.array([1.0, 2.0]), "b": [np.ones((2, 3)), (np.array(0.5),)]}

    def f(p):
        return float((p["a"] ** 3).sum() + (p["b"][0] ** 2).sum() * p["b"][1][0])

    def grad(p):
        inner = p["b"][1][0]
        return {
            "a": 3 * p["a"] ** 2,
            "b": [2 * p["b"][0] * inner, (np.asarray((p["b"][0] ** 2).sum()),)],
        }

    assert mg.check_gradient(f, grad, params)


def test_a_rerun_is_the_same_and_leaves_everything_as_it_was():
    model, x, y = correct_net(5)
    before = model.params.copy(), model.rngs[0].bit_generator.state, np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (mg.check_gradients(model, x, y, seed=3).to_dict() for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(model.params, before[0])
    assert model.rngs[0].bit_generator.state == before[1]
    np.testing.assert_array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002


def large_network():
    model = mg.Sequential(
        [mg.Dense(1000, 990), mg.Tanh(), mg.Dense(990, 10)],
        loss=mg.SoftmaxCrossEntropy(),
        dtype="float64",
        random_state=0,
    )
    assert model.params.size > 1_000_000
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(8, 1000)), rng.integers(0, 10, 8)


def peak_of(work):
    """The result of `work()`, and its peak memory in MB."""
    tracemalloc.start()
    result = work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, peak


def test_a_million_parameters_in_under_a_hundred_passes_and_200_mb():
    case = large_network()
    report, megabytes = peak_of(lambda: mg.check_gradients(*case))
    assert report
    assert report.passes < 100
    assert megabytes < 200


@pytest.mark.slow
def test_a_wrong_row_among_a_million_parameters_is_located_in_200_mb():
    model, x, y = large_network()

    def double_a_row(self, delta):
        self.grads.weights[123] *= 2

    mutants.patch(model.layers[0], backward=mutants.after_backward(double_a_row))
    report, megabytes = peak_of(lambda: mg.check_gradients(model, x, y))
    assert report.verdict.value == "FAIL"
    assert "layers[0].weights[123, " in str(report)
    assert megabytes < 200


def test_assert_gradients_raises_with_the_report():
    p = np.array([1.0, 2.0])
    mg.assert_gradients(lambda q: float((q**2).sum()), lambda q: 2 * q, p)
    with pytest.raises(AssertionError, match="FAIL"):
        mg.assert_gradients(lambda q: float((q**2).sum()), lambda q: 2.1 * q, p)


def test_equal_widths_are_noted_where_there_is_a_matrix_to_transpose():
    def noted(report):
        return any("all widths are equal" in note for note in report.warnings)

    assert noted(mg.check_layer(mg.Dense(4, 4)))
    assert not noted(mg.check_layer(mg.Dense(4, 3)))
    assert not noted(mg.check_layer(mg.Tanh()))
    assert not noted(mg.check_layer(mg.LayerNorm(4)))


def test_a_layer_checked_alone_has_no_number():
    class Wrong(mg.Tanh):
        def slope(self, z, a, out):
            super().slope(z, a, out)
            out *= 1.01

    alone = str(mg.check_layer(Wrong()))
    assert "where    the layer Wrong(): the delta that comes in is correct" in alone
    assert "layers[" not in alone
    inside = str(mg.check_layer(mg.Residual([mg.Dense(5, 5), Wrong()])))
    assert "layers[1." not in inside
    assert "where    layers[1] Wrong(): the delta that comes in is correct" in inside
    report = mg.check_layer(mg.Residual([mg.Dense(5, 5), mg.LayerNorm(5)]))
    names = ["input", "layers[0].weights", "layers[0].bias", "layers[1].gain", "layers[1].bias"]
    assert [tensor.name for tensor in report.tensors] == names


def test_a_layer_checked_alone_is_blamed_for_its_own_gradient():
    def change(self, delta):
        self.grads.bias[...] /= delta.shape[-2]

    layer = mg.Dense(4, 3)
    mutants.patch(layer, backward=mutants.after_backward(change))
    for checked in (layer, mg.Residual([mg.Tanh(), layer, mg.Dense(3, 4)])):
        report = mg.check_layer(checked)
        name = "bias" if checked is layer else "layers[1].bias"
        assert report.first_wrong.endswith(f"the gradient of {name} is wrong")
        assert report.hints[0].startswith(f"the gradient of {name} is 0.166667 times the correct")


def test_a_layer_may_have_a_parameter_called_input():
    class Shifted(mg.Layer):
        def parameters(self):
            return {"input": ((5,), mg.Constant(0.5))}

        def forward(self, x):
            return x + self.params.input

        def backward(self, delta):
            self.grads.input[...] = delta.sum(axis=-2)
            return delta.copy()

    report = mg.check_layer(Shifted())
    assert report, str(report)
    assert [tensor.name for tensor in report.tensors] == ["dL/dx", "input"]


def test_a_wrong_loss_is_named_and_an_element_of_the_prediction():
    loss = mg.HalfSquaredError()
    mutants.patch(loss, backward=lambda self: 1.5 * super(type(self), self).backward())
    report = mg.check_loss(loss)
    assert report.first_wrong.startswith("the loss HalfSquaredError()")
    assert report.culprits[0].name.startswith("prediction[")
    assert report.hints == [
        "the delta that the loss starts with is 1.5 times the correct one throughout"
    ]


# a shorter batch after a longer one


class GrowOnly(mg.Dense):
    """Keeps its input in a buffer that grows; backward uses the rows that `used` gives."""

    def __init__(self, in_features, out_features, used="all"):
        super().__init__(in_features, out_features)
        self.used = used

    def forward(self, x):
        mutants.kept(self, "_kept", x)
        return super().forward(x)

    def backward(self, delta):
        passed, count = super().backward(delta), delta.shape[-2]
        self._first = self.__dict__.get("_first", count)
        self._fewest = min(self.__dict__.get("_fewest", count), count)
        if self.used == "all":
            delta = mutants.kept(self, "_deltas", delta)
        last = {"current": count, "all": None, "first": self._first, "fewest": self._fewest}
        rows = np.s_[..., : last[self.used], :]
        self.grads.weights[...] = self._kept[rows].mT @ delta[rows]
        return passed


def checked_alone(used):
    return mg.check_layer(GrowOnly(5, 3, used))


def checked_in_a_model(used):
    layers = [mg.Dense(4, 6), mg.BatchNorm(6), mg.Tanh(), mg.Dropout(0.3), GrowOnly(6, 3, used)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    rng = np.random.default_rng(0)
    return mg.check_gradients(model, rng.normal(size=(7, 4)), rng.normal(size=(7, 3)))


@pytest.mark.parametrize("check", [checked_alone, checked_in_a_model])
@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ("all", "a shorter batch after a longer one gives a different gradient of"),
        ("first", "a shorter batch after a longer one raises ValueError"),
        ("fewest", "a longer batch after a shorter one gives a different gradient of"),
    ],
)
def test_rows_of_another_batch_are_noticed(check, used, expected):
    report = check(used)
    assert report.verdict.value == "STALE_CACHE", str(report)
    assert expected in str(report)
    assert all(tensor.verdict.value != "FAIL" for tensor in report.tensors)
    assert check("current"), str(check("current"))


def test_a_shorter_batch_that_a_layer_cannot_take_is_no_mistake():
    class SixRows(mg.Tanh):
        def forward(self, x):
            return super().forward(x.reshape(6, -1))

    assert mg.check_layer(SixRows())


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_batches_of_few_rows(rows):
    layers = [mg.Dense(4, 6), mg.BatchNorm(6), mg.Sigmoid(), mg.Dropout(0.3), mg.Dense(6, 3)]
    model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), dtype="float64", random_state=0)
    report = mg.check_gradients(model, np.random.default_rng(0).normal(size=(rows, 4)), [0] * rows)
    assert not report.protocol, str(report)


def test_nothing_else_imports_the_inner_modules_of_the_checker():
    package = Path(mg.__file__).parent
    files = [
        path for path in package.parent.rglob("*.py") if package / "gradcheck" not in path.parents
    ]
    assert len(files) > 30
    inside = [path.name for path in files if "mlpgrad.gradcheck." in path.read_text("utf-8")]
    assert not inside


@pytest.mark.parametrize(
    ("net", "seed"), [("tanh", 18), ("tanh", 3), ("relu", 7), ("squared", 11), ("squared", 277)]
)
def test_an_error_of_a_few_billionths_is_found_in_a_layer_of_ones_own(net, seed):
    """A buffer in float32 moves the gradient by 1e-9 to 1e-7; truncation at order 2 hides that."""
    mutant = next(m for m in mutants.MUTANTS if m.name == "buffer_of_another_dtype")
    model, x, y = mutants.NETS[net](seed)
    mutant.apply(model)
    assert mg.check_gradients(model, x, y, seed=seed, explain=False).verdict.value == "FAIL"
