"""The checker on hard functions: correct gradients never FAIL, wrong ones never PASS."""

import itertools
import json

import numpy as np
import pytest

import mlpgrad as mg

pytestmark = pytest.mark.slow

P = np.random.default_rng(0).normal(size=12)


def value(p):
    return float(np.sum(np.sin(p) * p))


def slope(p):
    return np.cos(p) * p + np.sin(p)


def verdict(f, grad, params, **options):
    report = mg.check_gradient(f, grad, params, **options)
    json.dumps(report.to_dict(), allow_nan=False)
    assert report._repr_html_()
    return report.verdict.value, str(report)


# scales of the function, of its parameters, and among its parameters


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-8, 1e8, 1e30, 1e300])
def test_the_scale_of_the_function_changes_no_verdict(scale):
    def f(p):
        return scale * value(p)

    for factor, expected in ((1, "PASS"), (1 + 1e-4, "FAIL"), (1 + 1e-6, "FAIL")):
        found, text = verdict(f, lambda p, c=factor: c * scale * slope(p), P)
        assert found == expected, text


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e-8, 1e-3, 1e3, 1e8, 1e30, 1e200])
def test_the_scale_of_the_parameters_changes_no_verdict(scale):
    for factor, expected in ((1, "PASS"), (1 + 1e-4, "FAIL"), (1 + 1e-6, "FAIL")):
        found, text = verdict(
            lambda p: value(p / scale), lambda p, c=factor: c * slope(p / scale) / scale, P * scale
        )
        assert found == expected, text


def test_a_function_that_is_zero_everywhere_shows_nothing():
    found, text = verdict(lambda p: 0.0, lambda p: 0 * p, P)
    assert found == "NO_POWER", text


# noise and fast oscillations: a correct gradient may be INCONCLUSIVE, but never FAIL


def rounded(p):
    return round(float(np.sin(p).sum()), 6)


def in_float32(p):
    return float(np.sum(np.sin(p.astype(np.float32)), dtype=np.float64))


def rippled(p):
    return float(np.sin(p).sum()) + 1e-7 * np.sin(1e9 * float(p.sum()))


@pytest.mark.parametrize("f", [rounded, in_float32, rippled], ids=lambda f: f.__name__)
def test_noise_hides_neither_right_nor_wrong(f):
    for seed in range(10):
        params = np.random.default_rng(seed).normal(size=2 + seed)
        found, text = verdict(f, np.cos, params, seed=seed)
        assert found in ("PASS", "INCONCLUSIVE"), text
        found, text = verdict(f, lambda p: 2 * np.cos(p), params, seed=seed)
        assert found == "FAIL", text


@pytest.mark.parametrize("frequency", [1e3, 1e5, 1e6, 1e8])
def test_an_oscillation_faster_than_the_step(frequency):
    for seed in range(5):
        found, text = verdict(
            lambda p: float(np.sin(frequency * p).sum()),
            lambda p: frequency * np.cos(frequency * p),
            np.random.default_rng(seed).normal(size=5),
            seed=seed,
        )
        assert found != "FAIL", text


def test_elements_of_very_different_sizes():
    sizes = 10.0 ** np.arange(-6, 6)
    found, text = verdict(
        lambda p: float(np.sin(p / sizes).sum()), lambda p: np.cos(p / sizes) / sizes, P * sizes
    )
    assert found != "FAIL", text


@pytest.mark.parametrize(
    ("jumping", "size"),
    [
        (lambda b: np.mod(b, 1).sum(), 1000),
        (lambda b: round(np.sin(b).sum(), 1), 1000),
        (lambda b: np.arctan2(np.sin(3 * b), np.cos(3 * b)).sum() / 3, 50),
    ],
    ids=["modulo", "rounded", "angles"],
)
def test_an_array_that_jumps_hide_is_not_passed_beside_another(jumping, size):
    def f(p):
        return size * float(np.sin(p["a"]).sum()) + float(jumping(p["b"]))

    params = {"a": P[:4], "b": P}
    for seed, factor in itertools.product(range(3), (-1.0, 0.0, 7.0)):
        found, text = verdict(
            f,
            lambda p, c=factor: {"a": size * np.cos(p["a"]), "b": c + 0 * p["b"]},
            params,
            seed=seed,
        )
        assert found not in ("PASS", "KINK"), text
        assert found == "FAIL" or "jump or scatter by" in text, text


