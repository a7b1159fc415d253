"""The output of training to any stderr, and the errors that it raises."""

import contextlib
import io
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.plotting.live import progress_line
from mlpgrad.training.progress import LONGEST, _Log
from tests.kinds import subclasses

X, Y = mg.datasets.moons(40, noise=0.2, random_state=0)


def train(**options):
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
    options = {"optimizer": mg.SGD(0.1), "epochs": 3} | options
    return model, model.fit(X, Y, **options)


# all kinds of stderr


class Breaking(io.StringIO):
    """Claims to be a terminal, and cannot be written to."""

    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError("nobody reads")


class WriteOnly:
    """Has only the method write."""

    def write(self, text):
        self.text = getattr(self, "text", "") + text


class Ascii(io.StringIO):
    encoding = "ascii"

    def isatty(self):
        return True


def written(message, category, *_, **__):
    """Show a warning as Python does, in place of pytest."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{category.__name__}: {message}")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


class ClosedLater(io.StringIO):
    """Is closed after its first line."""

    def isatty(self):
        return True

    def write(self, text):
        super().write(text)
        self.close()


STREAMS = {
    "None": lambda: None,
    "closed": closed,
    "object": object,
    "write only": WriteOnly,
    "broken": Breaking,
    "closed later": ClosedLater,
    "ascii": Ascii,
    "text": io.StringIO,
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("tqdm", [True, False], ids=["tqdm", "plain"])
@pytest.mark.parametrize("live", [True, False], ids=["live", "bar"])
def test_no_stderr_ends_a_training(stream, tqdm, live, monkeypatch):
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    _, expected = train(verbose=0)
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    _, history = train(callbacks=[mg.LivePlot(interval=0)] if live else [])
    assert history["loss"] == expected["loss"]


@pytest.mark.parametrize("stream", STREAMS)
def test_no_stderr_ends_a_training_that_warns(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    monkeypatch.setattr(warnings, "showwarning", written)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        model = mg.Sequential([mg.Dense(2, 1), mg.Softmax()], loss=mg.HalfSquaredError())
        history = model.fit(np.eye(2), np.ones(2), optimizer=mg.SGD(0.1), epochs=2, verbose=0)
    assert history.epochs == 2


def test_an_error_of_a_handler_of_warnings_comes_out(monkeypatch):
    def show(*args, **options):
        raise ValueError("this handler fails")

    monkeypatch.setattr(warnings, "showwarning", show)
    warnings.simplefilter("always", mg.TrainingWarning)
    with pytest.raises(ValueError, match="this handler fails"):
        mg.Sequential([mg.Dense(2, 1), mg.Softmax()], loss=mg.HalfSquaredError())


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (3, 3), (10, 10), (25, 10), (1000, 10)])
def test_a_file_gets_a_line_each_tenth_of_the_epochs(epochs, lines, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    _, history = train(epochs=epochs, batch_size=40)
    written = sys.stderr.getvalue().splitlines()
    assert len(written) == lines
    assert written[-1].startswith(f"epoch {epochs}/{epochs}  loss {history['loss'][-1]:.4g}")
    assert written[-1].endswith("0 s left")


def test_a_file_gets_a_line_every_few_seconds_where_epochs_are_slow():
    log = _Log(1000)
    now = log._shown
    assert not log.is_due(5, now + LONGEST / 2)
    assert log.is_due(5, now + LONGEST)


def test_a_training_that_stops_early_says_its_last_epoch(monkeypatch):
    class Stop(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 6

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    train(epochs=1000, callbacks=[Stop()])
    assert sys.stderr.getvalue().startswith("epoch 7/1000  loss ")


@pytest.mark.parametrize("width", [10, 30, 50, 80, 100, 200])
@pytest.mark.parametrize("live", [True, False], ids=["live", "bar"])
def test_a_line_that_is_overwritten_fits_the_terminal_and_cuts_no_number(width, live, monkeypatch):
    class Terminal(io.StringIO):
        encoding, isatty = "utf-8", lambda self: True

    class Stop(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 6

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr("mlpgrad.training.progress.SHORTEST", 0)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stderr", Terminal())
    callbacks = [mg.LivePlot(interval=0), Stop()] if live else [Stop()]
    _, history = train(epochs=1000, validation_split=0.5, callbacks=callbacks)
    *overwritten, last = sys.stderr.getvalue().split("\r")[1:]
    assert overwritten
    assert all(len(line) < width for line in overwritten)
    numbers = {f"{value:.4g}" for values in history.values() for value in values}
    for line in [*overwritten, last]:
        assert set(re.findall(r"(?:loss|accuracy) (\S+)", line)) <= numbers
    if not live:  # the last line stays, so it may wrap
        assert f"val_accuracy {history['val_accuracy'][-1]:.4g}" in last
        assert last.endswith("  0 s left\n")


def test_verbose_0_is_silent(capfd):
    train(verbose=0)
    assert capfd.readouterr() == ("", "")


def test_values_that_are_no_numbers_are_shown_as_they_are(monkeypatch):
    class Note(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["note"] = "fine"

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    train(callbacks=[Note()])
    assert "note fine" in sys.stderr.getvalue()


def test_every_metric_is_shown_whatever_its_name(monkeypatch):
    class ErrorRate(mg.Accuracy):
        name = "error_rate"

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    _, history = train(metrics=[ErrorRate()])
    assert "error_rate" in sys.stderr.getvalue()
    assert "error_rate" in repr(history)
    assert "error_rate" in progress_line(history, 2, 0, 200)
    assert "learning_rate" not in sys.stderr.getvalue() + repr(history)


NOTEBOOK = """
import sys, types, warnings
class ZMQInteractiveShell:
    config, kernel = {"IPKernelApp": {}}, None
