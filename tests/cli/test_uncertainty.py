"""`mlpgrad train` measures the noise of a quantity, and the commands answer with it."""

import csv
import io
import json
import re
import zipfile

import numpy as np
import pytest
from scipy import stats

import mlpgrad as mg
from mlpgrad.cli.models import MEMBER, load_model, save_model
from tests.cli.running import run

SHORT = ("--quiet", "--epochs", "60", "--hidden", "8", "--learning-rate", "0.01")
NOISE = 60.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, rows, draw=np.random.Generator.normal, seed=0, target="y"):
    """A table with a quantity of two columns and noise of standard deviation `NOISE`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    y = 500 + 100 * x @ [1.0, -2.0] + NOISE * draw(rng, size=rows)
    lines = [",".join(map(repr, row)) for row in np.c_[x, y].tolist()]
    path.write_text("\n".join([f"a,b,{target}", *lines]) + "\n")
    return y


def columns(text):
    """The columns of a printed table as numbers."""
    rows = list(csv.DictReader(io.StringIO(text)))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def students(rng, size):
    """Noise of variance 1 with heavy tails."""
    return rng.standard_t(5, size=size) / np.sqrt(5 / 3)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("draw", [np.random.Generator.normal, students])
def test_intervals_hold_the_share_of_new_values_that_they_say(capsys, folder, members, draw):
    new, measured = 5000, 320
    write(folder / "t.csv", 2000, draw)
    y = write(folder / "new.csv", new, draw, seed=1)
    assert run(capsys, "train", "t.csv", *SHORT, "--members", str(members))[0] == 0
    for level in (0.5, 0.8, 0.95):
        options = ("--std", "--interval", str(level))
        code, out, err = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv", *options)
        assert (code, err) == (0, "")
        found = columns(out)
        inside = np.mean((found["y_low"] <= y) & (y <= found["y_high"]))
        # the noise is measured on 320 rows, and the share on 5000
        z = stats.norm.ppf((1 + level) / 2)
        kurtosis = 0 if draw is not students else 6
        relative = np.sqrt((2 + kurtosis) / 4 / measured)
        error = np.hypot(np.sqrt(level * (1 - level) / new), 2 * z * stats.norm.pdf(z) * relative)
        assert abs(inside - level) < 3.5 * error
    assert np.sqrt(np.mean(found["y_std"] ** 2)) == pytest.approx(NOISE, rel=0.15)
    assert np.sqrt(np.mean((y - found["y"]) ** 2)) == pytest.approx(NOISE, rel=0.1)


def test_one_network_and_several_say_how_far_values_scatter(capsys, folder):
    write(folder / "t.csv", 200)
    for members in (1, 3):
        code, out, err = run(capsys, "train", "t.csv", *SHORT, "--members", str(members))
        assert (code, err) == (0, "")
        told = re.search(r"typical error of a prediction: (\S+) \(standard deviation, from", out)
        hold = re.search(r"intervals for 95 % of all values hold ([\d.]+) % of the test rows", out)
        assert float(told[1]) == pytest.approx(NOISE, rel=0.35)
        assert 80 <= float(hold[1]) <= 100
        code, out, err = run(capsys, "predict", "mlpgrad-output/model.npz", "t.csv", "--std")
        assert (code, err) == (0, "")
        assert np.median(columns(out)["y_std"]) == pytest.approx(float(told[1]), rel=0.2)
        assert list(columns(out)) == ["y", "y_std"]
        code, out, _ = run(capsys, "info", "mlpgrad-output/model.npz")
        assert told[0] in out
        assert "measured on 32 rows that were not trained on" in out
        assert ("and the disagreement of the 3 members" in out) == (members == 3)
        code, out, _ = run(capsys, "evaluate", "mlpgrad-output/model.npz", "t.csv")
        assert re.search(r"intervals for 95 % of all values hold [\d.]+ % of these rows", out)


def test_the_noise_is_that_of_the_validation_rows_alone(capsys, folder, monkeypatch):
    from mlpgrad.cli import train

    seen = []
    measure = train.measure_noise
    monkeypatch.setattr(train, "measure_noise", lambda m, x, y: seen.append(y) or measure(m, x, y))
    kept = []
    load = train.load_data
    monkeypatch.setattr(train, "load_data", lambda options: kept.append(load(options)) or kept[0])
    write(folder / "t.csv", 200)
    run(capsys, "train", "t.csv", *SHORT)
    np.testing.assert_array_equal(seen[0], kept[0].part("validation")[1])
    model, about = load_model(folder / "mlpgrad-output" / "model.npz")
    x, y = kept[0].part("validation")
    root = np.sqrt(np.mean((model.predict(x)[:, 0] - y) ** 2))
    assert about.noise_rows == len(y) == 32
    # Student's law with 32 degrees of freedom
    assert model.uncertainty.std == pytest.approx(root * np.sqrt(32 / 30))
    assert model.uncertainty.kurtosis == pytest.approx(6 / 28)
    low, high = model.predict(x, interval=0.9)
    np.testing.assert_allclose((high - low) / 2, root * stats.t.ppf(0.95, 32), rtol=1e-6)


def test_few_rows_are_said_to_be_few(capsys, folder):
    write(folder / "t.csv", 12)
    code, out, _ = run(capsys, "train", "t.csv", *SHORT)
    assert code == 0
    assert "from the 2 validation rows; rough, since they are few)" in out
    assert run(capsys, "predict", "mlpgrad-output/model.npz", "t.csv", "--std")[0] == 0


@pytest.mark.parametrize("members", [None, 3])
def test_files_without_noise_still_answer_and_say_what_is_left_out(capsys, folder, members):
    write(folder / "t.csv", 40)
    options = () if members is None else ("--members", "3")
    run(capsys, "train", "t.csv", *SHORT, *options)
    model, about = load_model(folder / "mlpgrad-output" / "model.npz")
    model.uncertainty = None
    save_model(model, about, folder / "old.npz")
    _without_field(folder / "old.npz", "noise_rows")
    code, out, err = run(capsys, "predict", "old.npz", "t.csv", "--std", "--interval", "0.9")
    info = run(capsys, "info", "old.npz")[1]
    assert "how far values scatter around the predictions is not known" in info
    assert run(capsys, "evaluate", "old.npz", "t.csv")[0] == 0
    if members is None:
        assert (code, out) == (2, "")
        assert "train again with `mlpgrad train`" in err
        return
    assert code == 0
    assert err.startswith("note: this is the disagreement of the members only; ")
    assert list(columns(out)) == ["y", "y_std", "y_low", "y_high"]


def _without_field(path, field):
    """Rewrite the file as an earlier version did, without a field of the description."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kept = json.loads(parts[MEMBER])
    del kept[field]
    parts[MEMBER] = json.dumps(kept).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("scale", [0.0, 1e200])
