"""LBFGS and TrustNewton make SciPy's steps in `fit`, with all its options."""

import copy
import io
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from scipy.optimize import minimize

import mlpgrad as mg
from mlpgrad.training.communicator import Communicator

METHODS = [mg.LBFGS, mg.TrustNewton]
every_method = pytest.mark.parametrize("cls", METHODS)
X, Y = mg.datasets.moons(100, noise=0.2, random_state=0)


def moons(**options):
    default = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    layers = copy.deepcopy(options.pop("layers", default))
    options = {"loss": mg.SigmoidCrossEntropy(), "dtype": "float64", "random_state": 0} | options
    return mg.Sequential(layers, penalties=options.pop("penalties", [mg.L2(1e-2)]), **options)


def train(model, method, epochs=500, **options):
    return model.fit(X, Y, optimizer=method, epochs=epochs, verbose=0, **options)


def threads_alive():
    return threading.active_count()


# the same steps as SciPy's


def test_lbfgs_takes_the_steps_of_scipy():
    model, alone = moons(), moons()
    history = train(model, mg.LBFGS(), 12)
    options = {"maxiter": 12, "ftol": 2.2e-9, "gtol": 1e-5, "maxls": 20}
    expected = minimize(alone.objective(X, Y), alone.params, jac=True, method="L-BFGS-B",
                        options=options)  # fmt: skip
    np.testing.assert_allclose(model.params, expected.x, rtol=1e-9)
    assert history.epochs == expected.nit == 12
    assert history["loss"][-1] == pytest.approx(expected.fun, rel=1e-12)
    assert history["evaluations"][-1] == expected.nfev
    assert history["largest_gradient"][-1] == pytest.approx(abs(expected.jac).max(), rel=1e-6)


@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_trust_newton_takes_the_steps_of_scipy(curvature):
    model, alone = moons(), moons()
    method = mg.TrustNewton(curvature=curvature, initial_radius=0.5, max_radius=20.0, ftol=0)
    history = train(model, method, 8)

    def matrix(params):
        at = moons()
        at.params = params
        return at.curvature(X, Y, kind=curvature).todense()

    options = {"maxiter": 8, "initial_trust_radius": 0.5, "max_trust_radius": 20, "gtol": 1e-5}
    expected = minimize(alone.objective(X, Y), alone.params, jac=True, hess=matrix,
                        method="trust-ncg", options=options)  # fmt: skip
    np.testing.assert_allclose(model.params, expected.x, rtol=1e-7)
    assert history.epochs == expected.nit


def test_newton_s_steps_double_the_digits():
    model = moons()
    method = mg.TrustNewton(gtol=1e-9, ftol=0)
    gradients = np.log10(train(model, method)["largest_gradient"])
    assert gradients[-1] < 1.5 * gradients[-2] < 1.4 * 1.5 * gradients[-3] < -5
    assert method.messages == ["the norm of the gradient is below gtol"]


def test_what_rounding_ends_is_no_failure():
    for method in (mg.TrustNewton(gtol=1e-16, ftol=0), mg.LBFGS(gtol=1e-16, ftol=0)):
        model = moons()
        train(model, method)
        model.backpropagate(X, Y)
        assert abs(model.grads).max() < 1e-7
        assert method.messages[0]


def test_both_find_the_weights_of_ridge_regression():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    weights = rng.uniform(0.1, 3, 50)
    penalties = [mg.L2(0.3)]
    for method in (mg.LBFGS(gtol=1e-12, ftol=0), mg.TrustNewton(gtol=1e-12, ftol=0)):
        model = mg.Sequential([mg.Dense(4, 1, bias=False)], loss=mg.HalfSquaredError(),
                              penalties=penalties, dtype="float64", random_state=0)  # fmt: skip
        model.fit(x, y, optimizer=method, epochs=200, sample_weight=weights, verbose=0)
        share = weights / weights.sum()
        expected = np.linalg.solve((x.T * share) @ x + 0.3 * np.eye(4), (x.T * share) @ y)
        np.testing.assert_allclose(model.params, expected, rtol=1e-6, atol=1e-9)


# options and callbacks of fit


@every_method
def test_blocks_of_rows_change_nothing_but_memory(cls):
    whole, blocks = moons(), moons()
    weights = np.linspace(0.1, 2, len(X))
    train(whole, cls(), 5, sample_weight=weights)
    train(blocks, cls(), 5, sample_weight=weights, batch_size=7)
    np.testing.assert_allclose(blocks.params, whole.params, rtol=1e-6)


