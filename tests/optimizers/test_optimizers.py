"""Optimizers: PyTorch's trajectories, ensembles, options, state and errors."""

import copy
import inspect
import json
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlpgrad as mg
from mlpgrad._core.synonyms import CLASSES, SYNONYMS, TOGETHER
from mlpgrad.optimizers import Adam, Adamax, AdamW, AMSGrad, NAdam, Optimizer, RAdam, vectors
from mlpgrad.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from mlpgrad.optimizers.sgd import SGD
from mlpgrad.optimizers.sign import Lion, Rprop
from tests.golden.make_optimizers import PATH, START, STEPS, TRAJECTORIES, gradient
from tests.kinds import EVERY_CLASS, compare_with_golden, every
from tests.kinds import OPTIMIZERS as RULES

GOLDEN = json.loads(PATH.read_text())["trajectories"]
LACKING = {"Lion": "PyTorch has no Lion; it is compared with its paper below"}
every_rule = every(RULES)

# by the names in golden/make_optimizers.py
OPTIMIZERS = {
    "sgd": lambda: SGD(0.05),
    "sgd momentum": lambda: SGD(0.02, momentum=0.9),
    "sgd nesterov": lambda: SGD(0.02, momentum=0.8, nesterov=True),
    "sgd coupled decay": lambda: SGD(0.05, momentum=0.5),
    "rmsprop": lambda: RMSprop(),
    "rmsprop centered": lambda: RMSprop(decay=0.9, centered=True),
    "rmsprop momentum": lambda: RMSprop(0.005, momentum=0.7, epsilon=1e-3),
    "rmsprop everything": lambda: RMSprop(0.005, decay=0.95, momentum=0.5, centered=True),
    "adagrad": lambda: Adagrad(0.1),
    "adagrad coupled decay": lambda: Adagrad(0.2, epsilon=1e-4),
    "adadelta": lambda: Adadelta(),
    "adadelta rate": lambda: Adadelta(0.5, decay=0.8, epsilon=1e-3),
    "adam": lambda: Adam(0.02),
    "adam options": lambda: Adam(0.05, beta1=0.7, beta2=0.95, epsilon=1e-3),
    "adam coupled decay": lambda: Adam(0.02),
    "amsgrad": lambda: AMSGrad(0.02, beta2=0.9),
    "adamw": lambda: AdamW(0.02),
    "adamw options": lambda: AdamW(0.05, beta1=0.8, beta2=0.99, weight_decay=0.3),
    "nadam": lambda: NAdam(0.02),
    "nadam options": lambda: NAdam(0.02, beta1=0.8, beta2=0.95, momentum_decay=0.1),
    "nadam decoupled decay": lambda: NAdam(0.02, weight_decay=0.1),
    "adamax": lambda: Adamax(0.02),
    "adamax coupled decay": lambda: Adamax(0.02, beta1=0.8, beta2=0.9),
    "radam": lambda: RAdam(0.05),
    "radam options": lambda: RAdam(0.05, beta1=0.8, beta2=0.9, epsilon=1e-4),
    "radam decoupled decay": lambda: RAdam(0.05, weight_decay=0.1),
    "rprop": lambda: Rprop(0.01),
    "rprop proben1": lambda: Rprop(0.1, eta_plus=1.1, min_step=1e-4, max_step=0.3),
}
# the rules for many networks or in blocks, with every common option that needs no model
VARIANTS = {
    **{name: make for name, make in OPTIMIZERS.items() if name in TRAJECTORIES},
    "lion": lambda: Lion(0.02),
    "weight decay": lambda: SGD(0.05, weight_decay=0.2),
    "clip norm": lambda: SGD(0.05, momentum=0.5, clip_norm=0.8),
    "clip value": lambda: Adam(0.05, clip_value=0.3, clip_norm=0.5),
    "schedule": lambda: Adam(lambda steps: 0.1 / (1 + steps)),
}
every_variant = pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)


