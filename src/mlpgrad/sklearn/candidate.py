"""A candidate: a way to train on a table, compared with others by its out-of-fold predictions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.training_warning import without_warnings
from mlpgrad.history import History
from mlpgrad.layers import Dense, Dropout, Layer, ReLU
from mlpgrad.losses.base import Loss
from mlpgrad.optimizers import AdamW
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.epochs import _EpochAverage, _Together
from mlpgrad.tables import ColumnEncoding, Standard, TableEncoder
from mlpgrad.training import Callback, EarlyStopping
from mlpgrad.training.folds import Split

AVERAGED = 0.99
"""Decay of the moving average of the weights per step: it spans about the last hundred steps."""
LEAST_DECAY = 0.5
"""Decay per epoch, if an epoch has many steps."""


class Table(NamedTuple):
    """The training data."""

    x: Any
    """The features as passed by the user: a data frame or an array."""
    target: Array
    """Numbers (n, T), or indices of classes (n, 1)."""
    indicators: Array
    """The target for encodings: numbers (n, T), or one column per class."""
    weights: Array | None
    """Weights (n,), including class weights."""
    folds: Array
    """The fold of each row, (n,)."""


class Recipe(NamedTuple):
    """The options of networks and training, the same for all candidates."""

    hidden: tuple[int, ...]
    outputs: int
    loss: Callable[[], Loss]
    target_scaling: str | None
    members: int
    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int
    seed: int
    progress: bool


class Candidate:
    """An encoding, with an ensemble whose members each leave out a fold.

    Attributes
    ----------
    name : str
        Its name in `CANDIDATES`.
    model : Sequential
        The ensemble, with its encoder.
    outputs : array (n, O)
        The out-of-fold output for each row.
    loss, standard_error : float
        The mean of their losses, in scaled units, and its standard error.
    bar : float
        The lowest sum of loss and standard error of an earlier candidate: training that stays
        above it ends after a third of the patience.
    common_epochs, common_loss : int and float
        The number of epochs with the lowest mean loss over the members, and that loss.
    seconds : float
        Training time.
    """

    encoding: Callable[[], ColumnEncoding] = Standard
    joinable = True
    """Whether its networks can predict together with the other candidates'."""
    helps = False
    """Whether it is tried only if the best candidate so far can be joined by others."""
    turn = 0
    """Candidates are tried in this order: an early low loss ends the training of others sooner."""

    def __init__(self, name: str, table: Table, recipe: Recipe, bar: float = np.inf) -> None:
        started = time.perf_counter()
        self.name, self.recipe, self.bar = name, self.adapted(recipe, table), bar
        rows = Split(table.folds, self.recipe.members).rows_of_members()
        self.model = self.network(self._encoder(table, rows))
        history = self._trained(self.model, table, self.recipe.epochs, table.folds)
        assert history.oof_prediction is not None
        self.outputs = history.oof_prediction
        curve = np.mean(history["val_loss"], axis=-1)
        self.common_epochs, self.common_loss = int(np.argmin(curve)) + 1, float(np.min(curve))
        self.loss, self.standard_error = self.loss_of(self.outputs, table)
        self.seconds = time.perf_counter() - started

    @classmethod
    def suits(cls, table: Table, recipe: Recipe) -> bool:
        """Return whether the candidate is worth trying on such a table."""
        return True

    @classmethod
    def adapted(cls, recipe: Recipe, table: Table) -> Recipe:
        """Return the recipe with the options of this candidate."""
        return recipe

    def _encoder(self, table: Table, rows: list[Array] | None) -> TableEncoder:
        """Fit an encoder on all rows, or on those of each member."""
        encoder = TableEncoder(numeric=self.encoding()).plan(table.x)
        return encoder.fit_members(table.x, table.indicators, table.weights, None, rows)

    def network(
        self, encoder: TableEncoder, members: int | None = None, hidden: Sequence[int] | None = None
    ) -> Sequential:
        """Make new networks for the features of an encoder, by the recipe where nothing is said."""
        recipe = self.recipe
        hidden = recipe.hidden if hidden is None else hidden
        widths = [encoder.width, *hidden]
        layers: list[Layer] = []
        for into, out in zip(widths, hidden, strict=False):
            layers += [Dense(into, out), ReLU()]
            layers += [Dropout(recipe.dropout)] if recipe.dropout else []
        layers.append(Dense(widths[-1], recipe.outputs))
        return self._model(layers, encoder, np.float32, members)

    def _model(
        self, layers: list[Layer], encoder: TableEncoder, dtype: Any, members: int | None
    ) -> Sequential:
        return Sequential(
            layers,
            loss=self.recipe.loss(),
            dtype=dtype,
            random_state=self.recipe.seed,
            ensemble_size=members or self.recipe.members,
            target_scaling=self.recipe.target_scaling,
            encoder=encoder,
        )

    def train(self, model: Sequential, table: Table, epochs: int, folds: Array | None) -> History:
        """Train the networks on the table; with folds, each stops on the one it leaves out."""
        recipe = self.recipe
        return model.fit(
            table.x,
            table.target,
            optimizer=AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay),
            epochs=epochs,
            batch_size=recipe.batch_size,
            folds=folds,
            callbacks=self.callbacks(table, folds),
            sample_weight=table.weights,
            verbose=int(recipe.progress),
        )

    def _trained(
        self, model: Sequential, table: Table, epochs: int, folds: Array | None
    ) -> History:
        """`train`, but Ctrl-C ends all trainings, not this one alone.

        Warnings of the training are left out: their advice is about options that the estimators do
        not have, and the losses decide between the candidates.
        """
        with without_warnings():
            history = self.train(model, table, epochs, folds)
        if history.interrupted:
            raise KeyboardInterrupt
        return history

    def callbacks(self, table: Table, folds: Array | None) -> list[Callback]:
        """Return what averages the weights, and stops members on the folds they leave out."""
        patience, steps = self.recipe.patience, -(-len(table.target) // self.recipe.batch_size)
        average = _EpochAverage(max(AVERAGED**steps, LEAST_DECAY))
        if folds is None:
            return [average]
        return [average, EarlyStopping(patience), _Together(patience, self.bar)]

    def loss_of(self, outputs: Array, table: Table) -> tuple[float, float]:
        """Return the mean loss of outputs (n, O), in scaled units, and its standard error."""
        loss, dtype = self.model.loss.reader(), np.dtype(np.float64)
        outputs, target = outputs.astype(dtype), table.target
        counted = np.s_[:] if table.weights is None else table.weights > 0
        if self.recipe.target_scaling is not None:
            mean, deviation = target[counted].mean(axis=0), target[counted].std(axis=0)
            deviation = np.where(deviation > 0, deviation, 1)
            outputs, target = (outputs - mean) / deviation, (target - mean) / deviation
        outputs, target = outputs[counted], loss.cast(target[counted], dtype)
        loss.forward(outputs, target)
        weights = None if table.weights is None else table.weights[counted]
        return mean_and_error(loss.losses(outputs, target), weights)

    def apart(self, table: Table) -> Array:
        """Return the outputs of each member that has left out a row, `(members, n, O)`.

        Outputs of a fold that fewer members leave out than another are repeated.
        """
        count, members = int(table.folds.max()) + 1, self.recipe.members
        if members == count:
            return self.outputs[None]
        every = self.model.predict(table.x)
        left = [range(fold, members, count) for fold in range(count)]
        size = math.lcm(*map(len, left))
        own = np.array([[group[k % len(group)] for group in left] for k in range(size)])
        apart: Array = every[own[:, table.folds], np.arange(len(table.folds))]
        return apart

    def fits_all_rows(self) -> bool:
        """Return whether a common number of epochs is as good as stopping each member on its fold.

        It is as good if the loss is within one standard error. Members may then train on all rows,
        without validation data. The one-standard-error rule is that of Breiman, Friedman, Olshen
        and Stone 1984, "Classification and regression trees", section 3.4.3.
        """
        return self.common_loss <= self.loss + self.standard_error

    @property
    def epochs(self) -> int:
        """The number of epochs of a training on all rows."""
        return self.common_epochs

    def on_all_rows(self, table: Table) -> Sequential:
        """Train networks on all rows, without held-out rows."""
        model = self.network(self._encoder(table, None))
        self._trained(model, table, self.epochs, None)
        return model


def mean_and_error(values: Array, weights: Array | None) -> tuple[float, float]:
    """Return the weighted mean of the values (n,) and its standard error.

    The weights count as (sum of weights)^2 / (sum of squares) rows: Kish 1965, "Survey sampling".
    """
    if weights is not None:
        weights = weights / weights.max()  # its squares do not overflow
    mean = np.average(values, weights=weights)
    spread = np.average((values - mean) ** 2, weights=weights)
    rows = len(values) if weights is None else weights.sum() ** 2 / np.square(weights).sum()
    return float(mean), float(np.sqrt(spread / rows))
