"""Levenberg-Marquardt in `fit`: history, callbacks, resumed training, and errors."""

import pickle

import numpy as np
import pytest

import mlpgrad as mg
from tests.training.second_order.test_levenberg_marquardt import X, Y, fit, network


def test_the_history_says_what_the_evidence_has_found():
    history, method = fit(network(2), 5)
    assert set(history) == {"loss", "mu", "effective_parameters", "noise", "log_evidence"}
    assert history["effective_parameters"][-1].shape == (2,)
    np.testing.assert_allclose(history["noise"][-1], method.state.beta**-0.5)
    history, _ = fit(network(), 1)  # estimates nothing, without a warning
    assert history["effective_parameters"] == [21]
    assert np.isnan(history["log_evidence"]).all()
    history, _ = fit(network(), 5, regularisation=None)
    assert set(history) == {"loss", "mu"}
    assert isinstance(history["mu"][-1], float)


def test_the_loss_of_the_history_is_that_of_the_weights():
    model = network()
    history, _ = fit(model, 7)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(history["loss"][-1], rel=1e-12)


def test_validation_metrics_and_early_stopping_serve_it():
    model, stopping = network(), mg.EarlyStopping(5)
    options = {"validation_split": 0.3, "metrics": [mg.R2()], "callbacks": [stopping]}
    history, _ = fit(model, 300, regularisation=None, fit_options=options)
    assert {"loss", "r2", "val_loss", "val_r2", "mu"} == set(history)
    assert history.epochs == stopping.best_epoch + 1 + 5
    assert stopping.best == min(history["val_loss"])


