"""The live view: what it draws, how often, and where."""

import io
import subprocess
import sys
import time

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.history import History
from mlpgrad.plotting import live
from mlpgrad.plotting.live import ASCII_BARS, BARS, SHARE, progress_line, sparkline

pytestmark = pytest.mark.slow


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


class AsciiTerminal(Terminal):
    encoding = "ascii"


@pytest.fixture
def every_epoch(monkeypatch):
    """Let drawing take all of the time."""
    monkeypatch.setattr("mlpgrad.plotting.live.SHARE", 1)


def at_terminal(monkeypatch, stream, columns=80):
    # in the test itself: pytest replaces stderr between a fixture and its test
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    return stream


def train(callback, *, epochs=4, size=None, verbose=0, callbacks=(), **options):
    x, y = mg.datasets.xor()
    model = mg.Sequential(
        [mg.Dense(2, 2), mg.Tanh(), mg.Dense(2, 1)],
        loss=mg.SigmoidCrossEntropy(), random_state=0, ensemble_size=size,
    )  # fmt: skip
    return model.fit(
        x, y, optimizer=mg.Adam(0.1), epochs=epochs, callbacks=[callback, *callbacks],
        verbose=verbose, **options,
    )  # fmt: skip


def recorded(**curves):
    history = History()
    for values in zip(*curves.values(), strict=True):
        history.record(dict(zip(curves, values, strict=True)))
    return history


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([8, 4, 2, 1], "█▆▃▁"),  # logarithmic: halving is a straight line
        ([-3, -2, -1, 0, 1, 2, 3, 4], "▁▂▃▄▅▆▇█"),
        ([1, np.nan, 0, np.inf, -np.inf], "█?▁??"),
        ([0.5], "▁"),
        ([2, 2, 2], "▁▁▁"),
        ([np.nan, np.nan], "??"),
        ([0.0, 1e-300, 1.0], "▁▁█"),
        ([1e-300, 1.0], "▁█"),
    ],
)
def test_sparkline(values, bars):
    assert sparkline(values, width=30) == bars


def test_a_long_history_is_averaged_in_groups():
    assert sparkline([-1, -1, 0, 2, 2, 4], width=3) == "▁▅█"
    assert len(sparkline(np.linspace(9, 1, 10_000), width=17)) == 17


def test_the_line_of_known_losses():
    history = recorded(loss=[8.0, 4.0, 2.0, 1.0], val_loss=[9, 9, 9, 1.25], learning_rate=[1] * 4)
    assert progress_line(history, 6, 3.2, 79) == (
        "epoch 4/6  █▆▃▁    loss 1  val_loss 1.25  3 s left"
    )


def test_an_ensemble_is_its_mean():
    history = recorded(loss=[np.array([1.0, 15.0]), np.array([1.0, 0.0])])
    assert progress_line(history, 2, 0, 79) == "epoch 2/2  █▁  loss 0.5  0 s left"


@pytest.mark.parametrize("columns", [10, 30, 34, 40, 60, 79, 200])
def test_the_line_fits_the_terminal(columns):
    history = recorded(loss=list(np.geomspace(9, 1, 50)), val_loss=[1.2345] * 50)
    line = progress_line(history, 100, 3, columns)
    assert len(line) <= columns
    assert line.startswith("epoch 50/1")
    assert ("█" in line) == (columns >= 60)


def test_the_terminals_line(monkeypatch, every_epoch):
    terminal = at_terminal(monkeypatch, Terminal())
    history = train(mg.LivePlot(interval=0))
    lines = terminal.getvalue().split("\r")
    assert lines[0] == ""
    assert len(lines) == 5
    assert all(len(line.removesuffix("\n")) == 79 for line in lines[1:])
    assert lines[-1].endswith("\n")
    loss = f"{history['loss'][-1]:.4g}"
    assert lines[-1].startswith(
        f"epoch 4/4  {sparkline(history['loss'], 4)}  loss {loss}  0 s left"
    )


def test_ascii_where_the_terminal_cannot_show_bars(monkeypatch, every_epoch):
    terminal = at_terminal(monkeypatch, AsciiTerminal())
    history = train(mg.LivePlot(interval=0))
    assert terminal.getvalue().isascii()
    assert sparkline(history["loss"], 4, ASCII_BARS) in terminal.getvalue()
    assert len(ASCII_BARS) == len(BARS)


def test_it_takes_the_progress_bars_place(monkeypatch, every_epoch):
    terminal = at_terminal(monkeypatch, Terminal())
    train(mg.LivePlot(interval=0), verbose=0)
    alone = terminal.getvalue()
    terminal.truncate(0), terminal.seek(0)
    train(mg.LivePlot(interval=0), verbose=1)
    assert terminal.getvalue() == alone
    terminal.truncate(0), terminal.seek(0)
    train(mg.Callback(), verbose=1)  # the next training has a progress bar
    assert terminal.getvalue() != ""


def test_silent_where_stderr_is_no_terminal(monkeypatch):
    stream = at_terminal(monkeypatch, io.StringIO())
    train(mg.LivePlot(interval=0), verbose=0)
    assert stream.getvalue() == ""


