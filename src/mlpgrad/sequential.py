"""`Sequential`, the public model: a network that can be trained, evaluated and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpgrad._core import arguments, paths
from mlpgrad._core.described import suggesting
from mlpgrad.derivatives.differentiable import Differentiable
from mlpgrad.history import History
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import listed
from mlpgrad.network.fitting import fitted
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.range_test import learning_rate_range_test
from mlpgrad.training import scalings
from mlpgrad.training.before import Before
from mlpgrad.training.callbacks import Callback, check_callbacks
from mlpgrad.training.communicator import Communicator, checked
from mlpgrad.training.data import (
    check_counts,
    check_validation,
    training_batches,
    validation_rows,
)
from mlpgrad.training.evaluate import evaluate
from mlpgrad.training.minibatch import method_of
from mlpgrad.training.progress import progress_bars
from mlpgrad.training.session import Method, Session
from mlpgrad.training.without_effect import check_attributes
from mlpgrad.uncertainty.answers import Answers

if TYPE_CHECKING:
    from pathlib import Path


class Sequential(Differentiable, Answers):
    """A stack of layers with a loss: a multilayer perceptron, or an ensemble of them.

    Parameters
    ----------
    layers : sequence of Layer
        Each layer's input width must equal the output width of the layer before it. A layer object
        may be used only once.
    loss : Loss
        The function that training minimizes.
    penalties : sequence of Penalty
        Added to the loss, for instance `[mg.L2(1e-4)]`.
    dtype : dtype
        Type of the parameters and of the computation, float32 by default; float64, longdouble and
        complex128 also work.
    random_state : int, numpy.random.Generator or None
        The only source of randomness, used for initial weights, dropout and shuffling.
    ensemble_size : int, optional
        Number E of independent networks that are trained together; outputs then have the shape
        `(E, B, O)`.
    target_scaling : None or "standard", default None
        "standard" trains on (y - mean) / standard deviation of each target column. The first `fit`
        computes both from its training rows; `fit_scaling` computes them again. Predictions and
        metrics are in the units of `y`; the loss and its gradients are in the scaled units. Only
        for losses whose targets are numbers.
    classes : sequence of labels, optional
        The labels of the classes in `y`, in the order of the outputs: text, numbers or booleans.
        By default `fit` learns them from `y`. Give two labels for a single binary output, and one
        name per output for a multilabel model.
    encoder : mlpgrad.tables.TableEncoder, optional
        Converts a table to numbers wherever the model takes `x`. The model keeps a copy of it,
        fits the copy to the rows that `fit` trains on (unless it is already fitted), and saves it
        with the model.

    Attributes
    ----------
    params, grads : array (P,) or (E, P)
        All parameters, and their gradients. Layers hold views of these arrays: assign to their
        elements, never replace the arrays.
    state : array (S,) or (E, S)
        Values other than parameters that layers keep between batches, such as running means.
    parameters, statistics : list of Slot
        Name, place and shape of each array in `params` and in `state`.
    classes_ : array (K,) or None
        The label of each class, as `predict_classes` returns it.
    feature_names_ : tuple of str or None
        The column names of the data frame that `fit` was given.

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
        batch_size: int | None = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        validation_shuffle: bool = True,
        folds: Any = None,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | str | None = None,
        shuffle: bool = True,
        verbose: int = 1,
        resume: Mapping[str, Any] | None = None,
        communicator: Communicator | None = None,
        compiled: bool | None = None,
    ) -> History:
        """Train on minibatches.

        Parameters
        ----------
        x : array (n, I), or (E, n, I) for an ensemble; a DataFrame; or an iterable
            The inputs. A memory-mapped array is read a block at a time. The column names of a
            DataFrame are kept, and later frames must have the same columns in the same order; the
            index is ignored. An iterable yields batches `(x, y)` or `(x, y, sample_weight)` and is
            iterated from the start at each epoch; `y` and `validation_split` are then not allowed.
        y : array (n, O) or (E, n, O), or classes (n,); a Series or DataFrame
            The targets. Integers in 0 .. K-1 are class indices. Other integers, text, booleans and
            categories are labels, which are kept in `classes_`; there must be as many of them as
            the model has classes. For an iterable, give the labels as `classes` when making the
            model.
        optimizer : Optimizer or Method
            The optimizer; its state continues from an earlier `fit`.
        epochs : int, default 10
            Number of passes through the training data.
        batch_size : int, optional
            Number of samples per step, 32 by default; the last batch of an epoch may be smaller.
            For a full-batch method such as `LBFGS`, the number of rows computed at once, 8,192 by
            default; it does not change the result beyond rounding.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
            Evaluated after every epoch.
        validation_split : float, default 0
            Fraction of the rows to hold out for validation if `validation_data` is not given. They
            are drawn at random, stratified by class.
        validation_shuffle : bool, default True
            If False, hold out the last rows instead, as is usual for time series.
        folds : True or array (n,) of int, optional
            Train each member of an ensemble on all folds but one, and validate it on that fold.
            True draws as many folds as there are members; an array gives the fold of each row.
            `history.oof_prediction` and `history.oof_scores` then hold out-of-fold predictions and
            their scores: no member has seen the rows that it predicts.
        callbacks : sequence of Callback, default ()
            Objects whose hooks are called around epochs and batches.
        metrics : sequence of Metric, optional
            Metrics to record on training batches and on validation data. By default only the
            validation data are measured, with the usual metrics of the loss.
        sample_weight : array (n,) or (E, n), optional
            Numbers >= 0. A sample of weight 2 counts as two samples; one of weight 0 is ignored,
            also in the statistics of BatchNorm. The weights of held-out rows apply to the
            validation figures. See the notes below.
        class_weight : dict of label to number, or "balanced", optional
            Factors for the sample weights of each class, applied in training but not in
            validation. The keys are labels as in `y`; "balanced" gives every class the same total
            weight in the training rows (of each member), sample weights included.
            With a communicator it must be a dict.
        shuffle : bool, default True
            Whether to shuffle the rows at every epoch.
        verbose : int, default 1
            0 is silent, 1 shows progress on stderr: see `ProgressBar`.
        resume : dict, optional
            A snapshot of an earlier training, taken by the last callback of its list as
            `self.session.snapshot()`.
            With the same data and options this training continues exactly where that one was, and
            holds out the same rows. Data with another number of rows, and another optimizer, loss
            or network, are refused; a learning rate that is given anew is used, and with other
            `epochs`, a schedule that spans the training spans these. With `LBFGS` and
            `TrustNewton` it continues from the weights, without SciPy's memory of its steps.
        communicator : Communicator, optional
            Joins this training with those of other ranks for data-parallel training, in which each
            rank has its own rows. Recorded metrics and validation figures are means over the
            ranks, weighted by their numbers of rows.
        compiled : bool, optional
            Whether to compile the training steps to machine code, with the extra
            `mlpgrad[compiled]`: False never does; True does even for few steps, and raises an error
            that says why if the options do not allow it; None does where it pays, given the number
            of steps and the size of the network. If a step turns out not to be compilable, NumPy
            trains. `model.compiled_because` gives the reason. Results differ by rounding.

        Returns
        -------
        History
            Losses and metrics by name, one value per epoch. Ctrl-C ends training after the current
            batch: the model keeps what it has learned, and `history.interrupted` is True. A second
            Ctrl-C raises KeyboardInterrupt.

        Raises
        ------
        TypeError, ValueError
            If data or options are not valid. An error before the first step leaves the model as it
            was.
        DivergenceError
            As soon as the loss is not finite. The model then holds earlier, finite weights from
            which training can continue, for instance with a lower learning rate, and the optimizer
            is reset.
        RuntimeError
            If another thread is fitting this model, or is using this optimizer in a `fit`. Other
            threads may predict, evaluate and save during training: they see a consistent set of
            weights, from between two steps.

        Notes
        -----
        A step divides each weight by the mean weight of all training rows (of the same member),
        and the sum over the batch by its number of rows. The expected gradient of a step is
        therefore that of sum(w l) / sum(w) over the training rows, whatever the batch size, and a
        common factor of all weights has no effect. PyTorch divides by the sum of the weights of
        the batch instead: with `batch_size=1` class weights then have no effect, and in small
        batches too little. Batches from an iterable are only divided by their number of rows,
        because the mean weight of all batches is not known: give weights whose mean is about 1.

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
        method = method_of(optimizer, compiled)
        with fitted(self, method.optimizer):  # it changes the model before it trains
            epochs, batch_size = check_counts(self, epochs, batch_size, method.rows_at_once)
            check_attributes(self, optimizer)
            before = Before(self)
            with before.put_back_if_refused():
                rows = self, x, y, sample_weight, class_weight
                given: dict[str, Any] = {"batch_size": batch_size, "folds": folds, "resume": resume}
                batches = training_batches(
                    *rows,
                    **given,
                    shuffle=arguments.flag(shuffle, "shuffle"),
                    held_out=check_validation(validation_data, validation_split, folds),
                    in_order=not arguments.flag(validation_shuffle, "validation_shuffle"),
                )
                session = Session(
                    self,
                    method,
                    batches,
                    validation=validation_rows(self, batches, validation_data),
                    callbacks=[*check_callbacks(callbacks), *progress_bars(verbose)],
                    metrics=None if metrics is None else listed(metrics),
                    epochs=epochs,
                    record=History(),
                    communicator=checked(communicator, class_weight),
                    before=before,
                )
                self.uncertainty = None
            session.run(resume)
        return session.record  # type: ignore[return-value]  # the History above

    @suggesting
    def evaluate(
        self, x: Any, y: Any, *, sample_weight: Any = None, metrics: Sequence[Metric] | None = None
    ) -> dict[str, Any]:
        """Compute the objective and the metrics on data, in prediction mode.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`; means are weighted, sum(w l) / sum(w).
        metrics : sequence of Metric, optional
            By default `"accuracy"` for a classification loss, together with `"baseline_accuracy"`,
            the accuracy of always predicting the most frequent class; otherwise `"r2"`, which is 0
            for always predicting the mean.

        Returns
        -------
        dict
            `"loss"` (with penalties, as in training) and each metric by name; a float, or an array
            `(E,)` for an ensemble. Figures of the ensemble as a whole, whose prediction is the
            mean over the members, are floats with names such as `"ensemble_loss"` (without
            penalties) and `"ensemble_accuracy"`; they are left out if each member has its own
            data.
        """
        with self.reading() as network:
            network.follow()
            x = network.inputs_to_predict(x)
            target, weights = network.checked_targets(y, sample_weight, *x.shape[-2:])
            return evaluate(network, x, target, weights, metrics, together=True)

    fit_scaling = scalings.fit_scaling
    learning_rate_range_test = learning_rate_range_test

    @suggesting
    def save(self, path: str | Path) -> None:
        """Write the model to a `.npz` file with a JSON description; `mg.load(path)` reads it.

        The file is written completely or not at all. An existing file is replaced and keeps its
        mode, and also its owner if the process is allowed to set it.

        Parameters
        ----------
        path : str or Path
            Name of the file; no suffix is added. Symbolic links are followed.

        Raises
        ------
        TypeError
            If a layer or loss has an option that cannot be written to a file, such as a function.
        ValueError
            If `model.uncertainty` was fitted with other weights or options of layers than the
            model has now.
        FileNotFoundError
            If the folder does not exist.
        IsADirectoryError, FileExistsError
            If there is something other than a regular file at `path`, such as a named pipe.

        Examples
        --------
        >>> import pathlib, tempfile, mlpgrad as mg
        >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0)
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.npz")
        >>> model.save(path)
        >>> path.exists()
        True
        """
        from mlpgrad.exchange import npz

        path = paths.path(path)
        with self.reading() as network:
            npz.save(network, path)

    if not TYPE_CHECKING:

        def __getitem__(self, index: Any) -> Any:
            """Raise TypeError: the layers of a model are in `layers`."""
            raise TypeError(f"a model has no items; write model.layers[{index!r}]")