# kinks at the point and near it


def largest_of_neighbours(p):
    return float(np.maximum(p, np.roll(p, 1)).sum())


def slope_of_largest(p):
    mine = p >= np.roll(p, 1)
    return mine * 1.0 + np.roll(~mine * 1.0, -1)


@pytest.mark.parametrize(
    ("f", "grad"),
    [
        (lambda p: float(np.abs(p).sum()), np.sign),
        (
            lambda p: float((np.maximum(p, 0) * (1 + p * p)).sum()),
            lambda p: (p > 0) * (1 + 3 * p * p),
        ),
        (largest_of_neighbours, slope_of_largest),
    ],
    ids=["abs", "relu", "max"],
)
def test_kinks_at_every_distance(f, grad):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        params = rng.normal(size=int(rng.integers(1, 15)))
        params[rng.random(len(params)) < 0.3] = 0
        near = rng.random(len(params)) < 0.2
        params[near] *= 10.0 ** rng.uniform(-12, -2)
        found, text = verdict(f, grad, params, seed=seed)
        assert found in ("PASS", "KINK", "NO_POWER"), text
        found, text = verdict(f, lambda p: 1.5 * grad(p) + 0.1, params, seed=seed)
        assert found not in ("PASS", "KINK", "NO_POWER"), text


# all kinds of arrays


@pytest.mark.parametrize(
    "params",
    [
        np.array(1.3),
        1.3,
        np.float64(1.3),
        P.reshape(3, 4).T[::2],
        np.asfortranarray(P.reshape(3, 4)),
        P.astype(np.float32),
        P.astype(np.longdouble),
    ],
    ids=["0-d", "float", "NumPy scalar", "strided", "Fortran", "float32", "longdouble"],
)
def test_arrays_of_every_kind(params):
    assert verdict(lambda p: float(np.sin(p).sum()), np.cos, params)[0] == "PASS"
    wrong = verdict(lambda p: float(np.sin(p).sum()), lambda p: 1.001 * np.cos(p), params)
    assert wrong[0] == "FAIL"


def test_the_same_array_twice_and_read_only():
    shared = P.copy()
    shared.flags.writeable = False

    def f(p):
        return float(np.sum(np.sin(p[0]) * p[1]))

    assert mg.check_gradient(f, lambda p: [np.cos(p[0]) * p[1], np.sin(p[0])], [shared, shared])


# state that calls leave behind


@pytest.mark.parametrize("change", ["key", "item", "rebound"])
def test_changes_of_a_structure_are_changes_of_an_argument(change):
    def f(p):
        found = value(p["a"][0])
        if change == "key":
            p["b"] = 1.0
        elif change == "item":
            p["a"].append(1.0)
        else:
            p["a"][0] = 2 * p["a"][0]
        return found

    found, text = verdict(f, lambda p: {"a": [slope(p["a"][0])]}, {"a": [P]})
    assert found == "MUTATES_INPUT", text


def test_a_constant_gradient_beside_a_kink_is_wrong_not_stale():
    report = mg.check_gradient(
        lambda p: float(np.abs(p).sum()), lambda p: 1.5 * np.sign(p) + 0.1, np.array([0.0, 1, -2])
    )
    assert report.verdict.value == "FAIL", str(report)


