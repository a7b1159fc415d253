"""`Sequential`, the model that people use: a network that is trained, evaluated and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpgrad._core.described import suggesting
from mlpgrad.history import History
from mlpgrad.layers.chain import walk
from mlpgrad.metrics import Metric
from mlpgrad.network.fitting import check_not_fitted
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.communicator import Communicator
from mlpgrad.training.data import check_counts, check_validation, training_batches, validation_rows
from mlpgrad.training.evaluate import evaluate
from mlpgrad.training.minibatch import method_of
from mlpgrad.training.progress import ProgressBar
from mlpgrad.training.rate_test import learning_rate_range_test
from mlpgrad.training.session import Method, Session

if TYPE_CHECKING:
    from pathlib import Path


class Sequential(Network):
    """Layers in a row with a loss on top: a multilayer perceptron, or an ensemble of them.

    Parameters
    ----------
    layers : sequence of Layer
        Neighbours' widths must agree; each object may be used once.
    loss : Loss
        What training reduces.
    penalties : sequence of Penalty
        Added to the loss, for instance `[mg.L2(1e-4)]`.
    dtype : dtype
        float32 by default; float64, longdouble and complex128 work as well.
    random_state : int, numpy.random.Generator or None
        The only source of randomness: initial weights, dropout, shuffling.
    ensemble_size : int, optional
        E independent networks trained together; outputs become `(E, B, O)`.

    Attributes
    ----------
    params, grads : array (P,) or (E, P)
        Every parameter and its gradient. Layers hold views: change values, never the array.
    state : array (S,) or (E, S)
        What else the layers keep between batches, such as running means.
    parameters, statistics : list of Slot
        Name, place and shape of each array in `params` and in `state`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=200, batch_size=4, verbose=0)
    >>> model.predict_classes(x)
    array([0, 1, 1, 0])
    """

    @suggesting
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        optimizer: Optimizer | Method,
        epochs: int = 10,
        batch_size: int = 32,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        validation_shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | str | None = None,
        shuffle: bool = True,
        verbose: int = 1,
        resume: Mapping[str, Any] | None = None,
        communicator: Communicator | None = None,
    ) -> History:
        """Train on minibatches.

        Parameters
        ----------
        x : array (n, I), or (E, n, I) for an ensemble; or an iterable
            May be memory-mapped: it is read a block at a time. An iterable yields batches
            `(x, y)` or `(x, y, sample_weight)` and is begun anew at each epoch; then there is no
            `y`, and no split.
        y : array (n, O) or (E, n, O), or classes (n,)
        optimizer : Optimizer or Method
            Its state goes on where an earlier `fit` left it.
        epochs : int, default 10
            Passes through the data.
        batch_size : int, default 32
            Samples of a step; the last batch of an epoch may be shorter.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
            Evaluated after every epoch.
        validation_split : float, default 0
            Without `validation_data`, this share of the rows is held out: drawn at random, each
            class in proportion.
        validation_shuffle : bool, default True
            False holds out the last rows instead, for rows in order of time.
        callbacks : sequence of Callback, default ()
        metrics : sequence of Metric, optional
            Recorded on the training batches as well. By default only the validation set is
            measured, with the loss's own metrics.
        sample_weight : array (n,) or (E, n), optional
            A sample of weight 2 counts as two.
        class_weight : dict, or "balanced", optional
            Multiplies the weights of each class's samples; "balanced" gives every class the same
            total weight.
        shuffle : bool, default True
            Whether the rows come in a new order at every epoch.
        verbose : int, default 1
            0 is silent, 1 shows progress.
        resume : dict, optional
            A snapshot of an earlier training, taken by a callback as `self.session.snapshot()`.
            With the same options this training goes on exactly where that one was.
        communicator : Communicator, optional
            Joins this training with those of other ranks, each on rows of its own.

        Returns
        -------
        History
            Losses and metrics by name, one value an epoch.

        Raises
        ------
        DivergenceError
            As soon as the loss is not finite.
        RuntimeError
            If another thread is fitting this model, or using the optimizer in a fit. Other
            threads may predict, evaluate and save meanwhile: they get the weights of one moment,
            from between two steps.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
        >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=20, validation_split=0.2,
        ...                     callbacks=[mg.EarlyStopping(5)], verbose=0)
        >>> history["val_accuracy"][-1] > 0.9
        True
        """
        method = method_of(optimizer)
        check_not_fitted(self)
        check_counts(self, epochs, batch_size)
        check_validation(validation_data, validation_split)
        batches = training_batches(
            self,
            x,
            y,
            sample_weight,
            class_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            held_out=0.0 if validation_data is not None else validation_split,
            in_order=not validation_shuffle,
        )
        session = Session(
            self,
            method,
            batches,
            validation=validation_rows(self, batches, validation_data),
            callbacks=[*callbacks, *([ProgressBar()] if verbose else [])],
            metrics=metrics,
            epochs=epochs,
            record=History(),
            communicator=communicator,
        )
        session.run(resume)
        return session.record  # type: ignore[return-value]  # the History above

    @suggesting
    def evaluate(
        self, x: Any, y: Any, *, sample_weight: Any = None, metrics: Sequence[Metric] | None = None
    ) -> dict[str, Any]:
        """The objective and metrics on data, in prediction mode.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`.
        metrics : sequence of Metric, optional
            By default those of the loss: accuracy where it classifies.

        Returns
        -------
        dict
            `"loss"` (with penalties, as in training) and each metric by name; a float, or an
            array `(E,)` for an ensemble.
        """
        with self.reading() as network:
            return evaluate(network, *network.checked(x, y, sample_weight), metrics)

    def learning_rate_range_test(self, x: Any, y: Any, **options: Any) -> Any:
        """Train a copy with a growing rate; see `mlpgrad.training.learning_rate_range_test`."""
        return learning_rate_range_test(self, x, y, **options)

    def save(self, path: str | Path) -> None:
        """Write the model to a `.npz` file with a JSON description; `mg.load(path)` reads it."""
        from mlpgrad.exchange import npz

        with self.reading() as network:
            npz.save(network, path)

    def summary(self) -> str:
        """A table of the layers: position, layer, output shape, number of parameters.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        ...                       loss=mg.HalfSquaredError())
        >>> print(model.summary())
           layer        output  parameters
        0  Dense(2, 4)  (B, 4)          12
        1  Tanh()       (B, 4)           0
        2  Dense(4, 1)  (B, 1)           5
        17 parameters, 68 bytes (float32), HalfSquaredError()
        """
        rows = [("", "layer", "output", "parameters")]
        lead = "".join(f"{size}, " for size in self.lead)
        width: int | None = self.in_features
        for position, layer in walk(self.layers):
            width = layer.out_features or layer.in_features or width
            count = sum(slot.stop - slot.start for slot in self.parameters if slot.layer is layer)
            label = "  " * position.count(".") + repr(layer)
            rows.append((position, label, f"({lead}B, {width or 'I'})", f"{count:,}"))
        a, b, c, d = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{p:<{a}}  {n:<{b}}  {o:<{c}}  {k:>{d}}" for p, n, o, k in rows]
        networks = f" in each of {self.ensemble_size} networks" if self.lead else ""
        total = (
            f"{self._params.shape[-1]:,} parameters{networks}, {self._params.nbytes:,} bytes "
            f"({self.dtype}), {self.loss!r}"
        )
        return "\n".join([*lines, total])


def load(path: str | Path) -> Sequential:
    """Read a model that `Sequential.save` has written.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Sequential
        With the same predictions, the same random states and the same further training.

    Raises
    ------
    ValueError
        If the file is damaged, was written by a newer mlpgrad, or is not a model; or if it needs
        a class that is not defined: import the module that defines it first.

    Examples
    --------
    >>> import pathlib, tempfile, mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.npz")
    >>> model.save(path)
    >>> bool((mg.load(path).params == model.params).all())
    True
    """
    from mlpgrad.exchange import npz

    model = npz.load(path)
    if not isinstance(model, Sequential):
        raise ValueError(f"{path} holds a {type(model).__name__}, not a Sequential")
    return model
