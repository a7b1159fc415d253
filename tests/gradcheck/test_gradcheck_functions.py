"""The checker on functions: bad input, protocol verdicts, methods, and other libraries."""

import numpy as np
import pytest

import mlpgrad as mg

P = np.array([1.0, -2.0, 3.0])


def value(p):
    return float((p**3).sum())


def slope(p):
    return 3 * p**2


def refuse(_):
    raise RuntimeError("boom")


# clear errors


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda p: p**2, TypeError, r"return one number, got an array of shape \(3,\)"),
        (lambda p: None, TypeError, "got None; is a return missing"),
        (lambda p: 1j, TypeError, "real number, got 1j"),
        (refuse, RuntimeError, "boom"),
    ],
    ids=["vector", "None", "complex", "raises"],
)
def test_a_function_that_gives_no_number(f, error, message):
    with pytest.raises(error, match=message):
        mg.check_gradient(f, slope, P)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (np.array([1, 2, 3]), TypeError, r"floating-point numbers, got int64.*astype\(float\)"),
        (np.empty(0), ValueError, "at least one number, got none"),
        ({}, ValueError, "at least one number"),
    ],
)
def test_parameters_that_cannot_be_checked(params, error, message):
    with pytest.raises(error, match=message):
        mg.check_gradient(value, slope, params)


@pytest.mark.parametrize("empty", [np.empty(0), {"a": np.empty((0, 3))}, [], {}], ids=repr)
@pytest.mark.parametrize("value_of", [lambda x: 0.0, lambda x: x, lambda x: np.ones(2)])
@pytest.mark.parametrize("check", [mg.check_gradient, mg.check_vjp, mg.check_hvp])
def test_nothing_is_not_checked(check, value_of, empty):
    with pytest.raises(ValueError, match="expects at least one number, got none"):
        check(value_of, lambda *given: given[-1], empty)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'complex'"):
        mg.check_gradient(value, slope, P, method="komplex")


# verdicts about the calls


class Accumulating:
    """Adds each gradient to the previous one."""

    def __init__(self):
        self.total = np.zeros(3)

    def __call__(self, p):
        self.total = self.total + slope(p)
        return self.total


def noisy():
    rng = np.random.default_rng(0)
    return lambda p: value(p) + rng.normal()


def changing(p):
    before = value(p)
    p += 1
    return before


@pytest.mark.parametrize(
    ("verdict", "f", "grad"),
    [
        ("NAN", lambda p: float("nan"), slope),
        ("NAN", value, lambda p: p * np.nan),
        ("SHAPE", value, lambda p: slope(p)[:2]),
        ("SHAPE", value, lambda p: {"a": slope(p)}),
        ("RANDOM_FORWARD", noisy(), slope),
        ("MUTATES_INPUT", changing, slope),
        ("ACCUMULATES", value, Accumulating()),
        ("DTYPE", value, lambda p: slope(p).astype(int)),
    ],
)
def test_protocol_verdicts(verdict, f, grad):
    params = P.copy()
    before = params.copy()
    report = mg.check_gradient(f, grad, params)
    assert report.verdict.value == verdict
    assert not report
    np.testing.assert_array_equal(params, before)


def test_everything_is_restored_when_the_function_raises():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    params, calls = P.copy(), []

    def f(p):
        np.random.random()  # noqa: NPY002
        p[:] = 0
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("later")
        return 0.0

    with pytest.raises(RuntimeError, match="later"):
        mg.check_gradient(f, slope, params)
    np.testing.assert_array_equal(params, P)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# kinks


def test_a_value_between_the_slopes_of_a_kink_is_no_mistake():
    at_kink = np.array([0.0, 1.0, -2.0])

    def absolute(p):
        return float(np.abs(p).sum())

    for between in (-1.0, 0.0, 0.5, 1.0):
        grad = np.array([between, 1.0, -1.0])
        assert mg.check_gradient(
            absolute, lambda p, g=grad: g if p[0] == 0 else np.sign(p), at_kink
        )
    wrong = mg.check_gradient(absolute, lambda p: 1.5 * np.sign(p), at_kink)
    assert wrong.verdict.value == "FAIL"


# methods


@pytest.mark.parametrize("method", ["auto", "central", "coordinates", "complex", "ridders"])
def test_every_method_tells_right_from_wrong(method):
    def smooth(p):
        return (np.sin(p) * p).sum()

    def right(p):
        return np.cos(p) * p + np.sin(p)

    assert mg.check_gradient(smooth, right, P, method=method)
    assert not mg.check_gradient(smooth, lambda p: right(p) * (1 + 1e-5), P, method=method)


def test_complex_steps_refuse_where_they_would_lie():
    def absolute(p):
        return np.abs(p).sum()  # drops the imaginary part

    report = mg.check_gradient(absolute, np.sign, P)
    assert report  # the automatic choice is another method
    with pytest.raises(ValueError, match="complex steps are not legal here"):
        mg.check_gradient(absolute, np.sign, P, method="complex")


def test_after_complex_steps_the_wrong_element_is_measured_by_differences():
    report = mg.check_gradient(
        lambda p: (p**3).sum(), lambda p: slope(p) * np.array([1, 1, 1.5]), P, method="complex"
    )
    (culprit,) = report.culprits
    assert culprit.name == "params[2]"
    np.testing.assert_allclose(culprit.numeric, 27, rtol=1e-8)


