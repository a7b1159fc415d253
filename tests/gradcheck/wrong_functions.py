"""Functions with gradients that are wrong in frequent ways, and the expected hints.

A case makes f, the correct gradient, the wrong one and the point from a random generator. If the
correct gradient is None, the wrong one differs from the slopes at a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    name: str
    make: Callable[[np.random.Generator], tuple[Any, Any, Any, Any]]
    codes: frozenset[str]


CASES: list[Case] = []


def case(*codes: str) -> Callable[[Any], Any]:
    def add(make: Any) -> Any:
        CASES.append(Case(make.__name__, make, frozenset(codes)))
        return make

    return add


def matrix(rng, rows=4, columns=3):
    return rng.normal(size=(rows, columns))


def of(vector, f, correct, wrong):
    return f, correct, wrong, vector


# factors


def factor(c):
    def make(rng):
        return of(
            rng.normal(size=6),
            lambda p: float(np.sin(p).sum()),
            np.cos,
            lambda p: c * np.cos(p),
        )

    return make


for name, c, code in (
    ("sign", -1, "SIGN"),
    ("doubled", 2, "FACTOR"),
    ("halved", 0.5, "FACTOR"),
    ("degrees", np.pi / 180, "FACTOR"),
    ("base_two", np.log(2), "FACTOR"),
    ("a_mean_for_a_sum", 1 / 6, "FACTOR"),
    ("another_functions_gradient", 0.7744, "FACTOR"),
):
    make = factor(c)
    make.__name__ = name
    case(code)(make)


@case("FACTOR")
def two_arrays_by_one_factor(rng):
    p = {"w": rng.normal(size=3), "b": np.array(rng.normal())}

    def grad(p, c=1.0):
        return {"w": c * np.cos(p["w"]), "b": c * np.exp(p["b"])}

    return of(
        p,
        lambda p: float(np.sin(p["w"]).sum() + np.exp(p["b"])),
        grad,
        lambda p: grad(p, 0.77),
    )


# order


@case("TRANSPOSED")
def transposed(rng):
    a, x = matrix(rng, 3, 3), rng.normal(size=3)
    return of(a, lambda a: float(x[::-1] @ np.sin(a @ x)), *_linear(x))


def _linear(x):
    def correct(a):
        return np.outer(x[::-1] * np.cos(a @ x), x)

    return correct, lambda a: correct(a).T


@case("TRANSPOSED")
def reshaped_in_place_of_transposed(rng):
    a, w = matrix(rng), matrix(rng)
    return of(
        a,
        lambda a: float((w * a**2).sum()),
        lambda a: 2 * w * a,
        lambda a: (2 * w * a).T.reshape(a.shape),
    )


@case("ORDER")
def convolution_without_its_flip(rng):
    k, w = rng.normal(size=5), rng.normal(size=5)
    return of(k, lambda k: float(w @ np.sin(k[::-1])), lambda k: w[::-1] * np.cos(k), _flipped(w))


def _flipped(w):
    return lambda k: (w[::-1] * np.cos(k))[::-1]


@case("ORDER")
def roll_in_the_same_direction(rng):
    x, w = rng.normal(size=7), rng.normal(size=7)
    return of(
        x,
        lambda x: float(w @ np.roll(x, 1)),
        lambda x: np.roll(w, -1) + 0 * x,
        lambda x: np.roll(w, 1) + 0 * x,
    )


@case("ORDER")
def sort_without_undoing_the_order(rng):
    x, w = rng.permutation(np.arange(8.0)) + 0.1 * rng.normal(size=8), rng.normal(size=8)

    def correct(x):
        g = np.empty(8)
        g[np.argsort(x)] = w
        return g

    return of(x, lambda x: float(w @ np.sort(x)), correct, lambda x: w.copy())


@case("EXCHANGED")
def two_partial_derivatives_exchanged(rng):
    p = {"a": np.array(2.0), "b": np.array(1.6)}

    def correct(p):
        return {"a": p["b"] * np.cos(p["a"]), "b": np.sin(p["a"]) + 2 * p["b"]}

    def wrong(p):
        g = correct(p)
        return {"a": g["b"], "b": g["a"]}

    return of(p, lambda p: float(p["b"] * np.sin(p["a"]) + p["b"] ** 2), correct, wrong)


@case("EXCHANGED")
def two_elements_exchanged(rng):
    return of(
        rng.normal(size=6),
        lambda p: float(np.sin(p).sum()),
        np.cos,
        lambda p: np.cos(p)[[0, 1, 4, 3, 2, 5]],
    )


# symmetry


@case("SYMMETRY")
def quadratic_form_without_its_transpose(rng):
    m = matrix(rng, 4, 4)
    return of(
        m,
        lambda m: float(0.5 * ((m + m.T) ** 2).sum()),
        lambda m: 2 * (m + m.T),
        lambda m: 4 * m,
    )


@case("SYMMETRY")
def log_determinant_of_a_symmetric_matrix(rng):
    a = matrix(rng, 4, 4)
    s = a + a.T + 8 * np.eye(4)

    def wrong(m):
        inverse = np.linalg.inv(m)
        return inverse + inverse.T - np.diag(np.diag(inverse))

    return of(s, lambda m: float(np.linalg.slogdet(m)[1]), lambda m: np.linalg.inv(m).T, wrong)


@case("SYMMETRY")
def only_the_lower_triangle(rng):
    a = matrix(rng, 4, 4)
    return of(a, lambda a: float((a**3).sum()), lambda a: 3 * a**2, lambda a: np.tril(3 * a**2))


# zeros


@case("ZERO")
def never_written(rng):
    return of(rng.normal(size=5), lambda p: float(np.sin(p).sum()), np.cos, lambda p: np.zeros(5))


@case("ZERO_LINE")
def a_row_left_out(rng):
    def wrong(a):
        g = np.cos(a)
        g[-1] = 0
        return g

    return of(matrix(rng), lambda a: float(np.sin(a).sum()), np.cos, wrong)


@case("MISSING")
def the_last_element_of_a_recursion_left_out(rng):
    def wrong(p):
        g = np.cos(p)
        g[[0, -1]] = 0
        return g

    return of(rng.normal(size=7), lambda p: float(np.sin(p).sum()), np.cos, wrong)


@case("MUST_BE_ZERO")
def masked_elements_with_a_gradient(rng):
    mask = rng.permutation([True] * 5 + [False] * 4)
    return of(
        rng.normal(size=9),
        lambda p: float(np.where(mask, p**3, 0).sum()),
        lambda p: np.where(mask, 3 * p**2, 0),
        lambda p: 3 * p**2,
    )


@case("MUST_BE_ZERO")
def ignored_labels_with_a_gradient(rng):
    labels = np.array([1, -1, 2, 0, -1, 1])
    seen = labels >= 0
    rows, chosen = np.arange(6), np.maximum(labels, 0)

    def softmax(z):
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def f(z):
        return float(-(np.log(softmax(z)[rows, chosen]) * seen).sum())

    def wrong(z):
        return softmax(z) - np.eye(3)[chosen]

    return of(matrix(rng, 6, 3), f, lambda z: wrong(z) * seen[:, None], wrong)


@case("MUST_BE_ZERO")
def clipped_values_with_a_gradient(rng):
    p = rng.permutation(np.array([-2.0, -1.5, -0.7, -0.3, 0.2, 0.6, 1.4, 1.9, 2.2]))
    return of(
        p,
        lambda p: float(np.clip(p, -1, 1).sum() + np.sin(np.clip(p, -1, 1)).sum()),
        lambda p: (1 + np.cos(p)) * (np.abs(p) < 1),
        lambda p: 1 + np.cos(np.clip(p, -1, 1)),
    )


# some elements only


@case("WHERE", "FACTOR_PART", "MISSING")
def repeated_indices_keep_the_last(rng):
    table, index = matrix(rng, 12, 3), np.array([3, 3, 5, 7, 1])
    target = matrix(rng, 5, 3)

    def correct(t):
        g = np.zeros_like(t)
        np.add.at(g, index, t[index] - target)
        return g

    def wrong(t):
        g = np.zeros_like(t)
        g[index] = t[index] - target
        return g

    return of(table, lambda t: float(0.5 * ((t[index] - target) ** 2).sum()), correct, wrong)


@case("WHERE", "FACTOR_PART")
def ties_get_the_whole_gradient_each(rng):
    x, w = matrix(rng, 4, 3), np.array([1.3, -0.7, 2.1])
    x[2] = x[0] = x.max(0)
    return of(x, lambda x: float(w @ x.max(0)), None, lambda x: w * (x == x.max(0)))


@case("WHERE", "FACTOR_PART", "MISSING", "MUST_BE_ZERO")
def wrong_where_values_are_zero(rng):
    p = np.array([0.0, 1.2, 0.0, -0.7, 2.0, 0.0])
    return of(p, lambda p: float(np.exp(p).sum()), np.exp, lambda p: np.exp(p) * (p != 0))


@case("WHERE", "SIGN", "FACTOR_PART")
def wrong_sign_for_negative_values(rng):
    p = np.array([0.4, -1.2, 0.9, -0.7, 2.0, -0.3])
    return of(p, lambda p: float((p**3).sum()), lambda p: 3 * p**2, lambda p: 3 * p * np.abs(p))


@case("WHERE")
def a_series_used_too_far(rng):
    p = np.array([0.1, -0.2, 0.3, 2.0, -2.5, 3.0, 0.05])

    def wrong(p):
        return np.where(np.abs(p) < 1, np.cos(p), 1 - p**2 / 2)

    return of(p, lambda p: float(np.sin(p).sum()), np.cos, wrong)


@case("FACTOR_PART", "WHERE")
def the_diagonal_counted_twice(rng):
    def wrong(a):
        return np.cos(a) * (1 + np.eye(4))

    return of(matrix(rng, 4, 4), lambda a: float(np.sin(a).sum()), np.cos, wrong)


@case("SINGLE")
def one_element(rng):
    def wrong(p):
        g = np.cos(p)
        g[3] *= 1.5
        return g

    return of(rng.normal(size=8), lambda p: float(np.sin(p).sum()), np.cos, wrong)


@case("CLIPPED")
def clipping_left_on(rng):
    p = np.array([0.1, -3.0, 0.2, 2.5, -0.3, 4.0])
    return of(p, lambda p: float((p**2).sum()), lambda p: 2 * p, lambda p: np.clip(2 * p, -1, 1))


# functions of the point


@case("ABSOLUTE")
def the_absolute_value(rng):
    p = np.array([0.4, -1.2, 0.9, -0.7])
    return of(p, lambda p: float((p**2).sum()), lambda p: 2 * p, lambda p: np.abs(2 * p))


@case("POINT")
def a_power_that_keeps_its_exponent(rng):
    p = rng.uniform(0.5, 2, 5)
    return of(p, lambda p: float((p**3).sum()), lambda p: 3 * p**2, lambda p: 3 * p**3)


@case("POINT")
def in_logarithms_of_the_parameters(rng):
    p = rng.uniform(0.5, 2, 5)
    return of(p, lambda p: float(np.log(p).sum()), lambda p: 1 / p, lambda p: np.ones(5))


@case("PENALTY")
def a_forgotten_penalty(rng):
    return of(
        rng.normal(size=6),
        lambda p: float(np.sin(p).sum() + 0.05 * p @ p),
        lambda p: np.cos(p) + 0.1 * p,
        np.cos,
    )


@case("PENALTY")
def a_forgotten_absolute_penalty(rng):
    return of(
        rng.normal(size=6),
        lambda p: float(np.sin(p).sum() + 0.1 * np.abs(p).sum()),
        lambda p: np.cos(p) + 0.1 * np.sign(p),
        np.cos,
    )


# sums


@case("OFFSET")
def the_mean_treated_as_a_constant(rng):
    w = rng.normal(size=6)
    return of(
        rng.normal(size=6),
        lambda p: float(w @ (p - p.mean()) + np.sin(p).sum()),
        lambda p: w - w.mean() + np.cos(p),
        lambda p: w + np.cos(p),
    )


@case("OFFSET")
def log_softmax_without_its_sum(rng):
    w = matrix(rng, 4, 5)

    def f(z):
        return float((w * (z - z.mean(1, keepdims=True))).sum() + np.sin(z).sum())

    def wrong(z):
        return w + np.cos(z)

    return of(matrix(rng, 4, 5), f, lambda z: wrong(z) - w.mean(1, keepdims=True), wrong)


@case("SUMMED")
def summed_over_the_rows_and_broadcast(rng):
    a = matrix(rng)

    def wrong(a):
        return np.broadcast_to(np.cos(a).sum(0), a.shape).copy()

    return of(a, lambda a: float(np.sin(a).sum()), np.cos, wrong)


@case("CUMULATIVE")
def a_cumulative_sum_in_the_same_direction(rng):
    w = rng.normal(size=6)
    return of(
        rng.normal(size=6),
        lambda p: float(w @ np.cumsum(p)),
        lambda p: np.cumsum(w[::-1])[::-1] + 0 * p,
        lambda p: np.cumsum(w) + 0 * p,
    )


# the gradient does not show the reason: there must be no hint, above all no false one


@case()
def a_node_used_twice(rng):
    p = {"a": rng.normal(size=4), "b": rng.normal(size=4)}

    def slope(p, k):
        d = p["a"] * p["b"]
        t = k * np.sin(d) + d * np.cos(d)
        return {"a": t * p["b"], "b": t * p["a"]}

    return of(
        p,
        lambda p: float(np.sum(p["a"] * p["b"] * np.sin(p["a"] * p["b"]))),
        lambda p: slope(p, 1),
        lambda p: slope(p, 2),
    )


@case()
def the_derivative_of_something_else(rng):
    return of(rng.normal(size=6), lambda p: float(np.tanh(p).sum()), _tanh_slope, np.cos)


def _tanh_slope(p):
    return 1 - np.tanh(p) ** 2