@pytest.mark.parametrize("calls", [0, 1, 2, 5, 20])
def test_generators_and_parameters_survive_an_exception_at_any_call(calls):
    counted = []

    def f(p):
        counted.append(np.random.random())  # noqa: NPY002
        if len(counted) > calls:
            raise LookupError("later")
        return value(p)

    np.random.seed(3)  # noqa: NPY002
    expected, params = np.random.RandomState(3).random(), P.copy()
    with pytest.raises(LookupError, match="later"):
        mg.check_gradient(f, slope, params)
    assert np.random.random() == expected  # noqa: NPY002
    np.testing.assert_array_equal(params, P)


def test_not_a_number_away_from_the_point():
    def near(p):
        return value(p) if np.abs(p - P).max() < 1e-3 else np.nan

    assert verdict(near, slope, P)[0] in ("PASS", "INCONCLUSIVE")
    assert verdict(near, lambda p: 2 * slope(p), P)[0] in ("FAIL", "INCONCLUSIVE")


# bad arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directions": 0}, "directions expects an int >= 1, got 0"),
        ({"directions": 1.5}, "directions expects an int >= 1, got 1.5"),
        ({"rtol": -1}, r"rtol expects a number in \[0, 1\), got -1"),
        ({"rtol": float("nan")}, "rtol expects"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        mg.check_gradient(value, slope, P, **options)


def test_value_and_gradient_beside_a_gradient():
    with pytest.raises(TypeError, match=r"must return one number, got \(.*pass None as grad"):
        mg.check_gradient(lambda p: (value(p), slope(p)), slope, P)


def test_what_is_not_a_model():
    with pytest.raises(TypeError, match="model expects a Sequential, got ndarray"):
        mg.check_gradients(P, P, P)


# products


A = np.random.default_rng(1).normal(size=(4, 12))


def layer_of_four(x):
    return np.tanh(A @ x)


def back(x, v):
    return A.T @ (v * (1 - np.tanh(A @ x) ** 2))


def doubled(x, v):
    found = back(x, v)
    v *= 2
    return found


@pytest.mark.parametrize(
    ("expected", "vjp"),
    [
        ("PASS", back),
        ("FAIL", lambda x, v: (1 + 1e-6) * back(x, v)),
        ("NOT_LINEAR_IN_SEED", lambda x, v: back(x, np.ones(4))),
        ("NOT_LINEAR_IN_SEED", lambda x, v: back(x, v / np.linalg.norm(v))),
        ("NOT_LINEAR_IN_SEED", lambda x, v: back(x, v * v)),
        ("MUTATES_INPUT", doubled),
        ("SHAPE", lambda x, v: v),
        ("NAN", lambda x, v: back(x, v) * np.nan),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_verdicts_of_vector_jacobian_products(expected, vjp):
    report = mg.check_vjp(layer_of_four, vjp, P)
    assert report.verdict.value == expected, str(report)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda x: layer_of_four(x) + 1j, TypeError, "real numbers, got complex"),
        (lambda x: None, TypeError, "got None"),
        (lambda x: (), TypeError, "at least one number"),
    ],
    ids=["complex", "None", "nothing"],
)
def test_outputs_that_cannot_be_checked(f, error, message):
    with pytest.raises(error, match=message):
        mg.check_vjp(f, back, P)


S = A.T @ A


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("gives", ["value", "gradient", "pair"])
def test_hessian_products_from_whatever_is_there(gives, scale):
    def f(x):
        x = x / scale
        both = float(0.5 * x @ S @ x + np.sin(x).sum()), (S @ x + np.cos(x)) / scale
        return {"value": both[0], "gradient": both[1], "pair": both}[gives]

    def hvp(x, v):
        return (S @ v - np.sin(x / scale) * v) / scale**2

    report = mg.check_hvp(f, hvp, P * scale)
    assert report, str(report)
    report = mg.check_hvp(f, lambda x, v: 1.0001 * hvp(x, v), P * scale)
    assert report.verdict.value == "FAIL", str(report)
    report = mg.check_hvp(f, lambda x, v: S @ v / scale**2, P * scale)  # Gauss and Newton's
    assert report.verdict.value == "FAIL", str(report)