def test_without_a_batch_size_an_optimizer_takes_32_rows():
    default, given = moons(), moons()
    train(default, mg.SGD(0.1), 2)
    train(given, mg.SGD(0.1), 2, batch_size=32)
    np.testing.assert_array_equal(default.params, given.params)


@every_method
def test_an_ensemble_is_its_members_each_by_itself(cls):
    # one member starts at its minimum
    model = moons(ensemble_size=3)
    done = model.member(1)
    train(done, cls(gtol=1e-8, ftol=0))
    model.params[1] = done.params
    members = [model.member(i) for i in range(3)]
    method = cls(gtol=1e-6)
    history = train(model, method, 40)
    epochs = []
    for i, member in enumerate(members):
        own = cls(gtol=1e-6)
        epochs.append(train(member, own, 40).epochs)
        np.testing.assert_allclose(model.params[i], member.params, rtol=1e-9)
        assert method.messages[i] == own.messages[0]
    assert history.epochs == max(epochs) > 1
    assert epochs[1] == 1
    assert np.shape(history["loss"]) == (history.epochs, 3)
    assert np.ptp(np.array(history["evaluations"])[:, 1]) == 0
    assert method.messages[1]


def test_members_may_have_their_own_rows_and_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 40, 2)), (rng.normal(size=(3, 40, 1)) > 0).astype(float)
    weights = rng.uniform(0, 2, (3, 40))
    model = moons(ensemble_size=3)
    members = [model.member(i) for i in range(3)]
    model.fit(x, y, optimizer=mg.LBFGS(), epochs=10, sample_weight=weights, verbose=0)
    for i, member in enumerate(members):
        member.fit(x[i], y[i], optimizer=mg.LBFGS(), epochs=10, sample_weight=weights[i], verbose=0)
        np.testing.assert_allclose(model.params[i], member.params, rtol=1e-9)


@every_method
def test_a_float32_model_is_lifted_and_rounded(cls):
    model = moons(dtype="float32")
    twin = model.lifted("float64")
    history = train(model, cls(), 10)
    train(twin, cls(), 10)
    assert model.params.dtype == np.float32
    np.testing.assert_array_equal(model.params, twin.params.astype(np.float32))
    assert history["loss"][-1] == pytest.approx(model.backpropagate(X, Y), rel=1e-5)