def run(optimizer, params, steps, first=0, of=gradient):
    """Make steps on `params` in place, with the same two arrays each time, as training does."""
    grads = np.empty_like(params)
    for step in range(first, first + steps):
        grads[...] = of(params, step)
        optimizer.step(params, grads)
    return params


# trajectories


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_a_trajectory_equals_pytorchs(name):
    options = TRAJECTORIES[name][1]
    coupled = 0.0 if "decoupled" in name or "adamw" in name else options.get("weight_decay", 0.0)
    optimizer, params, done = OPTIMIZERS[name](), START.copy(), 0
    for steps, expected in zip(STEPS, GOLDEN[name], strict=True):
        run(optimizer, params, steps - done, done, lambda p, t: gradient(p, t) + coupled * p)
        done = steps
        np.testing.assert_allclose(params, expected, rtol=0, atol=1e-10)


def test_every_rule_has_a_golden_trajectory():
    compared = {type(OPTIMIZERS[name]()).__name__ for name in TRAJECTORIES}
    compare_with_golden(RULES, compared, LACKING, "tests/golden/make_optimizers.py")
    assert OPTIMIZERS.keys() == TRAJECTORIES.keys() == GOLDEN.keys(), "run make_optimizers.py"


def test_lion_follows_its_paper():
    rate, b1, b2, decay = 0.02, 0.8, 0.95, 0.1
    params = run(Lion(rate, beta1=b1, beta2=b2, weight_decay=decay), START.copy(), 100)
    p, m = list(START), [0.0] * len(START)
    for step in range(100):
        g = gradient(np.array(p), step)
        for i in range(len(p)):
            c = b1 * m[i] + (1 - b1) * g[i]
            p[i] -= rate * (np.sign(c) + decay * p[i])
            m[i] = b2 * m[i] + (1 - b2) * g[i]
    np.testing.assert_allclose(params, p, rtol=0, atol=1e-12)


def test_centered_rmsprop_survives_a_constant_gradient():
    # there the variance v - a^2 is a rounding error, which may be negative
    params = run(RMSprop(centered=True), np.ones(3), 5000, of=lambda p, t: np.full(3, 0.1))
    assert np.isfinite(params).all()


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("momentum_decay", [0.0, 1e-9, 4e-3, 1.0, 1e4])
def test_nadams_product_after_a_jump_is_that_of_every_step(beta1, momentum_decay):
    one_by_one = NAdam(beta1=beta1, momentum_decay=momentum_decay)
    for t in range(1, 3001):
        expected = one_by_one.mu_product(t)
        if t in (1, 2, 999, 1000, 1001, 1002, 3000):
            found = NAdam(beta1=beta1, momentum_decay=momentum_decay).mu_product(t)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_nadams_product_may_go_back_and_ahead():
    optimizer = NAdam()
    expected = [math.prod(map(optimizer.mu, range(1, t + 1))) for t in (3, 1, 7, 5000, 2)]
    assert [optimizer.mu_product(t) for t in (3, 1, 7)] == expected[:3]
    assert optimizer.mu_product(5000) == pytest.approx(expected[3], rel=1e-12)
    assert optimizer.mu_product(2) == expected[4]


@pytest.mark.parametrize("beta1", [0.9, 1 - 1e-9])
def test_a_step_of_nadam_after_ten_million_asks_for_few_momenta(beta1):
    asked = []

    class Counted(NAdam):
        def mu(self, t):
            asked.append(t)
            return super().mu(t)

    optimizer, params, grads = Counted(beta1=beta1), np.zeros(2), np.ones(2)
    optimizer.step(params, grads)
    optimizer.steps = 10**7  # as a restored state sets it
    asked.clear()
    for _ in range(3):
        optimizer.step(params, grads)
    assert len(asked) <= 10
    assert np.isfinite(params).all()


def test_a_rule_of_ones_own_is_one_method():
    class Descent(Optimizer):
        """p <- p - rate g"""

        def update(self, p, g, rate):
            p -= rate * g

    optimizer, params = Descent(0.5, weight_decay=0.1), np.ones(3)
    optimizer.step(params, np.array([3.0, 0.0, -1.0]))
    np.testing.assert_allclose(params, [-0.55, 0.95, 1.45], rtol=1e-15)
    assert repr(optimizer) == "Descent(0.5, weight_decay=0.1)"