def test_value_and_gradient_may_come_from_one_function():
    assert mg.check_gradient(lambda p: (value(p), slope(p)), None, P)
    assert not mg.check_gradient(lambda p: (value(p), slope(p) * 1.01), None, P)


def test_products():
    a = np.random.default_rng(0).normal(size=(4, 3))
    assert mg.check_vjp(
        lambda x: np.tanh(a @ x), lambda x, v: a.T @ (v * (1 - np.tanh(a @ x) ** 2)), P
    )
    assert not mg.check_vjp(lambda x: np.tanh(a @ x), lambda x, v: a.T @ v, P)
    assert mg.check_hvp(slope, lambda p, v: 6 * p * v, P)
    assert not mg.check_hvp(slope, lambda p, v: 3 * p * v, P)


@pytest.mark.parametrize("x", [0.7, np.float64(0.7), np.array(0.7), np.array([0.7])])
def test_the_value_and_the_gradient_of_one_number_are_not_confused(x):
    # the second derivatives of sin and of x^2 are -sin and 2
    assert mg.check_hvp(np.cos, lambda p, v: -np.sin(p) * v, x)
    assert not mg.check_hvp(np.cos, lambda p, v: np.sin(p) * v, x)
    assert not mg.check_hvp(lambda p: 2 * p, lambda p, v: 0 * v, x)  # though 0 is the slope of 2
    with pytest.raises(ValueError, match="agrees with the product only as the value of f; give"):
        mg.check_hvp(lambda p: np.sin(p), lambda p, v: -np.sin(p) * v, x)
    # what the error advises
    one = np.array([0.7])
    assert mg.check_hvp(lambda p: np.sin(p).sum(), lambda p, v: -np.sin(p) * v, one)
    assert not mg.check_hvp(lambda p: np.sin(p).sum(), lambda p, v: np.cos(p) * v, one)
    assert mg.check_hvp(lambda p: (np.sin(p), np.cos(p)), lambda p, v: -np.sin(p) * v, x)


# reports


def test_a_failure_names_the_element_the_reason_and_how_to_see_it_again():
    report = mg.check_gradient(value, lambda p: slope(p) * np.array([1, 1, 1.5]), P)
    text = str(report)
    assert "params[2]: gradient says 40.5, numeric 27" in text
    assert "ratio 1.5" in text
    assert "seed=0" in text
    assert "only params[2] is wrong" in text
    assert "<table>" in report._repr_html_()
    assert report.to_dict()["verdict"] == "FAIL"


@pytest.mark.parametrize(
    ("factor", "hint"), [(-1.0, "sign"), (2.0, "2"), (0.5, "1/2")], ids=["-1", "2", "1/2"]
)
def test_a_constant_ratio_is_recognised(factor, hint):
    report = mg.check_gradient(value, lambda p: factor * slope(p), P)
    assert not report
    assert any(hint in line for line in report.hints), report.hints


# other libraries


def test_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def f(p):
        t = torch.tensor(p["w"], requires_grad=True)
        loss = torch.nn.functional.softplus(t).pow(2).sum()
        loss.backward()
        return loss.item(), {"w": t.grad.numpy()}

    assert mg.check_gradient(f, None, {"w": P})


def test_an_error_of_pytorch_beyond_the_domain():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def f(p):
        matrix = torch.diag(2 - torch.as_tensor(p))
        return 2 * torch.linalg.cholesky(matrix).diagonal().log().sum()

    p = np.array([1.9, 0.5])
    assert mg.check_gradient(f, lambda p: -1 / (2 - p), p)
    assert not mg.check_gradient(f, lambda p: -1.001 / (2 - p), p)


def test_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)

    def f(p):
        return jax.numpy.tanh(p).sum()

    assert mg.check_gradient(lambda p: float(f(p)), lambda p: np.asarray(jax.grad(f)(p)), P)


def test_autograd():
    autograd = pytest.importorskip("autograd", reason="autograd is not installed")
    import autograd.numpy as anp

    def f(p):
        return anp.sum(anp.exp(p) * p)

    assert mg.check_gradient(f, autograd.grad(f), P)


def test_a_masked_array_that_hides_a_value_is_refused():
    params = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(ValueError, match=r"a masked array with a masked value at params\[1\]"):
        mg.check_gradient(lambda p: float((p**2).sum()), lambda p: 2 * p, params)
    assert mg.check_gradient(lambda p: float((p**2).sum()), lambda p: 2 * p, params.filled(0.5))


@pytest.mark.parametrize("check", [mg.check_gradient, mg.check_vjp, mg.check_hvp])
@pytest.mark.parametrize(("name", "wrong"), [("seed", "q"), ("directions", np.zeros(0))])
def test_options_are_checked_before_the_function_is_called(check, name, wrong):
    def called(*arguments):
        raise AssertionError

    with pytest.raises(ValueError, match=f"{name} expects an int"):
        check(called, called, np.ones(3), **{name: wrong})


def test_the_slopes_of_subnormal_parameters_have_steps_above_0():
    x = np.linspace(1e-320, 3e-320, 4)
    report = mg.check_hvp(lambda p: float((p**2).sum()), lambda p, v: 2 * v, x)
    assert "Hessian-vector product" in str(report)