@every_method
def test_target_scaling_class_weights_and_metrics_serve_it(cls):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = 1e4 + 500 * np.sin(x[:, 0])
    model = mg.Sequential([mg.Standardize(2), mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
                          loss=mg.HalfSquaredError(), target_scaling="standard",
                          random_state=0)  # fmt: skip
    history = model.fit(x, y, optimizer=cls(), epochs=60, metrics=[mg.R2()], verbose=0)
    assert history["r2"][-1] > 0.99
    plain, weighted = moons(), moons()
    train(plain, cls())
    train(weighted, cls(), class_weight={0: 1.0, 1: 20.0})
    assert weighted.predict_classes(X).mean() > plain.predict_classes(X).mean()


@every_method
def test_validation_early_stopping_and_callbacks_serve_it(cls):
    seen = []

    class Notes(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(("begin", epoch))

        def on_epoch_end(self, epoch, logs):
            seen.append(("end", epoch))
            assert self.optimizer is method

    model = moons(penalties=[mg.L2(1e-6)], layers=[mg.Dense(2, 12), mg.Tanh(), mg.Dense(12, 1)])
    method, stopping = cls(), mg.EarlyStopping(3)
    history = train(
        model, method, validation_split=0.5, callbacks=[stopping, Notes()], metrics=[mg.Accuracy()]
    )
    assert history.epochs < 500
    expected = {"loss", "accuracy", "val_loss", "val_accuracy", "largest_gradient", "evaluations"}
    assert expected == set(history)
    assert seen == [(what, i) for i in range(history.epochs) for what in ("begin", "end")]
    assert method.messages == [""]  # a callback ended it


@every_method
def test_ctrl_c_ends_it_and_keeps_the_weights(cls, press_ctrl_c):
    class Interrupt(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                press_ctrl_c()

    model = moons()
    history = train(model, cls(), callbacks=[Interrupt()])
    assert history.interrupted
    assert history.epochs == 3
    assert model.backpropagate(X, Y) == pytest.approx(history["loss"][-1], rel=1e-12)


@every_method
def test_ctrl_c_in_the_middle_of_an_iteration_ends_it_at_once(cls, press_ctrl_c, monkeypatch):
    # `press_ctrl_c` makes SIGINT act as at a terminal, whose signals reach the main thread
    from mlpgrad.derivatives.objective import Objective

    calls, original = [], Objective.value_and_grads

    def counted(self, params):
        calls.append(None)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        return original(self, params)

    monkeypatch.setattr(Objective, "value_and_grads", counted)
    model = moons()
    history = train(model, cls())
    assert history.interrupted
    assert len(calls) == 6
    assert model.backpropagate(X, Y) == pytest.approx(history["loss"][-1], rel=1e-12)


@every_method
def test_ctrl_c_while_its_threads_end_leaves_none_of_them(cls, monkeypatch):
    from mlpgrad.training.second_order.iterations import Iterations

    told, close, before = [], Iterations.close, threads_alive()

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Iterations, "close", lambda self: (told.append(self), close(self)))
    monkeypatch.setattr(Iterations, "join", interrupted)
    method = cls()
    history = train(moons(ensemble_size=3), method, epochs=2)
    assert history.interrupted
    copy.deepcopy(method)
    monkeypatch.undo()
    for loop in told:
        loop.join()
    assert len(told) == 3
    assert threads_alive() == before
    train(moons(), method, epochs=2)


@every_method
def test_stop_training_ends_it_after_the_iteration(cls):
    class Stop(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 1

    assert train(moons(), cls(), callbacks=[Stop()]).epochs == 2


@every_method
def test_a_callback_may_change_the_objective_and_the_weights(cls):
    class Change(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 3:
                self.model.penalties[0].strength = 0.5
            if epoch == 6:
                self.model.params = self.model.params + 0.1

    model, other = moons(), moons(penalties=[mg.L2(0.5)])
    options = {"gtol": 1e-10, "ftol": 0}
    history = train(model, cls(**options), callbacks=[Change()])
    train(other, cls(**options))
    assert history["loss"][4] > history["loss"][3]
    assert history["loss"][-1] == pytest.approx(other.backpropagate(X, Y), rel=1e-9)


@every_method
def test_a_resumed_training_goes_on_from_the_weights(cls):
    class Keep(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 3:
                self.kept = self.session.snapshot()

    keep = Keep()
    model = moons()
    first = train(model, cls(gtol=1e-9), callbacks=[keep])
    again = moons(random_state=1)
    resumed = train(again, cls(gtol=1e-9), callbacks=[Keep()], resume=keep.kept)
    assert resumed["loss"][:4] == first["loss"][:4]
    assert resumed["loss"][4] < resumed["loss"][3]
    assert resumed["loss"][-1] == pytest.approx(first["loss"][-1], rel=1e-6)


@every_method
def test_a_second_fit_of_a_minimum_has_one_epoch(cls):
    model, method = moons(), cls(gtol=1e-8, ftol=0)
    train(model, method)
    before = model.params.copy()
    history = train(model, method)
    assert history.epochs == 1
    assert method.messages[0]
    np.testing.assert_array_equal(model.params, before)


def test_the_number_of_evaluations_is_bounded():
    method = mg.LBFGS(max_fun=9, ftol=0, gtol=0)
    history = train(moons(), method)
    assert 9 <= history["evaluations"][-1] <= 9 + 20
    assert method.messages == ["the objective has been evaluated max_fun times"]


def test_progress_is_shown(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    moons().fit(X, Y, optimizer=mg.LBFGS(), epochs=5, verbose=1)
    assert "loss" in stream.getvalue()


@every_method
def test_a_method_that_has_trained_can_be_copied_and_pickled(cls):
    method = cls(gtol=1e-3)
    train(moons(), method)
    for twin in (copy.deepcopy(method), pickle.loads(pickle.dumps(method))):
        assert repr(twin) == repr(method)
        assert train(moons(), twin).epochs > 1


@every_method
def test_no_thread_is_left(cls):
    before = threads_alive()
    train(moons(ensemble_size=4), cls(), 3)

    class Raises(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        train(moons(ensemble_size=4), cls(), callbacks=[Raises()])
    assert threads_alive() == before


# bad input


@every_method
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"penalties": [mg.L1(1e-3)]}, r"got L1\(0.001\), which has a kink"),
        ({"layers": [mg.Dense(2, 3), mg.Dropout(0.5), mg.Dense(3, 1)]}, "objective random"),
        ({"layers": [mg.Dense(2, 3), mg.BatchNorm(3), mg.Dense(3, 1)]}, "computed together"),
    ],
)
def test_what_is_not_smooth_is_refused_with_the_reason(cls, options, reason):
    model = moons(**options)
    with pytest.raises(ValueError, match=rf"{cls.__name__} expects .*{reason}.*Adam\(1e-3\)"):
        train(model, cls())


@every_method
def test_streams_and_ranks_are_refused(cls):
    with pytest.raises(TypeError, match=f"{cls.__name__} needs all rows at once"):
        moons().fit([(X, Y)], optimizer=cls(), verbose=0)

    class Alone(Communicator):
        rank, size = 0, 1

        def allreduce(self, array):
            pass

        def broadcast(self, array):
            pass

        def abort(self, error):
            pass

    with pytest.raises(ValueError, match=f"{cls.__name__} trains on the rows of one process"):
        train(moons(), cls(), communicator=Alone())


class Wrong(mg.Tanh):
    """Returns a delta with the wrong sign, so that no step lowers the objective."""

    def slope(self, z, a, out):
        super().slope(z, a, out)
        np.negative(out, out)


@every_method
def test_a_search_that_fails_says_so_and_keeps_the_best_weights(cls):
    layers = [mg.Dense(2, 6, bias=False), Wrong(), mg.Dense(6, 1)]
    model = moons(layers=layers, penalties=[])
    method = cls(gtol=1e-12, ftol=0)
    with pytest.warns(mg.TrainingWarning, match=f"{cls.__name__} ended the training after"):
        history = train(model, method)
    assert "lower" in method.messages[0]
    assert model.backpropagate(X, Y) == pytest.approx(min(history["loss"]), rel=1e-12)


def test_a_failure_in_an_ensemble_names_the_member():
    layers = [mg.Dense(2, 6, bias=False), Wrong(), mg.Dense(6, 1)]
    model = moons(layers=layers, penalties=[], ensemble_size=2)
    with pytest.warns(mg.TrainingWarning, match=r"of member [01] after"):
        train(model, mg.LBFGS(gtol=1e-12, ftol=0))


@every_method
def test_weights_that_are_not_finite_are_a_divergence(cls):
    model = moons()
    model.params[3] = np.inf
    with np.errstate(all="ignore"), pytest.raises(mg.DivergenceError, match="not finite is in"):
        train(model, cls())


@every_method
def test_values_that_overflow_on_the_way_are_turned_back_from(cls):
    x = np.linspace(-3, 3, 40)[:, None]
    layers = [mg.Dense(1, 5), mg.Tanh(), mg.Dense(5, 1)]
    model = mg.Sequential(layers, loss=mg.Poisson(), dtype="float64", random_state=0)
    model.params *= 40  # rates of e^100 and more
    history = model.fit(x, np.ones(40), optimizer=cls(), epochs=300, verbose=0)
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < 1.1


def test_options_are_checked():
    with pytest.raises(ValueError, match="LBFGS: memory expects an int >= 1, got 0"):
        mg.LBFGS(memory=0)
    with pytest.raises(ValueError, match="LBFGS: ftol expects a number in"):
        mg.LBFGS(ftol=-1)
    with pytest.raises(ValueError, match="TrustNewton: curvature expects 'hessian' or"):
        mg.TrustNewton(curvature="fisher")
    with pytest.raises(ValueError, match="initial_radius expects a number in"):
        mg.TrustNewton(initial_radius=3.0, max_radius=2.0)
    with pytest.raises(TypeError, match="LBFGS has no option 'memmory'; did you mean 'memory'"):
        mg.LBFGS(memmory=3)
    assert repr(mg.LBFGS(memory=20)) == "LBFGS(memory=20)"


@pytest.mark.parametrize(
    ("given", "written"), [("lbfgs", r"mg.LBFGS\(\)"), (mg.TrustNewton, r"TrustNewton\(\.\.\.\)")]
)
def test_a_method_by_name_or_class_is_told_what_to_write(given, written):
    with pytest.raises(TypeError, match=f"expects an Optimizer or a Method, got .*write {written}"):
        train(moons(), given)


@pytest.mark.parametrize("method", [mg.LBFGS(), mg.TrustNewton(), mg.LevenbergMarquardt()])
@pytest.mark.parametrize(
    ("callback", "part"),
    [
        (mg.ReduceOnPlateau(patience=1), "a learning rate"),
        (mg.ExponentialMovingAverage(0.9), "a step for each batch"),
        (mg.LayerSignals(), "a step for each batch"),
    ],
)
def test_a_callback_that_needs_an_optimizer_says_so(callback, part, method):
    name = type(method).__name__
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    before = model.params.copy()
    with pytest.raises(ValueError, match=f"expects an optimizer with {part}, got {name}"):
        model.fit(X, Y, optimizer=method, callbacks=[callback], verbose=0)
    np.testing.assert_array_equal(model.params, before)