@pytest.mark.parametrize(("rates", "rate_shape"), [(0.1, ()), ([0.1, 0.2], (2, 1))])
def test_update_takes_scalars_then_states_then_scratch(rates, rate_shape):
    class Named(Optimizer):
        """A rule that records its arguments."""

        states = ("v", "u")
        scratch = 2

        def scalars(self, rate, t):
            return rate, t

        def make_state(self, params):
            return {"v": np.full_like(params, 3), "u": np.full_like(params, 4)}

        def update(self, p, g, rate, t, v, u, s, r):
            taken.append((p, g, rate, t, v, u, s, r))

    taken = []
    params, grads = np.full((2, 5), 1.0, np.float32), np.full((2, 5), 2.0, np.float32)
    Named(rates).step(params, grads)
    ((p, g, rate, t, v, u, s, r),) = taken
    assert [(a == i).all() for i, a in ((1, p), (2, g), (1, t), (3, v), (4, u))] == [True] * 5
    np.testing.assert_array_equal(rate.ravel(), np.ravel(rates).astype(np.float32))
    assert rate.shape == rate_shape
    assert t.shape == ()
    assert {a.shape for a in (p, g, v, u, s, r)} == {(2, 5) if rate_shape else (10,)}
    assert {a.dtype for a in (p, g, rate, t, v, u, s, r)} == {np.dtype(np.float32)}
    assert not np.shares_memory(s, r)


def test_a_rule_of_ones_own_takes_scratch_arrays_that_it_asks_for():
    class SignDescent(Optimizer):
        """p <- p - rate sign(g)"""

        scratch = 1

        def update(self, p, g, rate, s):
            np.sign(g, s)
            np.multiply(s, rate, s)
            np.subtract(p, s, p)

    optimizer, params = SignDescent.example(), np.zeros(3)
    optimizer.step(params, np.array([3.0, 0.0, -1e-9]))
    np.testing.assert_array_equal(params, [-0.01, 0.0, 0.01])
    assert repr(optimizer) == "SignDescent(0.01)"


# ensembles, blocks, dtypes


@every_variant
def test_an_ensemble_equals_a_loop_over_its_members(make):
    start = START * np.array([[1.0], [0.3], [-2.0]])
    together = run(make(), start.copy(), 50)
    apart = [run(make(), member.copy(), 50) for member in start]
    np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-12)


@every_rule
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "clip_norm": 0.5}])
def test_each_member_may_have_its_own_rate(cls, options):
    rates = [0.001, 0.01, 0.03]
    start = np.tile(START, (3, 1))
    together = run(cls(np.array(rates), **options), start.copy(), 50)
    apart = [run(cls(r, **options), START.copy(), 50) for r in rates]
    np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@every_rule
@settings(deadline=None, max_examples=40)  # time depends on the machine
@given(members=st.integers(1, 5), size=st.integers(1, 40), block=st.integers(1, 50))
def test_blocks_change_nothing(cls, members, size, block):
    start = np.random.default_rng(size).normal(size=(members, size))
    for optimizer in (cls.example(), cls(np.linspace(0.01, 0.02, members))):
        whole = run(copy.deepcopy(optimizer), start.copy(), 4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vectors, "BLOCK", block)
            np.testing.assert_array_equal(run(optimizer, start.copy(), 4), whole)


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
@pytest.mark.parametrize("rates", [0.01, [0.01, 0.02]], ids=["one rate", "two rates"])
def test_the_dtype_stays_and_agrees_with_float64(cls, dtype, rates):
    start = np.stack([START, START[::-1]])
    optimizer = cls(rates, weight_decay=0.1, clip_norm=1.0)
    params = run(optimizer, start.astype(dtype), 20)
    assert params.dtype == dtype
    assert {state.dtype for state in optimizer.state.values()} <= {np.dtype(dtype)}
    exact = run(cls(rates, weight_decay=0.1, clip_norm=1.0), start.copy(), 20)
    np.testing.assert_allclose(params, exact, atol=1e-4 if dtype == np.float32 else 1e-12)


