"""Schedules: PyTorch's curves, their ends, and their use in an optimizer."""

import copy
import json
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad import ConstantSchedule, CosineDecay, ExponentialDecay, OneCycle, StepDecay, WarmUp
from tests.golden.make_optimizers import PATH
from tests.kinds import compare_with_golden, subclasses

GOLDEN = json.loads(PATH.read_text())["schedules"]
LACKING = {"ConstantSchedule": "it is one number"}
SCHEDULES = {
    "step": StepDecay(0.5, 7, factor=0.3),
    "exponential": ExponentialDecay(0.5, 0.9),
    "cosine": CosineDecay(0.5, 20),
    "cosine floor": CosineDecay(0.5, 20, floor=0.1),
    "one cycle": OneCycle(0.5, 40),
    "one cycle options": OneCycle(0.5, 25, rising=0.45, start_divisor=10, end_divisor=50),
    "warm-up": WarmUp(0.5, 8),
    "warm-up cosine": WarmUp(CosineDecay(0.5, 20), 5),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_schedule_equals_pytorchs(name):
    rates = [SCHEDULES[name](steps) for steps in range(len(GOLDEN[name]))]
    np.testing.assert_allclose(rates, GOLDEN[name], rtol=1e-12, atol=1e-15)


def test_every_schedule_has_golden_rates():
    compared = {type(schedule).__name__ for schedule in SCHEDULES.values()}
    compare_with_golden(
        subclasses(mg.Schedule), compared, LACKING, "tests/golden/make_optimizers.py"
    )
    assert SCHEDULES.keys() == GOLDEN.keys(), "run make_optimizers.py"
    assert ConstantSchedule(0.3)(7) == 0.3


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (CosineDecay(0.5, 20, floor=0.1), 0.1),
        (OneCycle(0.5, 40), 0.5 / 25 / 1e4),
        (WarmUp(0.5, 8), 0.5),
        (WarmUp(ExponentialDecay(0.5, 0.5, every=92), 8), 0.25),
    ],
)
def test_a_schedule_stays_at_its_end(schedule, end):
    assert schedule(100) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("rising", [0.01, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("steps", [2, 3, 5, 9, 10, 101])
def test_a_cycle_ends_at_its_final_rate_however_short_the_fall(steps, rising):
    cycle = OneCycle(1.0, steps, rising=rising, start_divisor=10, end_divisor=100)
    assert [cycle(t) for t in (steps - 1, steps, 10 * steps)] == pytest.approx([1e-3] * 3)
    assert max(map(cycle, range(steps))) <= 1
    assert OneCycle(1.0).within(0, 1) == 1


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_gives_floats_and_can_be_copied(schedule):
    for twin in (
        copy.deepcopy(schedule),
        pickle.loads(pickle.dumps(schedule)),
        eval(repr(schedule), vars(mg)),
    ):
        assert [twin(t) for t in range(30)] == [schedule(t) for t in range(30)]
    assert type(schedule(3)) is float


def test_an_optimizer_follows_a_schedule_and_can_be_pickled_with_it():
    schedule = WarmUp(CosineDecay(0.1, 10), 3)
    optimizer, params = mg.SGD(schedule), np.zeros(1)
    for steps in range(5):
        optimizer.step(params, np.ones(1))
        assert optimizer.current_learning_rate == schedule(steps)
    assert params[0] == pytest.approx(-sum(schedule(t) for t in range(5)))
    twin = pickle.loads(pickle.dumps(optimizer))
    twin.step(params, np.ones(1))
    assert twin.current_learning_rate == schedule(5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantSchedule(-1), r"ConstantSchedule: rate expects a number in \[0, inf\)"),
        (lambda: StepDecay(0.1, 0), "every expects a number"),
        (lambda: StepDecay(0.1, 5, factor=0), r"factor expects a number in \(0, inf\)"),
        (lambda: ExponentialDecay(0.1, factor=-1), "factor expects a number"),
        (lambda: CosineDecay("0.1", 5), "rate expects a number"),
        (lambda: CosineDecay(0.1, 0), "steps expects a number"),
        (lambda: CosineDecay(0.1, 5, floor=-1), "floor expects a number"),
        (lambda: OneCycle(0.1, 1), "steps expects a number"),
        (lambda: OneCycle(0.1, 10, rising=1.0), r"rising expects a number in \(0, 1\), got 1.0"),
        (lambda: OneCycle(0.1, 10, start_divisor=0.5), "start_divisor expects a number"),
        (lambda: WarmUp(-0.1, 10), "rate expects a number"),
        (lambda: WarmUp(0.1, 0), "steps expects a number"),
    ],
)
def test_a_bad_option_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# schedules that span a training