fake = types.ModuleType("IPython")
fake.get_ipython, fake.version_info, fake.__path__ = lambda: ZMQInteractiveShell(), (9, 0), []
sys.modules |= {"IPython": fake, "ipywidgets": None}
warnings.simplefilter("error")
import mlpgrad as mg
x, y = mg.datasets.moons(50, random_state=0)
model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
model.fit(x, y, optimizer=mg.SGD(0.1), epochs=2)
"""


def test_a_notebook_without_ipywidgets_does_not_warn():
    pytest.importorskip("tqdm")
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "IProgress" not in done.stderr
    assert "2/2" in done.stderr


def test_a_notebook_shows_a_summary_as_text():
    summary = train(verbose=0)[0].summary()
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert "\n0  Dense(2, 4)" in repr(summary)
    pretty = pytest.importorskip("IPython.lib.pretty")
    assert pretty.pretty(summary) == str(summary)


# errors of callbacks reach the user unchanged

HOOKS = [name for name in vars(mg.Callback) if name.startswith("on_")]


class Mistake(Exception):
    """Raised by a callback."""


def failing(hook):
    """A callback of which one hook fails."""

    def fail(self, *args):
        raise Mistake(hook)

    return type("Failing", (mg.Callback,), {hook: fail})()


class Ends(mg.Callback):
    """Records whether its hooks for the begin and end of training were called."""

    begun = ended = 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_train_end(self, logs=None):
        self.ended += 1


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [StopIteration, GeneratorExit, SystemExit, ZeroDivisionError])
def test_errors_of_every_kind_come_out_as_they_are(hook, error):
    def fail(self, *args):
        raise error("of a callback")

    callback = type("Failing", (mg.Callback,), {hook: fail})()
    with pytest.raises(error, match="of a callback"):
        train(callbacks=[callback], verbose=0)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("shipped", [True, False])
def test_an_error_of_a_hook_is_the_one_that_comes_out(hook, verbose, shipped, tmp_path):
    first, last = Ends(), Ends()
    others = []
    if shipped:  # each must end well, even if training has not begun for it
        others = [cls.example() for cls in subclasses(mg.Callback) if cls is not mg.ModelCheckpoint]
        others += [mg.ModelCheckpoint(tmp_path / "best.npz")]
    with pytest.raises(Mistake, match=hook):
        train(callbacks=[first, failing(hook), *others, last], verbose=verbose)
    assert (first.begun, first.ended) == (1, 1)
    assert last.begun == last.ended == (hook != "on_train_begin")


def test_the_first_error_is_the_one_that_is_raised():
    with pytest.raises(Mistake, match="on_epoch_end"):
        train(callbacks=[failing("on_epoch_end"), failing("on_train_end")], verbose=0)

    class Poison(mg.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.params = np.inf

    with pytest.raises(mg.DivergenceError):
        train(callbacks=[failing("on_train_end"), Poison()], verbose=0)


def test_an_error_at_the_end_comes_out_inside_an_except_block():
    try:
        raise KeyError
    except KeyError:
        with pytest.raises(Mistake):
            train(callbacks=[failing("on_train_end")], verbose=0)


# values that are not callbacks or metrics

WRONG = [
    (mg.EarlyStopping(3), r"callbacks expects a list.* write callbacks=\[EarlyStopping"),
    (
        [mg.EarlyStopping],
        r"got the class EarlyStopping at callbacks\[0\]; write EarlyStopping\(\.\.\.\)",
    ),
    (mg.EarlyStopping, r"got the class EarlyStopping; write \[EarlyStopping\(\.\.\.\)\]"),
    ([print], "got the function print; write a subclass of Callback whose on_epoch_end"),
    (lambda epoch, logs: None, "got the function <lambda>; write a subclass of Callback"),
    ("EarlyStoping", "did you mean 'EarlyStopping'"),
    (["EarlyStoping"], r"at callbacks\[0\]; did you mean 'EarlyStopping'"),
    ([mg.EarlyStopping(3), object()], r"got <object object .*at callbacks\[1\]"),
    ([[mg.EarlyStopping(3)]], r"got \[EarlyStopping\(patience=3\)\] at callbacks\[0\]"),
    (3, "got 3"),
    (None, "expects a list .*got None"),
]


@pytest.mark.parametrize(("callbacks", "message"), WRONG)
def test_wrong_callbacks_get_the_line_that_helps(callbacks, message):
    with pytest.raises(TypeError, match=f"callbacks expects .*{message.split('expects ')[-1]}"):
        train(callbacks=callbacks, verbose=0)


def test_a_callback_twice_is_refused():
    stopping = mg.EarlyStopping(3)
    with pytest.raises(ValueError, match=r"callbacks expects each object once.* make a second one"):
        train(callbacks=[stopping, stopping], verbose=0)
    train(callbacks=(mg.EarlyStopping(3), mg.EarlyStopping(3)), verbose=0)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (mg.Accuracy(), r"write metrics=\[Accuracy\(\)\]"),
        ([mg.Accuracy], r"got the class Accuracy at metrics\[0\]; write Accuracy\("),
        (mg.Accuracy, r"got the class Accuracy; write \[Accuracy\("),
        ("accuracy", r"got 'accuracy'; write \[mg.Accuracy\(\)\]"),
        (["accuracy"], r"got 'accuracy' at metrics\[0\]; write mg.Accuracy\(\)"),
        (3, "got 3"),
    ],
)
def test_wrong_metrics_get_the_line_that_helps(metrics, message):
    with pytest.raises(TypeError, match=f"metrics expects .*{message}"):
        train(metrics=metrics, verbose=0)
    with pytest.raises(TypeError, match=f"metrics expects .*{message}"):
        train(verbose=0)[0].evaluate(X, Y, metrics=metrics)


def test_metrics_may_be_any_iterable():
    _, history = train(metrics=(metric for metric in [mg.Accuracy()]), verbose=0)
    assert len(history["accuracy"]) == 3
    assert np.isfinite(history["accuracy"]).all()