@every_rule
def test_memory_does_not_grow_after_the_second_step(cls):
    optimizer = cls(0.01, weight_decay=0.1)
    params, grads = np.ones(50_000), np.full(50_000, 0.1)
    optimizer.step(params, grads)
    optimizer.step(params, grads)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            optimizer.step(params, grads)
        assert tracemalloc.get_traced_memory()[0] - before < 2000
        assert tracemalloc.get_traced_memory()[1] - before < 10_000  # scratch is reused, too
    finally:
        tracemalloc.stop()


# rates


def test_a_schedule_is_asked_with_the_steps_made_before():
    asked = []
    optimizer = SGD(lambda steps: asked.append(steps) or 0.1 * steps)
    params, grads = np.zeros(2), np.ones(2)
    optimizer.step(params, grads)
    assert (params == 0).all()
    asked.clear()
    optimizer.step(params, grads)
    assert asked == [1]
    np.testing.assert_allclose(params, -0.1)
    assert optimizer.current_learning_rate == 0.1


def test_the_rate_can_be_scaled_and_assigned_during_training():
    optimizer, params, grads = SGD(0.5), np.zeros((2, 3)), np.ones((2, 3))
    optimizer.step(params, grads)
    optimizer.learning_rate_scale = 0.5
    optimizer.step(params, grads)
    assert optimizer.current_learning_rate == 0.25
    np.testing.assert_array_equal(params, np.full((2, 3), -0.75))
    optimizer.learning_rate = [1.0, 2.0]
    optimizer.step(params, grads)
    np.testing.assert_array_equal(params[:, 0], [-1.25, -1.75])
    np.testing.assert_array_equal(optimizer.current_learning_rate, [0.5, 1.0])
    optimizer.learning_rate = lambda steps: np.array([0.0, float(steps)])
    optimizer.step(params, grads)
    np.testing.assert_array_equal(params[:, 0], [-1.25, -3.25])
    assert optimizer.steps == 4


def test_a_schedule_of_numpy_numbers_keeps_float32():
    params = np.ones(3, np.float32)
    SGD(lambda steps: np.float64(0.1), weight_decay=0.1).step(params, np.ones(3, np.float32))
    assert params.dtype == np.float32
    np.testing.assert_allclose(params, 0.99 - 0.1, rtol=1e-6)


# clipping, decay, max-norm


@settings(deadline=None)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_clip_norm_bounds_the_norm_and_keeps_the_direction(values, bound):
    grads = np.array(values, np.float32)
    params = np.zeros_like(grads)
    SGD(1.0, clip_norm=bound).step(params, grads)
    norm = np.linalg.norm(grads.astype(float))
    expected = -grads.astype(float) * min(1.0, bound / max(norm, 1e-300))
    np.testing.assert_allclose(params, expected, rtol=1e-5, atol=1e-6 * bound)
    assert (grads == np.array(values, np.float32)).all()
    if norm < 0.999 * bound:
        np.testing.assert_array_equal(params, -grads)


def test_clip_value_comes_before_clip_norm_and_leaves_grads():
    params, grads = np.zeros(2), np.array([30.0, -4.0])
    SGD(1.0, clip_value=4.0).step(params, grads)
    np.testing.assert_array_equal(params, [-4.0, 4.0])
    params[:] = 0
    SGD(1.0, clip_value=4.0, clip_norm=1.0).step(params, grads)
    np.testing.assert_allclose(params, [-(0.5**0.5), 0.5**0.5])
    np.testing.assert_array_equal(grads, [30.0, -4.0])


