"""Sessions joined by a communicator train as one; here the ranks are threads."""

import re
import threading

import numpy as np
import pytest

import mlpgrad as mg

X, Y = mg.datasets.moons(96, noise=0.2, random_state=0)


class Failed(RuntimeError):
    """Another rank has failed."""


class Queues:
    """An all-reduce between threads: all wait at a barrier, and sum in one order."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.parts = [None] * size
        self.error = None
        self.calls = 0

    def rank(self, number):
        return Rank(self, number)

    def exchange(self, number, array):
        self.parts[number] = array.copy()
        try:
            self.barrier.wait()
            parts = list(self.parts)
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise Failed(f"another rank failed: {self.error!r}") from None
        if len({part.shape for part in parts}) > 1:
            raise ValueError("the ranks have different numbers of batches")
        return parts


class Rank:
    def __init__(self, queues, rank):
        self.queues, self.rank, self.size = queues, rank, queues.size

    def allreduce(self, array):
        self.queues.calls += self.rank == 0
        array[...] = sum(self.queues.exchange(self.rank, array))

    def broadcast(self, array):
        array[...] = self.queues.exchange(self.rank, array)[0]

    def abort(self, error):
        self.queues.error = self.queues.error or error
        self.queues.barrier.abort()


def model(size=None, seed=0, **options):
    layers = [mg.Dense(2, 6), mg.Tanh(), mg.Dense(6, 1)]
    options = {"loss": mg.SigmoidCrossEntropy(), "dtype": "float64"} | options
    return mg.Sequential(layers, random_state=seed, ensemble_size=size, **options)


def batches(rank, ranks, size, weights=None):
    """This rank's rows of each batch of `size`, in the order of the data."""
    for start in range(0, len(X), size):
        rows = slice(start + rank, start + size, ranks)
        part = X[rows], Y[rows]
        yield part if weights is None else (*part, weights[rows])


class Rows:
    """An iterable that starts again in each epoch."""

    def __init__(self, *args):
        self.args = args

    def __iter__(self):
        return batches(*self.args)


def joined(make, data, ranks=2, weights=None, **options):
    """Train in several threads; return each thread's model and history, or its error.

    `data(rank)` is a stream, or a tuple `(x, y)`, whose weights are `weights(rank)`.
    """
    queues, results = Queues(ranks), [None] * ranks

    def run(rank):
        network = make(rank)
        chosen = {name: value() if callable(value) else value for name, value in options.items()}
        try:
            rows = data(rank)
            history = network.fit(
                *(rows if isinstance(rows, tuple) else [rows]),
                sample_weight=weights and weights(rank),
                communicator=queues.rank(rank),
                epochs=4,
                verbose=0,
                **chosen,
            )
            results[rank] = network, history
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, queues


def adam():
    return mg.Adam(0.05, clip_norm=1.0, weight_decay=0.01)


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_ranks_train_as_one(size, weighted):
    weights = np.linspace(0.2, 3, len(X)) if weighted else None
    results, _ = joined(
        lambda rank: model(size, seed=rank, penalties=[mg.L2(0.01)]),  # rank 0's weights are used
        lambda rank: Rows(rank, 2, 24, weights),
        optimizer=adam,
        metrics=None,
    )
    alone = model(size, penalties=[mg.L2(0.01)])
    history = alone.fit(Rows(0, 1, 24, weights), optimizer=adam(), epochs=4, verbose=0)
    for network, found in results:
        np.testing.assert_allclose(network.params, alone.params, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found["loss"], history["loss"], rtol=1e-12)
    np.testing.assert_array_equal(results[0][0].params, results[1][0].params)


def test_ranks_with_batches_of_different_sizes_weigh_their_rows():
    def data(rank):
        rows = slice(0, 10) if rank == 0 else slice(10, 40)
        return [[X[rows], Y[rows]]] * 3

    results, _ = joined(lambda rank: model(), data, optimizer=adam)
    alone = model()
    alone.fit([[X[:40], Y[:40]]] * 3, optimizer=adam(), epochs=4, verbose=0)
    np.testing.assert_allclose(results[1][0].params, alone.params, rtol=1e-12, atol=1e-12)


def test_a_failure_of_one_rank_ends_all_with_its_message():
    def data(rank):
        for number, batch in enumerate(batches(rank, 2, 24)):
            if rank == 1 and number == 2:
                raise OSError("rank 1 has lost its file")
            yield batch

    (first, second), _ = joined(lambda rank: model(), data, optimizer=adam)
    assert isinstance(first, Failed)
    assert isinstance(second, RuntimeError)
    assert "rank 1 has lost its file" in str(first)
    assert "rank 1 has lost its file" in str(second)


