"""The pair for tables averages weights, and stops all members together."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import mlpgrad as mg
from mlpgrad.sklearn.epochs import _EpochAverage, _Together

X, Y = mg.datasets.moons(120, noise=0.2, random_state=0)


class Kept(mg.Callback):
    """Records the weights at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.params, self.losses = [], []

    def on_epoch_end(self, epoch, logs):
        self.params.append(self.model.params.copy())
        self.losses.append(float(np.mean(logs["val_loss"])))


def trained(*callbacks, epochs=6, rate=0.01, **options):
    layers = [mg.Dense(2, 8), mg.ReLU(), mg.Dense(8, 1)]
    loss = mg.SigmoidCrossEntropy()
    model = mg.Sequential(layers, loss=loss, ensemble_size=3, dtype="float64", random_state=0)
    options = {"epochs": epochs, "batch_size": 16, "folds": True, "verbose": 0, **options}
    return model, model.fit(X, Y, optimizer=mg.Adam(rate), callbacks=[*callbacks], **options)


def test_weights_of_epochs_are_averaged_and_validated():
    kept = Kept()
    model, history = trained(_EpochAverage(0.8), kept)
    shares = 0.8 ** np.arange(6)[::-1]
    expected = np.tensordot(shares / shares.sum(), kept.params, axes=1)
    np.testing.assert_allclose(model.params, expected, rtol=1e-12)
    left_out = [history.folds == member for member in range(3)]
    losses = [model.evaluate(X[rows], Y[rows])["loss"][j] for j, rows in enumerate(left_out)]
    np.testing.assert_allclose(history["val_loss"][-1], losses)


def test_the_average_is_what_early_stopping_keeps_in_any_order():
    found = [
        trained(*order, epochs=60, rate=0.3)[0].params
        for order in (
            [_EpochAverage(0.8), mg.EarlyStopping(5)],
            [mg.EarlyStopping(5), _EpochAverage(0.8)],
        )
    ]
    np.testing.assert_array_equal(*found)


def test_steps_are_not_watched():
    assert not _EpochAverage(0.8).follows_batches()
    assert not _Together(3).follows_batches()


def test_training_ends_when_the_members_together_have_got_no_better():
    kept = Kept()
    _, history = trained(_Together(4), kept, epochs=500, rate=0.3)
    assert history.epochs == int(np.argmin(kept.losses)) + 1 + 4 < 500


@pytest.mark.parametrize("bar", [np.inf, -1.0])
@pytest.mark.parametrize("patience", [0, 1])
def test_no_patience_ends_at_the_first_epoch_that_is_not_better(patience, bar):
    kept = Kept()
    _, history = trained(_Together(patience, bar), kept, epochs=500, rate=0.05)
    assert history.epochs > 1
    assert np.argmin(kept.losses) == history.epochs - 2


def test_patience_is_shorter_behind_another():
    kept = Kept()
    _, history = trained(_Together(9, bar=min(kept_losses(0.3)) / 2), kept, epochs=500, rate=0.3)
    best = int(np.argmin(kept.losses))
    assert history.epochs == best + 1 + 3


def kept_losses(rate):
    kept = Kept()
    trained(kept, epochs=30, rate=rate)
    return kept.losses