def test_no_heavy_package_in_a_terminal():
    code = (
        "import sys; sys.stderr.isatty = lambda: True\n"
        "import mlpgrad as mg; x, y = mg.datasets.xor()\n"
        "model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())\n"
        "model.fit(x, y, optimizer=mg.Adam(), epochs=2, callbacks=[mg.LivePlot()])\n"
        "assert not {'matplotlib', 'IPython', 'tqdm'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "epoch 2/2" in done.stderr


class Slow(Terminal):
    """Writes slowly, and records the time of each line."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.times = seconds, []

    def write(self, text):
        if text.startswith("\r"):
            self.times.append(time.perf_counter())
            time.sleep(self.seconds)


class Wait(mg.Callback):
    def on_epoch_end(self, epoch, logs):
        time.sleep(0.002)


def test_drawings_keep_their_interval_and_the_last_epoch_is_drawn(monkeypatch):
    stream = at_terminal(monkeypatch, Slow(0))
    train(mg.LivePlot(interval=0.05), epochs=100, callbacks=[Wait()])
    gaps = np.diff(stream.times)
    assert gaps[:-1].min() >= 0.05  # the last line is written at the end
    assert 2 <= len(stream.times) < 100


def test_slow_drawing_takes_a_bounded_share_of_the_time(monkeypatch):
    stream = at_terminal(monkeypatch, Slow(0.005))
    train(mg.LivePlot(interval=0), epochs=150, callbacks=[Wait()])
    assert np.diff(stream.times)[1:-1].min() >= 0.005 / SHARE  # except for the first one
    assert len(stream.times) >= 4


def test_every_epoch_at_interval_0_and_only_the_ends_at_infinity(monkeypatch, every_epoch):
    terminal = at_terminal(monkeypatch, Terminal())
    train(mg.LivePlot(interval=np.inf), epochs=20)
    assert terminal.getvalue().count("\r") == 2
    for wrong in (-1, np.nan):
        with pytest.raises(ValueError, match="interval expects seconds, 0 or more"):
            mg.LivePlot(interval=wrong)


def test_an_interrupted_or_failed_training_ends_its_line(monkeypatch, every_epoch):
    terminal = at_terminal(monkeypatch, Terminal())

    class Break(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            raise KeyboardInterrupt

    assert train(mg.LivePlot(), callbacks=[Break()]).epochs == 1
    assert terminal.getvalue().endswith("\n")
    terminal.truncate(0), terminal.seek(0)

    class Poison(mg.Callback):
        def on_train_batch_begin(self, batch, logs):
            self.model.params = np.nan

    with pytest.raises(mg.DivergenceError):
        train(mg.LivePlot(), callbacks=[Poison()])
    assert terminal.getvalue() == ""  # not even one epoch


NOTEBOOK = """
import mlpgrad as mg
mg.plotting.live.SHARE = 1  # updates even where drawing is slow
x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
                      loss=mg.SigmoidCrossEntropy(), random_state=0)
class Wait(mg.Callback):
    def on_epoch_end(self, epoch, logs):
        import time
        time.sleep(0.1)
history = model.fit(x, y, optimizer=mg.Adam(1e-2), epochs=25, validation_split=0.2,
                    metrics=[mg.Accuracy()], callbacks=[mg.LivePlot(interval=0.2), Wait()])
assert "matplotlib.pyplot" not in __import__("sys").modules
"""


@pytest.mark.filterwarnings("ignore")  # warnings of the kernel's transport
def test_a_notebook_shows_one_figure_that_is_updated_in_place():
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra `test`")
    nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra `test`")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    messages = []

    class Client(nbclient.NotebookClient):
        def process_message(self, message, cell, cell_index):
            messages.append(message)
            return super().process_message(message, cell, cell_index)

    Client(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    kinds = [message["msg_type"] for message in messages]
    assert kinds.count("display_data") == 1
    assert kinds.count("update_display_data") >= 2
    pictures = [m["content"] for m in messages if "display_data" in m["msg_type"]]
    assert len({content["transient"]["display_id"] for content in pictures}) == 1
    assert len({content["data"]["image/png"] for content in pictures}) == len(pictures)
    assert output.data["image/png"] == pictures[-1]["data"]["image/png"]


@pytest.mark.parametrize("size", [None, 3])
def test_the_figure_has_losses_and_metrics(monkeypatch, every_epoch, size):
    pytest.importorskip("IPython", reason="notebooks need the extra `test`")
    drawn, plotted = [], []
    monkeypatch.setattr("mlpgrad.plotting.live.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda image, **options: Handle(drawn, image))
    plot = live.learning_curves

    def keep(*args, **options):
        plotted.append(plot(*args, **options))
        return plotted[-1]

    monkeypatch.setattr(live, "learning_curves", keep)
    history = train(
        mg.LivePlot(interval=0), size=size, metrics=[mg.Accuracy(), mg.LogLoss()],
        validation_data=mg.datasets.xor(),
    )  # fmt: skip
    assert len(drawn) == 4
    assert all(image.data.startswith(b"\x89PNG") for image in drawn)
    assert drawn[-1].alt == f"Learning curves: {history!r}"
    lines = {line.get_label(): line.get_ydata() for axes in plotted[-2:] for line in axes.lines}
    labels = ("training loss", "training log loss", "validation accuracy")
    for label, name in zip(labels, ("loss", "log_loss", "val_accuracy"), strict=True):
        expected = np.array(history[name])
        expected = expected if size is None else expected.mean(axis=1)
        np.testing.assert_allclose(lines[label], expected)


class Handle:
    def __init__(self, drawn, image):
        self.drawn = drawn
        self.update(image)

    def update(self, image):
        self.drawn.append(image)
