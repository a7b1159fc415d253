"""`fit`, `backpropagate` and `evaluate` cast a target alike."""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training import choose_step
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.step import LayerStep
from tests.kinds import every_loss, loss_case, one_and_many

COPIES = 5  # copies of an example's rows


def forms(y):
    """One target in each form in which people have it."""
    yield y.astype(np.float64)
    whole = (y == np.round(y)).all()
    if whole:
        yield y.astype(np.int64)
        yield y.astype(object)
    if whole and (y >= 0).all():
        yield y.astype(np.uint8)
    if set(np.unique(y)) <= {-1, 1}:
        yield (y + 1) // 2
        yield y > 0
    if set(np.unique(y)) <= {0, 1}:
        yield y.astype(bool)
    if y.shape[-1] == 1:
        yield y[:, 0]
        yield y[:, 0].tolist()


@every_loss
@one_and_many
@pytest.mark.parametrize("kind", [LayerStep, RecordedStep])
def test_every_loss_trains_in_fit_as_step_by_step(cls, size, kind, monkeypatch):
    monkeypatch.setattr(kind, "serves", lambda *_: True)
    monkeypatch.setattr(choose_step, "STEPS", [kind])
    _, x, target = loss_case(cls)
    rows = np.tile(np.arange(len(x)), COPIES)
    x = x[rows] + 0.1 * np.arange(len(rows))[:, None]
    for y in forms(target):
        y = np.asarray(y)[rows] if isinstance(y, np.ndarray) else [y[i] for i in rows]
        fitted, stepped = (loss_case(cls, size=size)[0] for _ in range(2))
        optimizer = mg.Adam(0.01)
        optimizer.attach(stepped)
        history = fitted.fit(
            x, y, optimizer=mg.Adam(0.01), epochs=3, batch_size=7, shuffle=False, verbose=0
        )
        losses = []
        for start in [*range(0, len(x), 7)] * 3:
            part = slice(start, start + 7)
            losses.append(stepped.backpropagate(x[part], y[part]))
            optimizer.step(stepped.params, stepped.grads)
        np.testing.assert_array_equal(fitted.params, stepped.params)
        sizes = np.diff([*range(0, len(x), 7), len(x)])
        means = [np.average(losses[i : i + 3], axis=0, weights=sizes) for i in (0, 3, 6)]
        np.testing.assert_allclose(history["loss"], means, rtol=1e-12)


@every_loss
def test_every_form_of_a_target_means_the_same(cls):
    model, x, target = loss_case(cls)
    first, *others = (model.evaluate(x, y)["loss"] for y in forms(target))
    assert others == [first] * len(others)
    first, *others = (model.backpropagate(x, y) for y in forms(target))
    assert others == [first] * len(others)
