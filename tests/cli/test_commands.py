"""The commands on tables: train, predict, evaluate, info and explain."""

import csv
import io
import re
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.cli.results import Result, quantity
from mlpgrad.tables import TableEncoder
from tests.cli.running import run

pytestmark = pytest.mark.slow

SHORT = ("--quiet", "--epochs", "2", "--hidden", "4")
MODEL = "mlpgrad-output/model.npz"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, rows=60, *, target="{number:.2f}", head="a,b,y", seed=0):
    """Write a table of two features and a target made from their sum and the row number."""
    rng = np.random.default_rng(seed)
    lines = [head]
    for row, (a, b) in enumerate(rng.normal(size=(rows, 2))):
        lines.append(f"{a:.3f},{b:.3f}," + target.format(number=a + b, row=row))
    path.write_text("\n".join(lines) + "\n")


def figures(out):
    """The figures of the three parts and of the baseline."""
    number = r"(-?[\d.,]*\d(?:e[+-]?\d+)?)"
    line = re.search(r"(?:error.*|accuracy): (train .*)", out)[1]
    found = re.findall(rf"(train|validation|test) {number}", line)
    baseline = re.search(rf"gives test {number}", out)[1]
    values = {name: float(value.replace(",", "")) for name, value in found}
    return values, float(baseline.replace(",", ""))


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [(200_000, 50_000), (0, 1e-8), (-3e9, 1e3), (1e30, 1e29), (1e12, 1), (1e200, 1e199)],
)
def test_a_quantity_of_any_size_is_learnt_and_predicted_in_its_units(
    capsys, tmp_path, mean, deviation
):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) * [1e-3, 1, 1e4] + [5, 0, 1e6]
    unit = (x - x.mean(axis=0)) / x.std(axis=0)
    y = mean + deviation * (unit @ [1, 0.5, -0.3])
    rows = [",".join(map(repr, row)) for row in np.c_[x, y].tolist()]
    (tmp_path / "t.csv").write_text("a,b,c,price\n" + "\n".join(rows))
    options = ("--quiet", "--epochs", "60", "--learning-rate", "0.01", "--hidden", "16")
    code, out, err = run(capsys, "train", "t.csv", *options)
    assert (code, err) == (0, "")
    errors, baseline = figures(out)
    assert errors["test"] < 0.3 * baseline
    np.testing.assert_allclose(baseline / deviation, (y / deviation).std(), rtol=0.3)
    code, out, err = run(capsys, "evaluate", MODEL, "t.csv")
    shares = {"train": 192, "validation": 48, "test": 60}
    total = sum((errors[name] / deviation) ** 2 * n for name, n in shares.items())
    found = float(re.search(r"on 300 rows: ([\d.,e+-]*\d)", out)[1].replace(",", ""))
    np.testing.assert_allclose(300 * (found / deviation) ** 2, total, rtol=5e-3)
    model, table = mg.load(MODEL), dict(zip("abc", x.T, strict=True))
    wanted, asked = [model.predict(table)], ()
    if model.uncertainty is not None:  # the variance fits into float64
        wanted, asked = [*wanted, *model.predict(table, interval=0.9)], ("--interval", "0.9")
    out = run(capsys, "predict", MODEL, "t.csv", *asked)[1]
    printed = np.array([line.split(",") for line in out.split()[1:]], float)
    np.testing.assert_allclose(
        printed / deviation, np.hstack(wanted) / deviation, rtol=0, atol=1e-3
    )


