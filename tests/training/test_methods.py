"""A user-defined method owns the loop, and the session does the rest: SciPy's L-BFGS-B."""

import numpy as np
import pytest
from scipy.optimize import minimize

import mlpgrad as mg


class SciPyLBFGS(mg.Method):
    """SciPy's L-BFGS-B in `fit`: an iteration is an epoch, which SciPy's callback ends."""

    kept = ("iterations",)

    def __init__(self, *, batch_size=None):
        self.batch_size = batch_size
        self.iterations = 0

    def train(self, session):
        network, objective = session.network, session.objective(batch_size=self.batch_size)
        session.begin_epoch()

        def after(intermediate_result):
            network.params = intermediate_result.x
            self.iterations += 1
            if not session.end_epoch(intermediate_result.fun, 1):
                raise StopIteration
            session.begin_epoch()

        minimize(
            objective.value_and_grads,
            network.params.copy(),
            jac=True,
            method="L-BFGS-B",
            callback=after,
            options={"maxiter": 10 * session.epochs},
        )

    def logs(self):
        return {"iterations": self.iterations}


def moons(**options):
    layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "dtype": "float64", "random_state": 0} | options
    return mg.Sequential(layers, **options)


X, Y = mg.datasets.moons(100, noise=0.2, random_state=0)


def test_it_takes_the_steps_of_scipy_alone():
    model, alone = moons(), moons()
    history = model.fit(X, Y, optimizer=SciPyLBFGS(), epochs=12, verbose=0)
    options = {"maxiter": 12}
    expected = minimize(alone.objective(X, Y), alone.params, jac=True, method="L-BFGS-B",
                        options=options)  # fmt: skip
    np.testing.assert_allclose(model.params, expected.x, rtol=1e-9)
    assert history.epochs == expected.nit == 12
    assert history["iterations"] == list(range(1, 13))
    assert history["loss"][-1] == pytest.approx(expected.fun, rel=1e-12)
    assert (np.diff(history["loss"]) < 0).all()


@pytest.mark.parametrize("batch_size", [7, 100])
def test_chunks_of_rows_change_nothing(batch_size):
    weights = np.linspace(0.1, 2, len(X))
    model, whole = moons(), moons()
    for network, method in ((model, SciPyLBFGS(batch_size=batch_size)), (whole, SciPyLBFGS())):
        network.fit(X, Y, optimizer=method, epochs=5, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(model.params, whole.params, rtol=1e-9)


def test_validation_early_stopping_metrics_and_callbacks_serve_it_too():
    seen = []

    class Notes(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(("begin", epoch))

        def on_epoch_end(self, epoch, logs):
            seen.append(("end", epoch))
            assert self.optimizer is method

    model, method = moons(), SciPyLBFGS()
    stopping = mg.EarlyStopping(3)
    history = model.fit(
        X, Y, optimizer=method, epochs=500, validation_split=0.3, metrics=[mg.Accuracy()],
        callbacks=[stopping, Notes()], verbose=0,
    )  # fmt: skip
    assert history.epochs < 500
    assert history.epochs == stopping.best_epoch + 1 + 3
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "iterations"} == set(history)
    # another epoch has begun if SciPy stops by itself; here end_epoch stopped it
    assert seen == [(what, i) for i in range(history.epochs) for what in ("begin", "end")]
    best = min(history["val_loss"])
    assert history["val_loss"][stopping.best_epoch] == best


def test_ctrl_c_ends_it_and_keeps_the_weights(press_ctrl_c):
    class Interrupt(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                press_ctrl_c()

    model = moons()
    history = model.fit(X, Y, optimizer=SciPyLBFGS(), epochs=50, callbacks=[Interrupt()], verbose=0)
    assert history.interrupted
    assert history.epochs == 3
    assert model.backpropagate(X, Y) == pytest.approx(history["loss"][-1], rel=1e-12)


def test_an_ensemble_is_one_objective_per_member():
    model = moons(ensemble_size=3)
    checked = model.checked(X, Y, None)
    from mlpgrad.derivatives.objective import Objective

    value, grads = Objective(model, *checked, batch_size=9).value_and_grads(model.params)
    expected = model.backpropagate(X, Y)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(grads, model.grads, rtol=1e-10, atol=1e-14)


def test_the_product_is_that_of_the_hessian():
    from mlpgrad.derivatives.objective import Objective

    model = moons(penalties=[mg.L2(0.01)])
    objective = Objective(model, *model.checked(X, Y, None), batch_size=30)
    vector = np.random.default_rng(0).normal(size=model.params.shape)
    step = 1e-5
    up, down = (
        objective.value_and_grads(model.params + sign * step * vector)[1] for sign in (1, -1)
    )
    product = objective.product(model.params, vector)
    np.testing.assert_allclose(product, (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def test_an_objective_leaves_the_network_alone():
    model = moons()
    before = model.snapshot()
    model.fit(X, Y, optimizer=SciPyLBFGS(), epochs=1, verbose=0)
    moved = model.params.copy()
    from mlpgrad.derivatives.objective import Objective

    Objective(model, *model.checked(X, Y, None)).value_and_grads(0 * moved)
    np.testing.assert_array_equal(model.params, moved)
    model.restore(before)
    np.testing.assert_array_equal(model.params, before["params"])


def test_a_method_that_needs_all_rows_says_so_of_a_stream():
    with pytest.raises(TypeError, match="SciPyLBFGS needs all rows at once"):
        moons().fit([(X, Y)].__iter__(), optimizer=SciPyLBFGS(), verbose=0)


class Counting:
    """A second kind of step, which runs the layers and counts."""

    made = 0

    def __init__(self, network, optimizer):
        self.network, self.optimizer = network, optimizer
        self.gradients = self.updates = self.refreshed = 0
        Counting.latest = self

    @classmethod
    def serves(cls, network, optimizer, batch_size, steps):
        return batch_size == 20

    def gradient(self, x, target, weights):
        self.gradients += 1
        return self.network._step(x, target, weights)

    def update(self):
        self.updates += 1
        self.optimizer.step(self.network.params, self.network.grads)

    def refresh(self):
        self.refreshed += 1


def test_a_second_kind_of_step_is_a_line_in_one_list(monkeypatch):
    from mlpgrad.training import choose_step

    monkeypatch.setattr(choose_step, "STEPS", [Counting, *choose_step.STEPS])
    model, plain = moons(), moons()
    options = {"epochs": 3, "batch_size": 20, "verbose": 0}
    model.fit(X, Y, optimizer=mg.Adam(), callbacks=[mg.EarlyStopping(9)], **options)
    assert Counting.latest.gradients == Counting.latest.updates == 15
    assert Counting.latest.refreshed == 2
    monkeypatch.setattr(choose_step, "STEPS", choose_step.STEPS[1:])
    plain.fit(X, Y, optimizer=mg.Adam(), callbacks=[mg.EarlyStopping(9)], **options)
    np.testing.assert_array_equal(model.params, plain.params)