X, Y = mg.datasets.moons(50, random_state=0)  # in batches of 16: 4 a step
SPANNING = {
    "cosine": (
        lambda: CosineDecay(0.5, floor=0.1),
        lambda total: CosineDecay(0.5, total, floor=0.1),
    ),
    "one cycle": (lambda: OneCycle(0.5), lambda total: OneCycle(0.5, total)),
    "warm-up": (
        lambda: WarmUp(CosineDecay(0.5), 3),
        lambda total: WarmUp(CosineDecay(0.5, total - 3), 3),
    ),
    "warm-up twice": (
        lambda: WarmUp(WarmUp(OneCycle(0.5), 2), 3),
        lambda total: WarmUp(WarmUp(OneCycle(0.5, total - 5), 2), 3),
    ),
}


class Rates(mg.Callback):
    """Records the rate of each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs):
        self.seen.append(self.optimizer.current_learning_rate)


def classifier(size=None):
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)]
    loss = mg.SigmoidCrossEntropy()
    return mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size)


def fit(model, optimizer, epochs=5, x=X, y=Y, **options):
    return model.fit(x, y, optimizer=optimizer, epochs=epochs, batch_size=16, verbose=0, **options)


@pytest.mark.parametrize("name", SPANNING)
@pytest.mark.parametrize("size", [None, 3])
def test_a_schedule_without_steps_reaches_over_the_training(name, size):
    learns, given = SPANNING[name]
    rates, model, twin = Rates(), classifier(size), classifier(size)
    history = fit(model, mg.SGD(learns()), callbacks=[rates])
    assert rates.seen == [given(20)(steps) for steps in range(20)]
    alike = fit(twin, mg.SGD(given(20)))
    assert dict(alike)["learning_rate"] == dict(history)["learning_rate"]
    np.testing.assert_array_equal(model.params, twin.params)


@pytest.mark.parametrize("name", SPANNING)
def test_each_training_has_its_own_span(name):
    learns, given = SPANNING[name]
    rates, model, optimizer = Rates(), classifier(), mg.Adam(learns())
    for epochs in (5, 3):
        fit(model, optimizer, epochs, callbacks=[rates])
        assert rates.seen == [given(4 * epochs)(steps) for steps in range(4 * epochs)]


@pytest.mark.parametrize("name", SPANNING)
def test_a_span_goes_on_from_a_snapshot(name):
    learns, _ = SPANNING[name]

    class Keep(mg.Callback):
        def on_train_batch_end(self, batch, logs):
            if self.optimizer.steps in (7, 8):  # in the middle of an epoch, and at its end
                taken.append(pickle.loads(pickle.dumps(self.session.snapshot())))

    taken, model = [], classifier()
    fit(model, mg.SGD(learns(), momentum=0.9), callbacks=[Keep()])
    for snapshot in taken[:2]:
        again = classifier()
        fit(again, mg.SGD(learns(), momentum=0.9), resume=snapshot, callbacks=[Keep()])
        np.testing.assert_array_equal(again.params, model.params)


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_train_batch_end"])
@pytest.mark.parametrize("name", SPANNING)
def test_a_span_goes_on_after_a_reset_in_a_callback(name, hook):
    learns, given = SPANNING[name]
    rates, optimizer = Rates(), mg.Adam(learns())

    def reset(*_):
        if optimizer.steps == 8:
            optimizer.reset()
            assert optimizer.steps == 0
            assert not optimizer.state

    resets = mg.Callback()
    setattr(resets, hook, reset)
    fit(classifier(), optimizer, callbacks=[rates, resets])
    assert rates.seen == [given(20)(steps) for steps in range(20)]
    optimizer.reset()
    with pytest.raises(ValueError, match="whose number of steps is not known"):
        optimizer.current_learning_rate  # noqa: B018


@pytest.mark.parametrize("name", SPANNING)
def test_the_rate_at_the_beginning_of_a_training_is_its_first(name):
    learns, given = SPANNING[name]
    begun, optimizer = [], mg.SGD(learns())

    class Begin(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                begun.append(self.optimizer.current_learning_rate)

    model = classifier()
    for epochs in (5, 3):
        fit(model, optimizer, epochs, callbacks=[Begin()])
    assert begun == [given(20)(0), given(12)(0)]


def test_threads_follow_a_span(monkeypatch):
    from mlpgrad.training import minibatch

    alone, threaded = classifier(4), classifier(4)
    fit(alone, mg.SGD(OneCycle(0.5)))
    monkeypatch.setattr(minibatch, "shares", lambda *_: [slice(0, 2), slice(2, 4)])
    fit(threaded, mg.SGD(OneCycle(0.5)))
    np.testing.assert_array_equal(alone.params, threaded.params)


def test_a_stream_with_a_length_has_a_span():
    batches = [(X[rows], Y[rows]) for rows in np.split(np.arange(48), 3)]
    rates = Rates()
    fit(classifier(), mg.SGD(CosineDecay(0.5)), x=batches, y=None, callbacks=[rates])
    assert rates.seen == [CosineDecay(0.5, 15)(steps) for steps in range(15)]


def test_a_stream_without_a_length_is_told_what_to_do():
    class Reader:
        def __iter__(self):
            yield X, Y

    model = classifier()
    with pytest.raises(ValueError, match=r"CosineDecay\(0.5\) spans the whole training.*steps="):
        fit(model, mg.SGD(CosineDecay(0.5)), x=Reader(), y=None)
    fit(model, mg.SGD(CosineDecay(0.5, steps=5)), x=Reader(), y=None)


@pytest.mark.parametrize("name", SPANNING)
def test_outside_of_a_training_a_span_is_unknown(name):
    schedule = SPANNING[name][0]()
    message = "spans a whole training, whose number of steps is not known"
    with pytest.raises(ValueError, match=message):
        schedule(0)
    with pytest.raises(ValueError, match=message):
        mg.SGD(schedule).step(np.zeros(2), np.ones(2))


def test_options_of_a_span_act_at_once():
    schedule, rates = CosineDecay(0.5), Rates()

    class Lower(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                schedule.rate = 0.1

    fit(classifier(), mg.SGD(schedule), callbacks=[Lower(), rates])
    expected = [CosineDecay(0.5 if t < 8 else 0.1, 20)(t) for t in range(20)]
    assert rates.seen == expected


def test_a_short_training_has_a_cycle_too():
    for epochs in (1, 2):
        rates = Rates()
        fit(classifier(), mg.SGD(OneCycle(0.5)), epochs, x=X[:16], y=Y[:16], callbacks=[rates])
        assert all(np.isfinite(rates.seen))


def test_growing_by_a_whole_number_ends_in_an_error_at_once():
    message = "has grown by .* which no float holds"
    for schedule in (StepDecay(0.1, 3, factor=10**30), ExponentialDecay(0.1, np.int64(3))):
        with pytest.raises(ValueError, match=message):
            schedule(1_000_000)