def test_hessian_products_of_a_pair_of_parameters():
    x = (1.3, P)
    assert mg.check_hvp(
        lambda x: (np.cos(x[0]), 2 * x[1]), lambda x, v: (-np.sin(x[0]) * v[0], 2 * v[1]), x
    )


# the line that reproduces a report


def wrong(p):
    return 1.01 * slope(p)


def product(x, v):
    return v


def models():
    model = mg.Sequential(
        [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)],
        loss=mg.HalfSquaredError(),
        dtype="float64",
        random_state=0,
    )
    rng = np.random.default_rng(0)
    return {
        "model": model,
        "x": rng.normal(size=(6, 3)),
        "y": rng.normal(size=(6, 2)),
        "sample_weight": np.arange(1.0, 7.0),
        "loss": mg.HalfSquaredError(),
        "prediction": rng.normal(size=(3, 2)),
        "target": rng.normal(size=(3, 2)),
        "layer": mg.Dense(3, 4),
    }


@pytest.mark.parametrize(
    "line",
    [
        "check_gradients(model, x, y, seed=3)",
        "check_gradients(model, x, y, sample_weight=sample_weight, seed=3, method='complex')",
        "check_gradients(model, x, y, seed=3, directions=5, explain=False)",
        "check_layer(layer, x, seed=3, method='coordinates')",
        "check_layer(layer, seed=3)",
        "check_loss(loss, prediction, target, seed=3)",
        "check_gradient(value, wrong, params, seed=3, directions=2, method='ridders', rtol=0.001)",
        "check_vjp(layer_of_four, back, x, v=v, seed=3, directions=2)",
        "check_hvp(slope, product, x, seed=3)",
    ],
)
def test_the_line_in_the_report_repeats_it(line):
    names = models() | {
        "mg": mg,
        "value": value,
        "wrong": wrong,
        "slope": slope,
        "params": P,
        "back": back,
        "layer_of_four": layer_of_four,
        "v": np.arange(1.0, 5.0),
        "product": product,
    }
    if "vjp" in line or "hvp" in line:
        names["x"] = P
    first = eval(f"mg.{line}", names)
    again = eval(first.reproduce, names)
    assert first.to_dict() == again.to_dict()


def test_a_function_without_a_name_is_called_by_its_role():
    report = mg.check_gradient(lambda p: value(p), lambda p: 2 * slope(p), P)
    assert report.reproduce == "mg.check_gradient(f, grad, params, seed=0)"


@pytest.mark.parametrize("size", [5e-324, 1e-321, 1e-310, 1e-300, 1e-250])
@pytest.mark.parametrize("method", ["auto", "central", "coordinates", "ridders"])
@pytest.mark.parametrize("factor", [1, 1.5])
def test_points_that_are_hardly_numbers(size, method, factor):
    """Steps never become 0, and an underflowing function does not count against a gradient."""
    point = size * np.array([1.0, -1.0, 3.0])
    functions = {
        "squares": (lambda p: float(np.sum(np.square(p))), lambda p: 2 * factor * p),
        "sines": (lambda p: float(np.sum(np.sin(p))), lambda p: factor * np.cos(p)),
        "large": (lambda p: 1e300 * float(np.sum(p)), lambda p: 1e300 * factor * np.ones(3)),
    }
    for name, (f, gradient) in functions.items():
        found = mg.check_gradient(f, gradient, point, method=method).verdict.name
        if factor == 1:
            assert found != "FAIL", name
        elif name != "squares":  # a gradient of 1e-250 is zero to the rounding of f
            assert found != "PASS", name


def test_a_layer_at_a_point_that_is_hardly_a_number():
    for size in (5e-324, 1e-310, 1e-300):
        assert mg.check_layer(mg.Tanh(), np.full((5, 4), size)).verdict.name != "FAIL"
