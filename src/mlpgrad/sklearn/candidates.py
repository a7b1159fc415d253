"""The candidates of the pair for tables; a new way to train is a class here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.history import History
from mlpgrad.layers import Dense, Tanh
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.candidate import Candidate, Recipe, Table
from mlpgrad.sklearn.epochs import _Together
from mlpgrad.tables import QuantileBins, TableEncoder, TargetBins
from mlpgrad.training import Callback, LevenbergMarquardt


class Scaled(Candidate):
    """A candidate with scaled numbers; in small tables of classes, with much weight decay.

    There, networks on scaled numbers are overfitted after a few epochs. With more decay they train
    longer and predict new rows better, which was not found for networks on bins.
    """

    times_decay = 100
    most_rows = 2000

    @classmethod
    def adapted(cls, recipe: Recipe, table: Table) -> Recipe:
        if recipe.target_scaling is not None or len(table.target) > cls.most_rows:
            return recipe
        most = max(1 / recipe.learning_rate, recipe.weight_decay)
        return recipe._replace(weight_decay=min(cls.times_decay * recipe.weight_decay, most))


class InQuantileBins(Candidate):
    """A candidate with numbers in bins of equally many rows."""

    encoding = QuantileBins
    turn = 2


class InTargetBins(Candidate):
    """A candidate with numbers in bins where the target changes most."""

    encoding = TargetBins
    turn = 2


class Linear(Candidate):
    """A network without hidden layers, for numbers.

    Where a table is small and its noise large, little more than a linear function can be learned,
    and the errors of one differ from those of larger networks. Classes gain nothing from it.
    """

    helps = True
    turn = 3
    times_rate = 10

    @classmethod
    def suits(cls, table: Table, recipe: Recipe) -> bool:
        return recipe.target_scaling is not None and len(recipe.hidden) > 0

    @classmethod
    def adapted(cls, recipe: Recipe, table: Table) -> Recipe:
        rate = cls.times_rate * recipe.learning_rate
        return recipe._replace(hidden=(), dropout=0.0, learning_rate=rate)


class Long(InQuantileBins):
    """One wide layer with much dropout, trained for many steps without stopping early; for numbers.

    It learns by heart the rows that occur more than once, as more than a quarter of the red wines
    in UCI's table do, and its errors differ from those of the other candidates. Its members differ
    more, so there are twice as many. Classes are not learned like this, since the loss of wrong
    ones would grow without bound.
    """

    helps = True
    turn = 4
    times_members = 2
    drop_probability = 0.5
    batch_size = 64
    most_epochs, most_steps = 300, 6000
    most_rows = 4000

    @classmethod
    def suits(cls, table: Table, recipe: Recipe) -> bool:
        few = len(table.target) <= cls.most_rows
        return few and recipe.target_scaling is not None and len(recipe.hidden) > 0

    @classmethod
    def adapted(cls, recipe: Recipe, table: Table) -> Recipe:
        steps = -(-len(table.target) // cls.batch_size)
        epochs = min(recipe.epochs, cls.most_epochs, -(-cls.most_steps // steps))
        return recipe._replace(
            hidden=(sum(recipe.hidden),),
            members=cls.times_members * recipe.members,
            dropout=max(recipe.dropout, cls.drop_probability),
            batch_size=cls.batch_size,
            epochs=epochs,
        )

    def callbacks(self, table: Table, folds: Array | None) -> list[Callback]:
        return []

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    def fits_all_rows(self) -> bool:
        return True


class ByEvidence(Candidate):
    """Small smooth networks trained with Levenberg-Marquardt and the evidence framework.

    They find smooth functions of a few inputs with little noise that thousands of gradient steps do
    not find. They need no validation rows, so the members may always train on all rows.
    """

    joinable = False
    turn = 1
    units = 16
    iterations = 100
    patience = 30
    most_work = 4e7
    """The most rows * outputs * parameters^2: some seconds of training."""

    @classmethod
    def suits(cls, table: Table, recipe: Recipe) -> bool:
        features = TableEncoder().plan(table.x).width
        params = cls.units * (features + 1 + recipe.outputs) + recipe.outputs
        return len(table.target) * recipe.outputs * params**2 <= cls.most_work

    def network(
        self, encoder: TableEncoder, members: int | None = None, hidden: Sequence[int] | None = None
    ) -> Sequential:
        outputs = self.recipe.outputs
        layers = [Dense(encoder.width, self.units), Tanh(), Dense(self.units, outputs)]
        return self._model(layers, encoder, np.float64, members)

    def train(self, model: Sequential, table: Table, epochs: int, folds: Array | None) -> History:
        return model.fit(
            table.x,
            table.target,
            optimizer=LevenbergMarquardt(),
            epochs=self.iterations,
            folds=folds,
            callbacks=[] if folds is None else [_Together(self.patience, self.bar)],
            sample_weight=table.weights,
            verbose=int(self.recipe.progress),
        )

    def fits_all_rows(self) -> bool:
        return True


CANDIDATES: dict[str, type[Candidate]] = {
    "plain": Scaled,
    "quantile": InQuantileBins,
    "target": InTargetBins,
    "evidence": ByEvidence,
    "linear": Linear,
    "long": Long,
}
"""The candidates by name; add a new way to train here."""
