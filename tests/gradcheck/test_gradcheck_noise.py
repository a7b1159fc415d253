"""The precision in which a function computes, and slopes through values of few digits."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.gradcheck.functions.black_box import BlackBox
from mlpgrad.gradcheck.numeric.derivative import Noise, averaged
from mlpgrad.gradcheck.numeric.directions import Place, Plan, directions, first_step
from mlpgrad.gradcheck.numeric.noise import jumps
from mlpgrad.gradcheck.numeric.problem import spread

SHAPES = (
    (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    (np.sin, np.cos),
    (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
)


def in_float16(rng):
    """A bend of random width and height that computes in float16, and its slope at 0."""
    height, width, at = rng.normal(), 10 ** rng.uniform(-0.5, 1), rng.normal()
    shape, slope = SHAPES[rng.integers(len(SHAPES))]
    plus, half = rng.normal(), np.float16
    return (
        lambda t: float(half(half(height) * half(shape(half(t / width + at))) + half(plus))),
        height * slope(at) / width,
    )


def slope_of(f, scale):
    run = averaged(Noise(f(0.0), 1e-3 * abs(f(0.0)), 1e-3), scale)
    offsets = next(run)
    while True:
        try:
            offsets = run.send((np.array([f(t) for t in offsets]), np.zeros(len(offsets), bool)))
        except StopIteration as end:
            return end.value


def test_the_bound_of_a_fit_through_many_values_covers_its_error():
    beyond = 0
    for seed in range(150):
        f, slope = in_float16(np.random.default_rng(seed))
        found = slope_of(f, 8.0)
        beyond += abs(found.value - slope) > found.bound + 4e-3 * abs(slope)
    assert beyond <= 1


def test_an_element_moves_in_proportion_to_its_own_size():
    point, rng = np.ones(30), np.random.default_rng(0)
    problem = BlackBox(lambda p: float(np.tanh(p).sum()), lambda p: 1 - np.tanh(p) ** 2, point)
    settings = Plan().settings(problem, point, problem.value(point), rng)._replace(precision=1e-3)
    place = Place(point, problem.gradient(point), settings)
    tried = directions(problem.leaves, place, rng, 1, along=False)
    steps = {d.step for d in tried if np.count_nonzero(d.vector) == 1}
    assert steps == {first_step(spread(point, problem.leaves)[0], settings)}


@pytest.mark.parametrize("away", [1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_a_value_close_to_0_is_no_sign_of_float32(away, seed):
    point = 1 + away * np.random.default_rng(seed).normal(size=8)

    def f(p):
        return float(np.sum((p - 1) ** 2))

    report = mg.check_gradient(f, lambda p: 2 * (p - 1), point, seed=seed)
    assert report
    assert report.precision == "float64"
    assert mg.check_gradient(f, lambda p: 2.0002 * (p - 1), point, seed=seed).verdict == "FAIL"


@pytest.mark.parametrize(
    "f",
    [
        lambda t: float(np.log(abs(np.sin(50 * t + 1)))),
        lambda t: 1 / np.sin(50 * t + 1),
        lambda t: 1 / np.sin(50 * t + 1) ** 2,
    ],
)
def test_a_pole_is_no_jump(f):
    assert jumps(lambda offsets: np.array([f(t) for t in offsets]), 1e-16) == (0, 0)