def test_errors_that_cannot_be_measured_are_said_to_be_unknown(capsys, folder, scale):
    rng = np.random.default_rng(0)
    rows = [f"{a},{a},{scale * a + (scale == 0) * (a > 9)}" for a in rng.normal(size=40).tolist()]
    rows.append("20,20,1.5")
    (folder / "t.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    code, out, err = run(capsys, "train", "t.csv", *SHORT)
    assert (code, "RuntimeWarning" in err, "overflow" in err) == (0, False, False)
    if scale:
        assert "how far values lie from the predictions is not known" in out


def test_wrong_probabilities_are_refused(capsys, folder):
    for text in ("95", "0", "1", "x"):
        code, _, err = run(capsys, "predict", "model.npz", "t.csv", "--interval", text)
        assert code == 2
        assert err == (
            f"mlpgrad: error: --interval expects a number between 0 and 1, got {text!r}\n"
        )


def test_a_column_named_like_the_prediction_can_be_repeated(capsys, folder):
    y = write(folder / "t.csv", 40)
    run(capsys, "train", "t.csv", *SHORT)
    options = ("--id", "y", "--std")
    _, out, _ = run(capsys, "predict", "mlpgrad-output/model.npz", "t.csv", *options)
    found = columns(out)
    assert list(found) == ["y", "predicted y", "predicted y_std"]
    np.testing.assert_allclose(found["y"], y)


def test_models_from_python_answer_with_what_they_know(capsys, folder):
    x, _ = mg.datasets.regression(60, random_state=0)
    layers = [mg.Dense(5, 4), mg.Tanh(), mg.Dense(4, 2)]
    model = mg.Sequential(layers, loss=mg.GaussianNLL(), random_state=0)
    model.save(folder / "model.npz")
    np.savetxt(folder / "x.csv", x, delimiter=",")
    code, out, err = run(capsys, "predict", "model.npz", "x.csv", "--no-header", "--std")
    assert (code, err) == (0, "")
    assert columns(out)["prediction_std"] == pytest.approx(model.predict(x, std=True).std[:, 0])
    assert "--std and --interval: GaussianNLL" in run(capsys, "info", "model.npz")[1]