def test_ctrl_c_ends_it_and_keeps_the_weights(press_ctrl_c):
    class Interrupt(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                press_ctrl_c()

    model = network()
    history, _ = fit(model, 50, fit_options={"callbacks": [Interrupt()]})
    assert history.interrupted
    assert history.epochs == 3
    assert model.evaluate(X, Y)["loss"] == pytest.approx(history["loss"][-1], rel=1e-12)


def test_ctrl_c_in_the_middle_of_an_iteration_keeps_the_weights_before(press_ctrl_c, monkeypatch):
    from mlpgrad.derivatives.objective import Objective

    model, whole, calls = network(), Objective.normal_equations, []

    def interrupted(self, params):
        calls.append(1)
        if len(calls) == 3:
            press_ctrl_c()
        return whole(self, params)

    monkeypatch.setattr(Objective, "normal_equations", interrupted)
    history, _ = fit(model, 50)
    assert history.interrupted
    assert history.epochs == 2
    assert model.evaluate(X, Y)["loss"] == pytest.approx(history["loss"][-1], rel=1e-12)


class Keep(mg.Callback):
    """Takes a snapshot after some epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            self.taken = self.session.snapshot()


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_resumed_training_goes_on_to_the_last_bit(size, dtype):
    whole, keep = network(size, dtype=dtype), Keep(3)
    expected, _ = fit(whole, 9, fit_options={"callbacks": [keep]})
    later = network(size, dtype=dtype)
    history, _ = fit(later, 9, fit_options={"resume": keep.taken, "callbacks": [Keep(99)]})
    np.testing.assert_array_equal(later.params, whole.params)
    np.testing.assert_array_equal(history["mu"], expected["mu"])
    np.testing.assert_array_equal(history["log_evidence"], expected["log_evidence"])


def test_a_state_of_another_network_is_refused():
    _, method = fit(dense(), 2)
    other = mg.LevenbergMarquardt()
    other.restore(method.snapshot())
    with pytest.raises(ValueError, match=r"earlier training, \(1, 21\), got \(2, 21\); continue"):
        dense(ensemble_size=2).fit(X, Y, optimizer=other, epochs=2, verbose=0)


def test_a_second_fit_begins_anew_from_the_weights():
    model, other = network(), network()
    _, method = fit(model, 5)
    other.params = model.params
    model.fit(X, Y, optimizer=method, epochs=3, verbose=0)
    fit(other, 3)
    np.testing.assert_array_equal(model.params, other.params)


def test_a_method_keeps_no_data_also_where_training_has_failed():
    class Fail(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            raise RuntimeError("no more")

    _, method = fit(network(), 2)
    assert len(pickle.dumps(method)) < 4000
    with pytest.raises(RuntimeError, match="no more"):
        network().fit(X, Y, optimizer=method, verbose=0, callbacks=[Fail()])
    assert len(pickle.dumps(method)) < 4000


def test_weights_that_a_callback_sets_are_taken_over():
    start = network().params.copy()

    class Back(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.params = start

    model, once = network(), network()
    fit(model, 3, regularisation=None, fit_options={"callbacks": [Back()]})
    fit(once, 1, regularisation=None)
    np.testing.assert_array_equal(model.params, start)
    assert not np.array_equal(once.params, start)


def test_other_threads_read_whole_weights_meanwhile():
    model, seen = network(), []

    class Read(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append((self.model.predict(X).copy(), logs["loss"]))

    fit(model, 4, fit_options={"callbacks": [Read()]})
    for prediction, loss in seen:
        assert 0.5 * np.square(prediction - Y).mean() == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularisation": "bayesian"}, r"expects one of \('bayes', None\).*'bayes"),
        ({"groups": "layer"}, r"groups expects one of .* got 'layer'"),
        ({"mu": 0.0}, "mu expects"),
        ({"decrease": 1.0}, "decrease expects"),
        ({"increase": 1.0}, "increase expects"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mg.LevenbergMarquardt(**options)


@pytest.mark.parametrize("method", [mg.LevenbergMarquardt, mg.LBFGS, mg.TrustNewton])
def test_clipping_and_rates_are_refused_with_the_reason(method):
    with pytest.raises(TypeError, match=r"'clip_norm'; write .* a clipped gradient is not that of"):
        method(clip_norm=1.0)
    with pytest.raises(TypeError, match=r"'learning_rate'; write .* finds the length of its steps"):
        method(learning_rate=0.1)


def test_it_has_no_steps_to_compile():
    with pytest.raises(ValueError, match="got LevenbergMarquardt, which has none; leave compiled"):
        network().fit(X, Y, optimizer=mg.LevenbergMarquardt(), verbose=0, compiled=True)


def test_targets_that_are_all_equal_are_met_exactly():
    model = network(dtype="float32")
    model.fit(X, np.ones_like(Y), optimizer=mg.LevenbergMarquardt(), epochs=40, verbose=0)
    np.testing.assert_allclose(model.predict(X, std=True).mean, 1, atol=1e-3)


class Cubic(mg.Penalty):
    """A user's penalty that does not define its curvature."""

    def value(self, params):
        return self.strength * (np.abs(params) ** 3).sum(axis=-1)

    def slope(self, params, out):
        out[...] = 3 * self.strength * params * np.abs(params)


def dense(*middle, loss=None, **options):
    layers = [mg.Dense(3, 4), *middle, mg.Dense(4, 1)]
    return mg.Sequential(layers, loss=loss or mg.MeanSquaredError(), random_state=0, **options)


REFUSED = {
    "penalty": (dense(penalties=[Cubic(0.1)]), TypeError, "got Cubic.*use L2, or train with"),
    "dropout": (dense(mg.Dropout(0.1)), ValueError, "layer 1 Dropout.* random; leave the layer"),
    "batch norm": (dense(mg.BatchNorm(4)), ValueError, r"BatchNorm\(4\).*together.*LayerNorm"),
    "L1": (dense(penalties=[mg.L1(0.1)]), ValueError, r"got L1\(0.1\), which has a kink.*use L2"),
    "L2 beside bayes": (dense(penalties=[mg.L2(0.1)]), ValueError, "the weight decay itself.*None"),
    "loss": (dense(loss=mg.Huber()), TypeError, r"known curvature \(Half.*got Huber\(\); use one"),
}


@pytest.mark.parametrize(("model", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_train_is_refused_with_the_reason(model, error, message):
    before = model.params.copy()
    with pytest.raises(error, match=message):
        fit(model)
    np.testing.assert_array_equal(model.params, before)


def test_too_many_parameters_say_how_much_they_need_and_what_to_use():
    model = mg.Sequential([mg.Dense(3, 300_000), mg.Dense(300_000, 1)], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match=r"1,500,001 parameters.*need .* GiB.*mg\.Adam\(1e-3\)"):
        fit(model)


def test_a_network_without_parameters_is_refused():
    model = mg.Sequential([mg.Tanh()], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match=r"layers with parameters, got \[Tanh\(\)\]; add a Dense"):
        model.fit([[1.0], [2.0]], [0.5, 0.7], optimizer=mg.LevenbergMarquardt(), verbose=0)


def test_a_stream_is_refused():
    with pytest.raises(TypeError, match="LevenbergMarquardt needs all rows at once"):
        network().fit([(X, Y)], optimizer=mg.LevenbergMarquardt(), verbose=0)


def test_fewer_targets_than_parameters_warn_where_nothing_restrains_the_weights():
    few = {"x": X[:10], "y": Y[:10]}
    with pytest.warns(mg.TrainingWarning, match="10 training targets cannot determine 21 param"):
        fit(network(), 3, regularisation=None, **few)
    fit(network(), 3, **few)
    fit(network(penalties=[mg.L2(1e-4)]), 3, regularisation=None, **few)
    fit(network(), 3, regularisation=None, fit_options={"validation_data": (X, Y)}, **few)


def test_a_singular_system_is_solved_by_more_damping():
    x = np.hstack([X[:, :1]] * 3)  # the same column three times
    model = mg.Sequential([mg.Dense(3, 1)], loss=mg.MeanSquaredError(), dtype="float64",
                          random_state=0)  # fmt: skip
    history, _ = fit(model, 30, x=x, y=3 * X[:, :1], regularisation=None, mu=1e-30)
    assert history["loss"][-1] < 1e-20


def test_a_network_at_its_minimum_keeps_its_weights_and_says_so():
    model = dense(mg.Tanh(), dtype="float64")
    before = model.params.copy()
    with pytest.warns(mg.TrainingWarning, match="no step that lowers the objective for 1 of 1"):
        fit(model, 3, y=model.predict(X), regularisation=None)
    np.testing.assert_array_equal(model.params, before)


def test_a_loss_that_is_not_finite_at_first_is_a_divergence():
    model = dense(dtype="float64")
    model.params = model.params * 1e200
    with pytest.raises(mg.DivergenceError, match="not finite at the initial weights"):
        fit(model, 3, regularisation=None)


def test_weights_that_have_decayed_to_nothing_are_warned_of():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(400, 3)), rng.normal(size=(400, 1))
    rows = np.c_[x, np.ones(400)]
    noise -= rows @ np.linalg.lstsq(rows, noise)[0]  # without a linear part in x
    model = mg.Sequential(
        [mg.Dense(3, 2), mg.Tanh(), mg.Dense(2, 1)],
        loss=mg.MeanSquaredError(), dtype="float64", random_state=0,
    )  # fmt: skip
    with pytest.warns(mg.TrainingWarning, match="as noise alone for 1 of 1 networks"):
        fit(model, 100, x=x, y=noise, groups="all")
    assert np.abs(model.predict(x)).max() < 1e-3


@pytest.mark.parametrize("make", [mg.Adam, mg.LBFGS, mg.TrustNewton, mg.LevenbergMarquardt])
def test_an_ensemble_of_one_records_what_a_larger_one_does(make):
    shapes = []
    for size in (1, 3):
        model = mg.Sequential(
            [mg.Dense(3, 2), mg.Tanh(), mg.Dense(2, 1)], loss=mg.MeanSquaredError(),
            random_state=0, ensemble_size=size,
        )  # fmt: skip
        history = model.fit(X, Y, optimizer=make(), epochs=2, validation_split=0.2, verbose=0)
        shapes.append({name: np.shape(values[-1]) for name, values in history.items()})
    one, several = shapes
    assert several == {name: shape and (3,) for name, shape in one.items()}
    assert one["loss"] == (1,)