def test_a_rank_that_stops_stops_all_after_the_same_batch():
    class Stops(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            if threading.current_thread() is not threading.main_thread() and epoch == 1:
                self.model.stop_training = self.session.communicator.rank == 1

    results, _ = joined(
        lambda rank: model(), lambda rank: Rows(rank, 2, 24), optimizer=adam,
        callbacks=lambda: [Stops()],
    )  # fmt: skip
    assert [history.epochs for _, history in results] == [2, 2]
    np.testing.assert_array_equal(results[0][0].params, results[1][0].params)


def test_divergence_of_one_rank_is_divergence_of_all():
    def data(rank):
        for number, (x, y) in enumerate(batches(rank, 2, 24)):
            yield (x * 1e200 if rank == 0 and number == 1 else x), y

    results, _ = joined(
        lambda rank: model(loss=mg.MeanSquaredError()), data, optimizer=lambda: mg.SGD(1e150)
    )
    assert all(isinstance(error, mg.DivergenceError) for error in results)
    assert {error.batch for error in results} <= {1, 2}
    assert results[0].batch == results[1].batch


def test_ranks_that_run_out_of_batches_at_different_times_say_so():
    results, _ = joined(
        lambda rank: model(), lambda rank: [[X[:8], Y[:8]]] * (3 + rank), optimizer=adam
    )
    assert all(isinstance(error, Exception) for error in results)
    assert any("different numbers of batches" in str(error) for error in results)


def test_the_communicator_is_called_in_three_places_only():
    _, queues = joined(lambda rank: model(), lambda rank: Rows(rank, 2, 24), optimizer=adam)
    steps, epochs = 4 * 4, 4
    # before training a comparison of the ranks, then a gradient per step, and at the end of an
    # epoch its sums, and whether to continue (except after the last)
    assert queues.calls == 1 + steps + epochs + (epochs - 1)


class StopsWithin(mg.Callback):
    """Stops in the middle of an epoch on one rank only."""

    def __init__(self, rank, interrupts=False):
        self.rank, self.interrupts = rank, interrupts

    def on_train_batch_end(self, batch, logs):
        if batch == 1 and self.session.communicator.rank == self.rank:
            self.model.stop_training = True
            self.session.record.interrupted = self.interrupts


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("interrupts", [False, True], ids=["stop_training", "ctrl-c"])
def test_a_rank_that_stops_within_an_epoch_stops_all(rank, interrupts):
    results, _ = joined(
        lambda rank: model(),
        lambda rank: Rows(rank, 2, 16),
        optimizer=lambda: mg.SGD(0.1),
        callbacks=lambda: [StopsWithin(rank, interrupts)],
    )
    (first, history), (second, other) = results
    assert first.params.tobytes() == second.params.tobytes()
    assert dict(history) == dict(other)
    assert history.epochs == (0 if interrupts else 1)
    assert history.interrupted == other.interrupted == interrupts


def test_ranks_agree_on_what_they_measure():
    results, _ = joined(
        lambda rank: model(),
        lambda rank: (X[rank::2], Y[rank::2]),
        optimizer=lambda: mg.SGD(3.0),
        callbacks=lambda: [
            mg.ReduceOnPlateau(0.1, patience=0, monitor="val_loss"),
            mg.EarlyStopping(1, monitor="val_accuracy"),
        ],
        metrics=lambda: [mg.Accuracy()],
        validation_split=0.3,
        batch_size=8,
    )
    (first, history), (second, other) = results
    assert first.params.tobytes() == second.params.tobytes()
    assert dict(history) == dict(other)


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ("validation_data", "differ in validation data .*rank {} has validation data: {}"),
        ("metrics", "differ in the number of metrics"),
        ("epochs", "differ in epochs"),
    ],
)
def test_ranks_that_are_asked_for_different_things_say_so_before_they_train(difference, message):
    given = {"validation_data": (X, Y), "metrics": [mg.Accuracy()], "epochs": 7}[difference]
    queues, errors = Queues(2), [None, None]

    def run(rank):
        options = {"epochs": 4} | ({difference: given} if rank == 0 else {})
        with pytest.raises(ValueError, match="the ranks need the same arguments") as caught:
            model().fit(
                X, Y, optimizer=mg.SGD(0.1), communicator=queues.rank(rank), verbose=0, **options
            )
        errors[rank] = str(caught.value)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rank, error in enumerate(errors):
        assert re.search(message.format(rank, rank == 0), error)
    assert queues.calls == 1


def test_ranks_with_other_classes_or_columns_say_so():
    """Labels in another order would be other classes."""
    errors = []

    def train(rank):
        network = mg.Sequential([mg.Dense(2, 2)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
        y = np.where(Y == 1, "a", "b" if rank else "c")
        options = {"epochs": 1, "verbose": 0, "communicator": queues.rank(rank)}
        try:
            network.fit(X, y, optimizer=mg.SGD(0.1), **options)
        except ValueError as error:
            errors.append(str(error))

    queues = Queues(2)
    threads = [threading.Thread(target=train, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(errors) == 2
    assert all("differ in the classes (['a' '" in error for error in errors)


@pytest.mark.parametrize("wrong", [np.ones(2), "mpi", Queues(2)])
def test_what_is_no_communicator_is_named(wrong):
    with pytest.raises(TypeError, match="communicator expects an object with rank, size, allred"):
        model().fit(X, Y, optimizer=adam(), epochs=1, verbose=0, communicator=wrong)


def test_classes_are_not_balanced_by_the_rows_of_one_rank():
    with pytest.raises(ValueError, match="class_weight expects a dict if there is a communicator"):
        model().fit(
            X,
            Y,
            optimizer=adam(),
            epochs=1,
            verbose=0,
            communicator=Queues(2).rank(0),
            class_weight="balanced",
        )
