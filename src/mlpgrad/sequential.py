"""`Sequential`, the model that people use: a network that is trained, evaluated and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mlpgrad._core import arguments
from mlpgrad._core.advice import advice
from mlpgrad._core.described import nearest, suggesting
from mlpgrad._core.habits import CALLED, MODEL
from mlpgrad.derivatives.differentiable import Differentiable
from mlpgrad.history import History
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import listed
from mlpgrad.network.fitting import check_not_fitted
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.range_test import learning_rate_range_test
from mlpgrad.training import scalings
from mlpgrad.training.before import Before
from mlpgrad.training.callbacks import Callback, check_callbacks
from mlpgrad.training.communicator import Communicator
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
from mlpgrad.uncertainty.answers import Answers

if TYPE_CHECKING:
    from pathlib import Path


class Sequential(Differentiable, Answers):
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
    target_scaling : None or "standard", default None
        "standard" trains on (y - mean) / deviation of each target. The first `fit` takes both from
        its training rows, `fit_scaling` takes new ones. `predict` and metrics are in the unit of
        `y`; the loss and its gradients are in that of the training. For losses on numbers only.
    classes : sequence of labels, optional
        What `y` calls the classes, in the order of the outputs: text, numbers or booleans. By
        default `fit` learns it from `y`. Two labels for one output that tells two classes apart;
        a name for each output where these are labels of their own.
    encoder : mlpgrad.tables.TableEncoder, optional
        Makes numbers of a table wherever the model takes `x`. The model keeps a copy, which learns
        from the rows that `fit` trains on (unless it has learnt already), and which files hold.

    Attributes
    ----------
    params, grads : array (P,) or (E, P)
        Every parameter and its gradient. Layers hold views: change values, never the array.
    state : array (S,) or (E, S)
        What else the layers keep between batches, such as running means.
    parameters, statistics : list of Slot
        Name, place and shape of each array in `params` and in `state`.
    classes_ : array (K,) or None
        The label of each class, with which `predict_classes` answers.
    feature_names_ : tuple of str or None
        The columns of the frame that `fit` was given.

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
            May be memory-mapped: it is read a block at a time. The names of a frame's columns
            are kept, and later frames must have them in this order; the index does not count. An
            iterable yields batches `(x, y)` or `(x, y, sample_weight)` and is begun anew at each
            epoch; then there is no `y`, and no split.
        y : array (n, O) or (E, n, O), or classes (n,); a Series or DataFrame
            Integers inside 0 .. K-1 are indices of classes. Other integers, text, booleans and
            categories are labels, which `classes_` keeps; they must be as many as the outputs tell
            apart. Labels of an iterable have to be given as `classes`.
        optimizer : Optimizer or Method
            Its state goes on where an earlier `fit` left it.
        epochs : int, default 10
            Passes through the data.
        batch_size : int, optional
            Samples of a step, 32 by default; the last batch of an epoch may be shorter. For a
            method that sees all rows, such as `LBFGS`, the rows computed at once, 8,192 by default.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
            Evaluated after every epoch.
        validation_split : float, default 0
            Without `validation_data`, this share of the rows is held out: drawn at random, each
            class in proportion.
        validation_shuffle : bool, default True
            False holds out the last rows instead, for rows in order of time.
        folds : True or array (n,) of int, optional
            Each member of an ensemble trains on all folds but one and is validated on that one.
            True draws a fold for each member; an array gives the fold of each row. In
            `history.oof_prediction` and `.oof_scores` no member has seen the row that it predicts.
        callbacks : sequence of Callback, default ()
        metrics : sequence of Metric, optional
            Recorded on the training batches as well. By default only the validation set is
            measured, with the loss's own metrics.
        sample_weight : array (n,) or (E, n), optional
            Numbers >= 0; a sample of weight 2 counts as two, one of weight 0 is left out, also
            in the statistics of BatchNorm. The weights of held-out rows belong to the validation
            figures. See the notes below.
        class_weight : dict of label to number, or "balanced", optional
            Multiplies the weights of each class's samples in training, never in validation. The
            keys are labels as they are in `y`; "balanced" gives every class the same total
            weight among the rows that are trained on.
        shuffle : bool, default True
            Whether the rows come in a new order at every epoch.
        verbose : int, default 1
            0 is silent, 1 shows progress on stderr: see `ProgressBar`.
        resume : dict, optional
            A snapshot of an earlier training, taken by a callback as `self.session.snapshot()`.
            With the same options this training goes on exactly where that one was; with `LBFGS`
            and `TrustNewton` it goes on from the weights, without what SciPy knew of earlier steps.
        communicator : Communicator, optional
            Joins this training with those of other ranks, each on rows of its own. Recorded values
            of metrics and of validation data are the ranks' means, weighted by their rows.
        compiled : bool, optional
            Whether steps are compiled to machine code, with the extra `mlpgrad[compiled]`: False
            never, True always (an error says what is against it), None where it pays by the
            number of steps and the size of the network. `model.compiled_because` says why not.
            Results differ by rounding.

        Returns
        -------
        History
            Losses and metrics by name, one value an epoch.

        Raises
        ------
        DivergenceError
            As soon as the loss is not finite. The model then holds weights from before that
            training can go on from, for instance with a lower learning rate, and the optimizer
            is reset.
        RuntimeError
            If another thread is fitting this model, or using the optimizer in a fit. Other
            threads may predict, evaluate and save meanwhile: they get the weights of one moment,
            from between two steps.

        Notes
        -----
        A step divides each weight by the mean weight of all training rows (of the same member),
        and the sum over the batch by its number of rows. So the expected step is the gradient of
        sum(w l) / sum(w) over the training rows, whatever the batch size, and the size of the
        weights does not matter. PyTorch divides by the sum of the weights of the batch instead:
        with `batch_size=1` class weights then do nothing at all, and in small batches less than
        they should. Batches from an iterable are divided by their number of rows alone, since
        the mean weight of all of them is not known: give weights whose mean is about 1.

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
        check_not_fitted(self)
        epochs, batch_size = check_counts(self, epochs, batch_size, method.rows_at_once)
        before = Before(self)
        with before.put_back_if_refused():
            rows = self, x, y, sample_weight, class_weight
            batches = training_batches(
                *rows,
                batch_size=batch_size,
                shuffle=arguments.flag(shuffle, "shuffle"),
                held_out=check_validation(validation_data, validation_split, folds),
                in_order=not arguments.flag(validation_shuffle, "validation_shuffle"),
                folds=folds,
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
                communicator=communicator,
                before=before,
            )
            self.uncertainty = None
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
            As for `backpropagate`; means are weighted, sum(w l) / sum(w).
        metrics : sequence of Metric, optional
            By default `"accuracy"` where the loss classifies, beside `"baseline_accuracy"`, which
            is that of always saying the largest class; else `"r2"`, which is 0 for always saying
            the mean.

        Returns
        -------
        dict
            `"loss"` (with penalties, as in training) and each metric by name; a float, or an
            array `(E,)` for an ensemble. The figures of an ensemble as a whole, whose probabilities
            or numbers are the mean over the members, are floats with names such as
            `"ensemble_loss"` (without penalties) and `"ensemble_accuracy"`; they are left out where
            members have data of their own.
        """
        with self.reading() as network:
            checked = network.checked(x, y, sample_weight)
            return evaluate(network, *checked, metrics, together=True)

    fit_scaling = scalings.fit_scaling
    learning_rate_range_test = learning_rate_range_test

    def save(self, path: str | Path) -> None:
        """Write the model to a `.npz` file with a JSON description; `mg.load(path)` reads it.

        The file appears whole or not at all. A file that is saved again keeps its mode, and its
        owner where the process may set it.

        Parameters
        ----------
        path : str or Path
            The file's name as it is, to which nothing is added. Symbolic links are followed.

        Raises
        ------
        TypeError
            If a layer or loss holds what a file cannot, such as a function.
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

        path = arguments.path(path)
        with self.reading() as network:
            npz.save(network, path)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what an attribute of another library's models is called here."""
            if name.startswith("__"):  # Python asks for those itself, with every copy
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            known = [known for known in dir(type(self)) if not known.startswith("_")]
            instead = advice(name, MODEL) or nearest(name, known)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{instead}")

    def __call__(self, *inputs: Any) -> NoReturn:
        """Say what to write instead: predicting and training are different calls."""
        raise TypeError(f"a model is not called; write {CALLED}, or for training model.fit(...)")