def network(size=None):
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)]
    model = mg.Sequential(
        layers, loss=mg.HalfSquaredError(), dtype=float, random_state=0, ensemble_size=size
    )
    model.params = np.random.default_rng(1).normal(size=model.params.shape)
    return model


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize(
    ("kinds", "kept"), [(("weights",), (0.95, 1.0)), (("weights", "bias"), (0.95, 0.95))]
)
def test_weight_decay_acts_on_the_named_kinds_of_an_attached_model(size, kinds, kept):
    model = network(size)
    before = model.get_weights()
    optimizer = SGD(0.1, weight_decay=0.5, decay_kinds=kinds)
    optimizer.attach(model)
    optimizer.step(model.params, np.zeros_like(model.params))
    for name, values in model.get_weights().items():
        factor = kept[0] if "weights" in name else kept[1]
        np.testing.assert_allclose(values, factor * before[name], rtol=1e-15)


def test_weight_decay_acts_on_everything_without_a_model():
    params = np.array([1.0, -2.0])
    SGD(0.1, weight_decay=0.5).step(params, np.zeros(2))
    np.testing.assert_allclose(params, [0.95, -1.9])


@pytest.mark.parametrize("size", [None, 3])
def test_max_norm_bounds_each_units_incoming_weights(size):
    model = network(size)
    before = model.get_weights()
    optimizer = SGD(0.1, max_norm=1.5)
    optimizer.attach(model)
    optimizer.step(model.params, np.zeros_like(model.params))
    shrunk = 0
    for name, values in model.get_weights().items():
        norms = np.linalg.norm(before[name], axis=-2, keepdims=True) if "weights" in name else 0.0
        np.testing.assert_allclose(values, before[name] * np.minimum(1, 1.5 / (norms + 1e-300)))
        shrunk += np.sum(norms > 1.5)
    assert shrunk > 0


# models and state


def test_a_used_optimizer_goes_on_with_its_model_and_refuses_another():
    model = network()
    optimizer = Adam(0.01)
    for _ in range(2):
        optimizer.attach(model)
        optimizer.step(model.params, np.ones_like(model.params))
    assert optimizer.steps == 2
    with pytest.raises(ValueError, match=r"made 2 steps with, got another; .* reset\(\)"):
        optimizer.attach(network())
    twin, taken = copy.deepcopy(optimizer), model.copy()
    twin.attach(taken)
    assert twin.steps == 2
    with pytest.raises(ValueError, match="expects the model that it made 2 steps"):
        twin.attach(mg.Sequential([mg.Dense(1, 1)], loss=mg.HalfSquaredError()))
    optimizer.reset()
    optimizer.attach(network())
    assert optimizer.steps == 0


@every_rule
def test_reset_makes_it_new_again(cls):
    optimizer = cls.example()
    first = run(optimizer, START.copy(), 7)
    optimizer.reset()
    assert optimizer.state == {}
    np.testing.assert_array_equal(run(optimizer, START.copy(), 7), first)


@every_rule
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_made_during_training_goes_on_alike(cls, twin):
    optimizer = cls([0.01, 0.02], clip_norm=1.0, weight_decay=0.1)
    params = run(optimizer, np.stack([START, -START]), 7)
    copied, theirs = twin(optimizer), params.copy()
    run(optimizer, params, 7, 7)
    assert not np.array_equal(params, theirs)
    np.testing.assert_array_equal(run(copied, theirs, 7, 7), params)


@every_rule
def test_new_arrays_at_each_step_change_nothing(cls):
    params, optimizer = START.copy(), cls.example()
    for step in range(9):
        params = params.copy()
        optimizer.step(params, gradient(params, step))
    np.testing.assert_array_equal(params, run(cls.example(), START.copy(), 9))


@every_rule
def test_the_repr_can_be_pasted_back(cls):
    optimizer = cls.example()
    again = eval(repr(optimizer), {cls.__name__: cls})
    assert again.config() == optimizer.config()
    assert optimizer.config() != cls(0.5).config()


def test_nothing_to_step_is_no_error():
    optimizer, empty = Adam(clip_norm=1.0), np.empty(0)
    optimizer.step(empty, empty.copy())
    assert optimizer.steps == 1


# bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), r"learning_rate expects finite numbers >= 0, got -0.1"),
        (lambda: SGD(float("nan")), "finite numbers"),
        (lambda: SGD(0.1, momentum=1.0), r"SGD: momentum expects a number in \[0, 1\), got 1.0"),
        (lambda: SGD(0.1, momentum="0.9"), r"momentum expects a number in \[0, 1\), got '0.9'"),
        (lambda: Adam(weight_decay="0.1"), r"Adam: weight_decay .* got '0.1'; write 0.1 without"),
        (lambda: Adam(epsilon="small"), r"epsilon expects a number in \[0, inf\), got 'small'$"),
        (lambda: Adam(clip_norm=True), r"clip_norm expects a number in \(0, inf\), got True"),
        (lambda: Adam(beta1=(0.9, 0.999)), r"beta1 expects a number .*, got \(0.9, 0.999\)"),
        (lambda: Adam(beta2=None), "beta2 expects a number .*, got None"),
        (lambda: SGD(0.1, nesterov=True), "nesterov expects a momentum > 0"),
        (lambda: SGD(0.1, weight_decay=-1), r"weight_decay expects a number in \[0, inf\), got -1"),
        (lambda: SGD(0.1, clip_norm=0), r"clip_norm expects a number in \(0, inf\), got 0"),
        (lambda: SGD(0.1, clip_value=-1), "clip_value expects a number"),
        (lambda: SGD(0.1, max_norm=float("inf")), "max_norm expects a number"),
        (lambda: Adam(beta1=1.5), "Adam: beta1 expects a number"),
        (lambda: AdamW(beta2=-0.1), "AdamW: beta2 expects a number"),
        (lambda: Adam(epsilon=-1e-8), "epsilon expects a number"),
        (lambda: NAdam(momentum_decay=-1), "momentum_decay expects a number"),
        (lambda: RMSprop(decay=1), "decay expects a number"),
        (lambda: Lion(beta2=2), "beta2 expects a number"),
        (lambda: Rprop(eta_plus=0.9), "eta_plus expects a number"),
        (lambda: Rprop(eta_minus=1.1), "eta_minus expects a number"),
        (lambda: Rprop(min_step=1.0, max_step=0.5), "max_step expects a number"),
    ],
)
def test_an_option_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam("fast"), "learning_rate expects a number, a schedule"),
        (lambda: Adam([[0.1]]), "learning_rate expects a number, a schedule"),
        (lambda: Adam(weight_decays=0.1), "AdamW? has no option.*did you mean 'weight_decay'"),
        (lambda: AdamW(beta_1=0.1), "did you mean 'beta1'"),
        (lambda: Adam(lr=0.1), "Adam has no option 'lr'; write learning_rate=...$"),
        (lambda: Adam(betas=(0.9, 0.999)), "no option 'betas'; write beta1=..., beta2=...$"),
        (lambda: Adam(eps=1e-8), "no option 'eps'; write epsilon=...$"),
        (lambda: Adam(clipnorm=1.0), "no option 'clipnorm'; write clip_norm=...$"),
        (lambda: Adam(amsgrad=True), r"no option 'amsgrad'; use AMSGrad\(...\)$"),
        (lambda: RMSprop(alpha=0.9), "no option 'alpha'; write decay=...$"),
        (lambda: Adadelta(rho=0.9), "no option 'rho'; write decay=...$"),
        (lambda: Rprop(etas=(0.5, 1.2)), "no option 'etas'; write eta_minus=..., eta_plus=...$"),
        (lambda: mg.L2(alpha=1e-4), "L2 has no option 'alpha'; write strength=...$"),
        (lambda: mg.StepDecay(0.1, gamma=0.5), "no option 'gamma'; write factor=...$"),
        (lambda: mg.CosineDecay(0.1, T_max=5), "no option 'T_max'; write steps=...$"),
        (lambda: Adam("0.1"), "learning_rate expects .*, got '0.1'; write 0.1 without quotes$"),
        (lambda: SGD(0.1, momentum=0.9, nesterov="no"), "nesterov expects True or False, got 'no'"),
        (lambda: RMSprop(centered=1), "RMSprop: centered expects True or False, got 1"),
        (lambda: SGD(0.1, decay_kinds=None), r"such as \('weights',\), got None"),
        (lambda: SGD(0.1, decay_kinds=[1]), r"decay_kinds expects a tuple of names .* got \[1\]"),
        (lambda: SGD(0.1, decay_kinds="weights"), "decay_kinds expects a tuple of names"),
        (lambda: Rprop(lambda steps: 0.1), "Rprop adapts its own steps"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_synonyms_stand_for_options_that_exist():
    known = set()
    for cls in (*EVERY_CLASS, mg.Sequential, mg.Sequential.fit):
        known |= inspect.signature(cls).parameters.keys()
    wanted = {option for options in SYNONYMS.values() for option in options}
    assert wanted <= known, f"no class has these: {wanted - known}"
    assert SYNONYMS.keys() >= TOGETHER
    assert set(CLASSES.values()) <= {cls.__name__ for cls in EVERY_CLASS}


@pytest.mark.parametrize(
    ("params", "grads", "error", "message"),
    [
        ([1.0], np.ones(1), TypeError, "params as a floating array, got list"),
        (np.ones(3, int), np.ones(3), TypeError, "params as a floating array, got int64"),
        (np.ones(3), np.ones(3, complex), TypeError, "grads as a floating array, got complex128"),
        (np.ones(3), np.ones(4), ValueError, "params and grads alike"),
        (np.ones(3), np.ones(3, np.float32), ValueError, "params and grads alike"),
        (np.ones((1, 2, 3)), np.ones((1, 2, 3)), ValueError, r"of shape \(P,\) or \(E, P\)"),
        (np.ones(6)[::2], np.ones(3), ValueError, "numpy.ascontiguousarray"),
    ],
)
def test_arrays_that_cannot_be_stepped_are_refused(params, grads, error, message):
    with pytest.raises(error, match=message):
        SGD(0.1).step(params, grads)


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_rates_must_be_as_many_as_networks(shape):
    with pytest.raises(ValueError, match=r"one for each network; got 4 for"):
        SGD([0.1] * 4).step(np.ones(shape), np.ones(shape))


def test_state_of_another_shape_is_refused():
    optimizer = Adam()
    optimizer.step(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"holds m_sum of shape \(3,\) .* call reset\(\)"):
        optimizer.step(np.ones(4), np.ones(4))
    with pytest.raises(ValueError, match="float32; call reset"):
        optimizer.step(np.ones(3, np.float32), np.ones(3, np.float32))
    optimizer.reset()
    optimizer.step(np.ones(4), np.ones(4))
    assert optimizer.state["m_sum"].shape == (4,)


def test_max_norm_needs_a_model():
    with pytest.raises(ValueError, match=r"call attach\(model\)"):
        SGD(0.1, max_norm=1.0).step(np.ones(3), np.ones(3))


def test_rprop_refuses_a_learning_rate_that_would_have_no_effect():
    optimizer, params = Rprop(0.1), np.ones(3)
    optimizer.learning_rate = 0.2
    optimizer.learning_rate_scale = 0.5
    optimizer.step(params, np.ones(3))
    np.testing.assert_allclose(params, 0.9)
    optimizer.learning_rate = 0.2  # as it is
    for name in ("learning_rate", "learning_rate_scale"):
        with pytest.raises(ValueError, match=f"{name} = 0.01 has no effect now; call reset"):
            setattr(optimizer, name, 0.01)
    twin = Rprop(0.3)
    twin.step(np.ones(3), np.ones(3))
    twin.restore(optimizer.snapshot())
    assert twin.learning_rate == 0.2
    optimizer.reset()
    optimizer.learning_rate, optimizer.learning_rate_scale = 0.01, 1.0
    optimizer.step(params, np.ones(3))
    np.testing.assert_allclose(params, 0.89)