def test_what_cannot_be_learnt_is_said_to_be_no_better_than_the_baseline(capsys, tmp_path):
    write(tmp_path / "t.csv", target="{row}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = run(capsys, "train", "t.csv", *SHORT)[1]
    assert "warning: the network is not better than that" in out


@pytest.mark.parametrize(
    ("larger", "values", "words"),
    [
        (False, {"train": 0.1, "validation": 2.0, "test": 1.5}, "fewer columns by --without"),
        (False, {"train": 1.4, "validation": 2.0, "test": 1.5}, "more --epochs"),
        (True, {"train": 1.4, "validation": 0.2, "test": 0.5}, "fewer columns by --without"),
        (True, {"train": 0.1, "validation": 0.2, "test": 0.5}, "more --epochs"),
        (False, {"on 9 rows": 1.5}, "may differ from those of the training"),
        (True, {"on 9 rows": 0.5}, "may differ from those of the training"),
    ],
)
def test_what_may_help_depends_on_the_rows_to_train_on(larger, values, words):
    told = Result("", values, dict.fromkeys(values, 1.0), "", larger).warning()
    advice = ("fewer columns by --without", "more --epochs", "may differ from those of")
    assert told.startswith("warning: the network is not better than that. ")
    assert [one for one in advice if one in told] == [one for one in advice if one in words]


@pytest.mark.parametrize("larger", [False, True])
def test_each_part_is_compared_with_the_baseline_on_its_own_rows(larger):
    """Rows to test on that are harder to guess make no good fit of those to train on."""
    sign = 1 if larger else -1
    values = {"train": 2.0, "validation": 2.0, "test": 2.0 - 2 * sign}
    baselines = {"train": 2.0 + 0.5 * sign, "validation": 1.0, "test": 2.0 - sign}
    told = Result("", values, baselines, "", larger).warning()
    assert "does not fit the rows to train on either" in told


def test_what_cannot_be_better_is_not_warned_about(capsys, tmp_path):
    assert Result("", {"on 2 rows": 1.0}, {"on 2 rows": 1.0}, "", True).warning() == ""
    assert Result("", {"on 2 rows": 0.0}, {"on 2 rows": 0.0}, "", False).warning() == ""


WARNS = """
import sys, warnings
from mlpgrad.cli import main, train
load = train.load_data
train.load_data = lambda options: (warnings.warn("this is odd"), load(options))[1]
sys.exit(main(["train", "xor", "--epochs", "1", "--quiet"]))
"""


def test_a_warning_is_one_line():
    done = subprocess.run([sys.executable, "-c", WARNS], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: this is odd\n"


def test_few_rows_are_refused(capsys, tmp_path):
    for rows in (2, 3, 9):
        write(tmp_path / "t.csv", rows, target="{row}.5")
        code, out, err = run(capsys, "train", "t.csv", *SHORT)
        assert (code, out) == (1, "")
        assert f"t.csv has {rows} rows; to train, validate and test on parts" in err
    write(tmp_path / "t.csv", 10, target="{row}.5")
    assert run(capsys, "train", "t.csv", *SHORT)[0] == 0


def test_predictions_keep_the_order_of_rows_and_repeat_an_id(capsys, tmp_path):
    write(tmp_path / "t.csv", target="{number:.2f}", head="a,b,y")
    run(capsys, "train", "t.csv", *SHORT)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    named = [f'"row, {i}",{line},extra' for i, line in enumerate(lines[1:])]
    (tmp_path / "new.csv").write_text("\n".join(["name," + lines[0] + ",more", *named[::-1]]))
    code, out, err = run(capsys, "predict", MODEL, "new.csv", "--id", "name, a")
    assert code == 0
    assert "note: not used, since the model does not know them: more" in err
    backward = list(csv.DictReader(io.StringIO(out)))
    assert [row["name"] for row in backward] == [f"row, {i}" for i in range(60)][::-1]
    forward = list(csv.DictReader(io.StringIO(run(capsys, "predict", MODEL, "t.csv")[1])))
    assert [row["y"] for row in forward] == [row["y"] for row in backward[::-1]]
    (tmp_path / "one.csv").write_text("b,a\n" + "1.5,2.5\n")  # in another order, without target
    code, out, _ = run(capsys, "predict", MODEL, "one.csv", "--output", "one-answer.csv")
    assert (code, out) == (0, "wrote one-answer.csv\n")
    assert (tmp_path / "one-answer.csv").read_text().count("\n") == 2


def test_probabilities_of_classes_sum_to_one(capsys, tmp_path):
    for labels in (["no", "yes"], ["x", "y", "z"]):
        rows = "".join(f"{i % 7}.5,{i % 5},{labels[i % len(labels)]}\n" for i in range(60))
        (tmp_path / "t.csv").write_text("a,b,kind\n" + rows)
        run(capsys, "train", "t.csv", *SHORT)
        out = run(capsys, "predict", MODEL, "t.csv", "--proba")[1]
        for row in csv.DictReader(io.StringIO(out)):
            shares = {label: float(row[f"P({label})"]) for label in labels}
            assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
            assert row["kind"] == max(shares, key=shares.get)
        code, _, err = run(capsys, "predict", MODEL, "t.csv", "--std")
        assert (code, "--std and --interval are for quantities" in err) == (2, True)


def test_evaluate_refuses_what_it_cannot_compare(capsys, tmp_path):
    rows = "".join(f"{i % 7}.5,{i % 5},{['no', 'yes'][i % 2]}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("a,b,kind\n" + rows)
    run(capsys, "train", "t.csv", *SHORT)
    (tmp_path / "other.csv").write_text("a,b,kind\n" + rows + "1.5,2,perhaps\n")
    code, _, err = run(capsys, "evaluate", MODEL, "other.csv")
    assert code == 1
    assert "line 62, column 'kind': expects one of the classes no, yes, got 'perhaps'" in err
    (tmp_path / "bare.csv").write_text("a,b\n1.5,2\n")
    code, _, err = run(capsys, "evaluate", MODEL, "bare.csv")
    assert (code, "lacks the target, column 'kind'" in err) == (1, True)
    (tmp_path / "gap.csv").write_text("a,b,kind\n" + rows + "1.5,2,\n")
    code, out, err = run(capsys, "evaluate", MODEL, "gap.csv")
    assert (code, "on 60 rows" in out) == (0, True)
    assert "note: left out, since the target is missing: 1 row, line 62" in err


def test_rows_that_do_not_fit_the_model_are_refused_by_place(capsys, tmp_path):
    rows = "".join(f"${i % 7}.5,{['x', 'y'][i % 2]},{i}.5\n" for i in range(60))
    (tmp_path / "t.csv").write_text("cost,kind,y\n" + rows)
    run(capsys, "train", "t.csv", *SHORT)
    cases = {
        "kind,y\nx,1\n": "lacks the column 'cost'",
        "cost,kind\n€5,x\n€6,y\n": "line 2, column 'cost': expects amounts in '$' as in training",
        "cost,kind\nmuch,x\n": "line 2, column 'cost': expects a number, got 'much'",
    }
    for text, words in cases.items():
        (tmp_path / "new.csv").write_text(text)
        code, out, err = run(capsys, "predict", MODEL, "new.csv")
        assert (code, out) == (1, "")
        assert words in err
    (tmp_path / "new.csv").write_text("kind,cost\nz,5\n,$7\n")  # a new level, a gap, a missing sign
    code, _, err = run(capsys, "predict", MODEL, "new.csv")
    assert code == 0
    assert "note: column 'cost': '5' is read as an amount in $, as in training (1 of 2 rows)" in err
    (tmp_path / "new.csv").write_text("kind,cost\nx,$7\ny,$8\n")
    assert run(capsys, "predict", MODEL, "new.csv")[2] == ""


@pytest.mark.parametrize("others", ["", "5 kg", "5"])
@pytest.mark.parametrize(
    ("unit", "amount"),
    [(" kg", "5 g"), ("%", "$5"), (" m", "5 km"), (" m²", "5 m")],
)
def test_an_amount_in_another_unit_is_not_to_be_stripped_of_it(
    capsys, tmp_path, unit, amount, others
):
    rows = "".join(f"{i % 30}{unit},{i % 7}.5,{i}.5\n" for i in range(90))
    (tmp_path / "t.csv").write_text("mass,a,y\n" + rows)
    run(capsys, "train", "t.csv", *SHORT)
    others = others.replace(" kg", unit)
    (tmp_path / "new.csv").write_text(f"mass,a\n{others},1.5\n{amount},1.5\n")
    code, out, err = run(capsys, "predict", MODEL, "new.csv")
    assert (code, out) == (1, "")
    expected = f"expects amounts in {unit.strip()!r} as in training, got {amount!r}"
    assert f"line 3, column 'mass': {expected}; convert" in err


def test_a_target_in_another_unit_is_not_said_to_be_read(capsys, tmp_path):
    rows = "".join(f"{i % 7}.5,{i} €\n" for i in range(60))
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    run(capsys, "train", "t.csv", *SHORT)
    (tmp_path / "new.csv").write_text("a,y\n1.5,$ 5\n2.5,7\n")
    code, _, err = run(capsys, "evaluate", MODEL, "new.csv")
    assert (code, "'$ 5' is read as" in err) == (1, False)
    assert "note: column 'y': '7' is read as an amount in €, as in training (1 of 2 rows)" in err


def test_predictions_do_not_replace_what_they_are_made_from(capsys, tmp_path):
    write(tmp_path / "t.csv")
    run(capsys, "train", "t.csv", *SHORT)
    for name in ("t.csv", MODEL, str(tmp_path / "mlpgrad-output" / ".." / "t.csv")):
        before = (tmp_path / name).read_bytes()
        code, _, err = run(capsys, "predict", MODEL, "t.csv", "--output", name)
        assert (code, "--output would replace" in err) == (2, True)
        assert (tmp_path / name).read_bytes() == before
    (tmp_path / "old.csv").write_text("earlier predictions")
    assert run(capsys, "predict", MODEL, "t.csv", "--output", "old.csv")[0] == 0


def test_what_missing_names_is_a_gap_for_the_model_and_its_encoder(capsys, tmp_path):
    names = ["NA", "null", "-", "EU"]
    rows = [f"{names[i % 4]},{i % 7}.5,{i}.5" for i in range(80)]
    (tmp_path / "t.csv").write_text("region,a,y\n" + "\n".join(rows))
    run(capsys, "train", "t.csv", *SHORT, "--missing", ",-")
    encoder = mg.load(MODEL).encoder
    levels = [name for name in encoder.feature_names_out() if name.startswith("region")]
    assert levels == ["region=EU", "region=NA", "region=null", "region=missing"]
    (tmp_path / "new.csv").write_text("region,a\n" + "".join(f"{n},1.5\n" for n in (*names, "")))
    printed = np.array(run(capsys, "predict", MODEL, "new.csv")[1].split()[1:], float)
    table = {"region": [*names, None], "a": [1.5] * 5}
    np.testing.assert_allclose(printed, mg.load(MODEL).predict(table).ravel(), rtol=1e-6)
    assert printed[2] == pytest.approx(printed[4])
    others = np.delete(printed, 4)
    assert np.abs(np.subtract.outer(others, others)[np.triu_indices(4, 1)]).min() > 1e-3
    explained = run(capsys, "explain", "t.csv", "--text", "--missing", ",-")[1]
    assert "Dense(5, 2, " in explained  # four features of the region and one number


def test_a_frame_in_python_is_as_the_command_says(capsys, tmp_path):
    pandas = pytest.importorskip("pandas")
    codes = ["01067", "10115", "80331"]
    rows = [f"{i},{i % 5} kg,{codes[i % 3]},{i % 7}.5,same,{i}.5" for i in range(90)]
    (tmp_path / "t.csv").write_text("id,mass,zip,a,b,y\n" + "\n".join(rows))
    out = run(capsys, "train", "t.csv", *SHORT, "--numbers", "mass")[1]
    told = re.search(r"with x (a DataFrame .*)", out)[1]
    assert told == (
        "a DataFrame of the columns above, without those left out, with plain numbers for amounts, "
        "with text for codes"
    )
    table = pandas.read_csv("t.csv", dtype={"zip": str}).drop(columns=["id", "b", "y"])
    table["mass"] = table["mass"].str.removesuffix(" kg").astype(float)
    printed = run(capsys, "predict", MODEL, "t.csv")[1].split()[1:]
    np.testing.assert_allclose(np.array(printed, float), mg.load(MODEL).predict(table).ravel())
    (tmp_path / "plain.csv").write_text(
        "a,b,y\n" + "".join(f"{i % 7},{i},{i}.5\n" for i in range(20))
    )
    out = run(capsys, "train", "plain.csv", *SHORT, "--numbers", "b")[1]
    assert "with x a DataFrame of the columns above\n" in out
    grouped = "a;b;y\n" + "".join(f"{i % 7},5;{1 + i % 9}.25{i % 7};{i},5\n" for i in range(20))
    (tmp_path / "grouped.csv").write_text(grouped)  # pandas reads 1.250 as 1.25
    for options in ((), ("--numbers", "b")):
        out = run(capsys, "train", "grouped.csv", *SHORT, *options)[1]
        assert "with x a DataFrame of the columns above, with plain numbers for amounts\n" in out
    out = run(capsys, "train", "plain.csv", *SHORT, "--numbers", "b", "--missing", ",-999,-")[1]
    assert "with x a DataFrame of the columns above, with NaN for -999\n" in out


def test_info_tells_what_a_model_is(capsys, tmp_path):
    rows = "".join(f"{i},{i % 7}.5,{['x', 'y'][i % 2]},${i}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("id,a,kind,price\n" + rows)
    trained = run(capsys, "train", "t.csv", *SHORT)[1]
    code, out, _ = run(capsys, "info", MODEL)
    assert code == 0
    assert "trained on t.csv to predict 'price', a quantity in $" in out
    assert "'id': left out: an id" in out
    assert "'kind': categories: 2 different texts" in out
    assert re.search(r"root mean squared error in \$: .*", trained)[0] in out
    plain = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    plain.save("plain.npz")
    code, out, _ = run(capsys, "info", "plain.npz")
    assert (code, "written by model.save()" in out) == (0, True)
    assert "columns" not in out
    table = {"a": [1.0, 2.0, 3.0, 4.0], "kind": ["x", "y"] * 2}
    encoder = TableEncoder().fit(table)
    layers = [mg.Dense(encoder.width, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0, encoder=encoder)
    model.save("table.npz")
    out = run(capsys, "info", "table.npz")[1]
    assert "so its target is not known\ncolumns:\n  'a': numbers\n  'kind': categories" in out
    (tmp_path / "two.csv").write_text("a,b\n1.5,2.5\n3.5,4.5\n")
    code, out, _ = run(capsys, "predict", "plain.npz", "two.csv")
    assert (code, out.splitlines()[0]) == (0, "prediction")
    assert run(capsys, "evaluate", "plain.npz", "two.csv")[0] == 2
    assert run(capsys, "explain", "plain.npz", "two.csv")[0] == 2


def test_a_model_is_one_file_that_the_library_reads(capsys, tmp_path):
    write(tmp_path / "t.csv")
    run(capsys, "train", "t.csv", *SHORT)
    assert sorted(path.name for path in (tmp_path / "mlpgrad-output").iterdir()) == [
        "loss.png", "model.npz",
    ]  # fmt: skip
    mg.load(MODEL)
    with zipfile.ZipFile(MODEL) as archive:
        assert archive.testzip() is None


def test_explain_walks_through_a_trained_model(capsys, tmp_path):
    write(tmp_path / "t.csv")
    run(capsys, "train", "t.csv", "--quiet", "--epochs", "2", "--hidden", "3,2")
    code, out, _ = run(capsys, "explain", MODEL, "t.csv", "--sample", "5", "--text")
    assert code == 0
    assert "delta^c_j = 2 (y^c_j - t_j)" in out
    assert "the outputs in the unit of the data" in out
    code, out, _ = run(capsys, "explain", MODEL, "t.csv", "--no-open")
    assert (code, "explain.html" in out) == (0, True)
    code, _, err = run(capsys, "explain", MODEL, "t.csv", "--sample", "60")
    assert (code, "--sample expects a row from 0 to 59, got 60" in err) == (2, True)


def test_explain_reads_the_same_tables(capsys, tmp_path):
    (tmp_path / "t.csv").write_text("1,5;2,5;no\n2,5;1,0;yes\n" * 6)
    code, out, _ = run(capsys, "explain", "t.csv", "--text")
    assert code == 0
    assert "zhat_1 = 1\n" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "."], "expects a file, got the directory '.'"),
        (["predict", MODEL, "t.csv"], f"found no file '{MODEL}'"),
        (["predict", ".", "t.csv"], "expects a file, got the directory '.'"),
        (["train", "t.csv", "--target", "z"], "has no column 'z'"),
        (["train", "t.csv", "--without", "z"], "--without: the table has no column 'z'"),
        (
            ["train", "t.csv", "--members", "x"],
            "--members expects a whole number of at least 1, got 'x'",
        ),
        (["predict"], "the following arguments are required: MODEL, FILE"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, words):
    write(tmp_path / "t.csv")
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"a,b\n", b"PK\3\4nonsense", bytes(range(256))])
def test_other_files_are_refused_in_one_line(capsys, tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    for arguments in (["train", "t.csv"], ["predict", "t.csv", "t.csv"], ["info", "t.csv"]):
        code, out, err = run(capsys, *arguments)
        assert (code in (1, 2), out) == (True, "")
        assert err.startswith("mlpgrad: error: ")
        assert err.count("\n") == 1


def test_help_lists_the_choices(capsys):
    out = " ".join(run(capsys, "train", "--help")[1].split())
    for name in ("relu", "tanh", "gelu", "adam", "sgd", "rprop", "digits", "classification"):
        assert name in out
    assert "text, true or false classes, never a quantity" in out
    for command in ("predict", "evaluate", "info", "explain"):
        assert run(capsys, command, "--help")[0] == 0


def test_a_reader_that_has_enough_is_no_failure(capsys, tmp_path):
    write(tmp_path / "t.csv", 3000)
    run(capsys, "train", "t.csv", *SHORT, "--epochs", "1")
    command = [sys.executable, "-m", "mlpgrad", "predict", MODEL, "t.csv", "--id", "a,b,y"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18946.4191, "18,946"), (0.03125, "0.03125"), (3.14159, "3.142"), (999.94, "999.9"),
        (-2e6, "-2,000,000"), (0.0, "0"), (1.5e-8, "1.5e-08"), (1e30, "1e+30"),
    ],
)  # fmt: skip
def test_quantities_are_printed_sensibly(value, text):
    assert quantity(value) == text
