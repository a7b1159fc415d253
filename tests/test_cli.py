"""The command line: its output, files and errors."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mlpgrad as mg
from tests.cli.running import run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_digits_reach_97_percent_and_are_checked_and_saved(capsys, tmp_path):
    code, out, err = run(capsys, "train", "digits")
    assert code == 0
    assert all(line.startswith("epoch ") for line in err.splitlines())  # not a terminal: lines
    accuracy = dict(pair.split() for pair in out.split("accuracy: ")[1].split("\n")[0].split(", "))
    assert set(accuracy) == {"train", "validation", "test"}
    assert float(accuracy["test"]) >= 0.97
    assert "PASS: the gradient is correct" in out
    assert "9,610 parameters" in out
    model = mg.load(tmp_path / "mlpgrad-output" / "model.npz")
    x, y = mg.datasets.digits()
    assert model.evaluate(x, y)["accuracy"] > 0.97
    assert (tmp_path / "mlpgrad-output" / "loss.png").read_bytes()[:4] == b"\x89PNG"


def test_the_split_is_fixed_and_the_seed_changes_the_training(capsys):
    short = ("train", "digits", "--epochs", "2", "--quiet")
    first, same, other = (run(capsys, *short, "--seed", s)[1] for s in ("1", "1", "2"))

    def lines(out):
        return [s for s in out.splitlines() if s.startswith(("digits", "accuracy"))]

    assert lines(first) == lines(same)
    assert lines(first)[0] == lines(other)[0]
    assert lines(first)[1] != lines(other)[1]


@pytest.mark.parametrize("name", ["circles", "moons", "regression", "spirals", "xor"])
def test_every_bundled_data_set(capsys, name):
    code, out, err = run(capsys, "train", name, "--epochs", "3", "--quiet", "--hidden", "8,4")
    assert (code, err) == (0, "")
    assert "Dense(8, 4)" in out
    assert ("root mean squared error: train" if name == "regression" else "accuracy: train") in out


def test_a_table(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    rows = np.c_[x, x[:, 0] - 2 * x[:, 1]]
    header = "height,width,depth,price"
    np.savetxt("table.csv", rows, delimiter=",", header=header, comments="")
    options = ("--epochs", "200", "--quiet", "--learning-rate", "0.01")
    code, out, _ = run(capsys, "train", "table.csv", "--target", "price", *options)
    assert code == 0
    test_error = float(out.split("error: ")[1].split("test ")[1].split()[0])
    assert test_error < 0.3
    code, out, _ = run(capsys, "train", "table.csv", "--target", "height", "--epochs", "1")
    assert code == 0


def test_a_table_with_named_classes(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2)) + 4 * np.eye(3)[np.arange(90) % 3][:, :2]
    names = np.array(["iris", "rose", "tulip"])[np.arange(90) % 3]
    lines = [f"{a},{b},{name}" for (a, b), name in zip(x, names, strict=True)]
    with gzip.open("flowers.csv.gz", "wt") as file:
        file.write("length,width,flower\n" + "\n".join(lines) + "\n")
    code, out, _ = run(capsys, "train", "flowers.csv.gz", "--quiet")
    assert code == 0
    assert "3 classes" in out


def test_whole_numbers_are_classes_only_where_they_are_few(capsys):
    rows = "".join(f"{i % 7},{i}\n" for i in range(200))
    Path("counts.csv").write_text("a,count\n" + rows)
    short = ("--epochs", "1", "--quiet")
    assert "a quantity" in run(capsys, "train", "counts.csv", *short)[1]
    assert "7 classes" in run(capsys, "train", "counts.csv", "--target", "a", *short)[1]
    forced = ("--target", "a", "--task", "regression")
    assert "a quantity" in run(capsys, "train", "counts.csv", *forced, *short)[1]


def test_images_in_idx_files(capsys, tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120).astype(np.uint8)
    images = (80 * labels[:, None, None] + rng.integers(0, 20, (120, 4, 4))).astype(np.uint8)
    for name, array in (("images-idx3-ubyte.gz", images), ("labels-idx1-ubyte.gz", labels)):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        with gzip.open(name, "wb") as file:
            file.write(header + array.tobytes())
    files = ("images-idx3-ubyte.gz", "--labels", "labels-idx1-ubyte.gz")
    code, out, _ = run(capsys, "train", *files, "--epochs", "30", "--quiet")
    assert code == 0
    assert "16 features; " in out
    model = mg.load(tmp_path / "mlpgrad-output" / "model.npz")  # takes the pixels of the file
    assert model.evaluate(images.reshape(120, -1).astype(float), labels)["accuracy"] > 0.9
    path = "mlpgrad-output/model.npz"
    answers = run(capsys, "predict", path, files[0])[1].splitlines()
    assert answers[0] == "label"
    assert np.mean([int(answer) for answer in answers[1:]] == labels) > 0.9
    code, out, _ = run(capsys, "evaluate", path, *files)
    assert (code, "accuracy on 120 rows: " in out) == (0, True)
    assert run(capsys, "evaluate", path, files[0])[0] == 2
    code, out, _ = run(capsys, "explain", path, *files, "--sample", "3", "--text")
    assert (code, f"(class {labels[3]})" in out) == (0, True)
    code, _, err = run(capsys, "train", "images-idx3-ubyte.gz")
    assert code == 2
    assert "--labels" in err


def test_labels_of_images_are_classes_however_many(capsys):
    labels = np.arange(240, dtype=np.uint8) % 60
    images = np.repeat(labels, 4).reshape(240, 2, 2)
    for name, array in (("x-idx3-ubyte", images), ("y-idx1-ubyte", labels)):
        shape = np.array(array.shape, ">u4").tobytes()
        Path(name).write_bytes(bytes([0, 0, 8, array.ndim]) + shape + array.tobytes())
    short = ("--epochs", "1", "--quiet")
    code, out, _ = run(capsys, "train", "x-idx3-ubyte", "--labels", "y-idx1-ubyte", *short)
    assert code == 0
    assert "60 classes" in out


def test_options_reach_the_model(capsys, tmp_path):
    options = ["--hidden", "5,7", "--activation", "TANH", "--dropout", "0.1", "--seed", "3"]
    options += ["--optimizer", "sgd", "--learning-rate", "0.5", "--output", "here", "--epochs", "1"]
    assert run(capsys, "train", "xor", *options)[0] == 0
    model = mg.load(tmp_path / "here" / "model.npz")
    assert repr([*model.layers]) == (
        "[Dense(2, 5), Tanh(), Dropout(drop_probability=0.1), "
        "Dense(5, 7), Tanh(), Dropout(drop_probability=0.1), Dense(7, 1)]"
    )
    assert model.random_state == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "digit"], "no data set or file 'digit'; did you mean 'digits'?"),
        (["train", "xor", "--activation", "rel"], "no activation 'rel'; did you mean 'relu'?"),
        (["train", "xor", "--optimizer", "adan"], "no optimizer 'adan'; did you mean 'adam'?"),
        (["train", "xor", "--hidden", "a,b"], "--hidden expects widths such as 64,32, got 'a,b'"),
        (
            ["train", "xor", "--epochs", "x"],
            "--epochs expects a whole number of at least 1, got 'x'",
        ),
        (["train", "xor", "--hiden", "3"], "`mlpgrad train`; did you mean '--hidden'?"),
        (["trian", "xor"], "no command 'trian'; did you mean 'train'?"),
    ],
)
def test_mistakes_are_answered_on_stderr_with_exit_code_2(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("mlpgrad: error: ")
    assert err.count("\n") == 1
    assert out == ""


def test_failures_are_answered_with_exit_code_1(capsys):
    Path("bad.csv").write_text("a,b\n1,2\n3\n")
    code, _, err = run(capsys, "train", "bad.csv")
    assert code == 1
    assert "line 3" in err
    diverging = ("--optimizer", "sgd", "--learning-rate", "1e12", "--epochs", "50", "--quiet")
    code, _, err = run(capsys, "train", "regression", *diverging)
    assert code == 1
    assert "training diverged" in err


def test_help_teaches(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "mlpgrad train digits" in out
    assert run(capsys)[1] == out
    code, out, _ = run(capsys, "train", "--help")
    assert code == 0
    for option in ("--hidden", "--activation", "--epochs", "--seed", "--output"):
        assert option in out


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info", "explain"])
def test_a_description_fits_the_terminal(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert max(map(len, out.partition("how the target is read")[0].splitlines())) <= 80


def test_the_installed_command_answers(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mlpgrad", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"mlpgrad {mg.__version__}\n"


def test_explain_writes_a_page(capsys, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    code, out, _ = run(capsys, "explain", "xor")
    assert code == 0
    assert "explain.html" in out
    page = tmp_path / "mlpgrad-output" / "explain.html"
    assert "<svg" in page.read_text(encoding="utf-8")
    assert opened == [page.as_uri()]
    assert run(capsys, "explain", "--no-open")[0] == 0
    assert len(opened) == 1


def test_explain_prints_the_numbers_of_one_step(capsys):
    code, out, _ = run(capsys, "explain", "xor", "--text", "--hidden", "3", "--epochs", "2")
    assert code == 0
    assert "delta_k = (z_k - zhat_k) z_k (1 - z_k)" in out
    assert max(map(len, out.splitlines())) <= 80
    code, _, err = run(capsys, "explain", "xor", "--sample", "99999")
    assert code == 2
    assert "--sample expects a row from 0 to" in err


def test_explain_counts_the_samples_as_the_data_does(capsys):
    x, y = mg.datasets.xor()
    for row, (inputs, target) in enumerate(zip(x, y, strict=True)):
        out = run(capsys, "explain", "xor", "--text", "--sample", str(row))[1]
        assert f"x_1 = {inputs[0]:g}\n    x_2 = {inputs[1]:g}\n" in out
        assert f"zhat_1 = {target:g}\n" in out
    images, digits = mg.datasets.digits()
    out = run(capsys, "explain", "digits", "--text", "--sample", "5")[1]
    largest = images[5].argmax()
    assert f"zhat_{digits[5] + 1} = 1" in out
    assert f"x_{largest + 1} = {images[5][largest]:.4g}\n" in out


@pytest.mark.parametrize("command", ["train", "explain"])
@pytest.mark.parametrize("output", ["file", "file/inner", "closed"])
def test_a_directory_that_cannot_be_written_to_is_refused_before_the_work(
    command, output, monkeypatch, capsys
):
    Path("file").touch()
    Path("closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != "closed")  # root may write
    code, out, err = run(capsys, command, "xor", "--output", output)
    assert code
    assert "--output expects a directory" in err
    assert repr(output) in err
    assert not out


def test_explain_takes_a_network_with_several_outputs(capsys):
    code, out, _ = run(capsys, "explain", "digits", "--text", "--hidden", "4,3")
    assert code == 0
    assert "Dense(3, 10, bias=False)" in out
