"""Former faults of the command with people's own tables: one test states what is correct for each.

The numbers are those of a list of faults.
"""

import csv
import re

import numpy as np
import pytest

import mlpgrad as mg
from tests.cli.running import run

pytestmark = pytest.mark.slow
SHORT = ("--quiet", "--epochs", "3", "--hidden", "4")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def houses(rows=600, noise=20_000, seed=0):
    """Prices in dollars, linear in three columns."""
    rng = np.random.default_rng(seed)
    area, rooms, age = (
        rng.uniform(40, 250, rows),
        rng.integers(1, 8, rows),
        rng.integers(0, 99, rows),
    )
    price = 50_000 + 2_500 * area + 15_000 * rooms - 800 * age + rng.normal(0, noise, rows)
    return np.c_[area.round(1), rooms, age], price.round()


def write_houses(path="houses.csv", **options):
    x, price = houses(**options)
    lines = [f"{a:g},{r:g},{g:g},{p:.0f}" for (a, r, g), p in zip(x, price, strict=True)]
    with open(path, "w") as file:
        file.write("area,rooms,age,price\n" + "\n".join(lines) + "\n")
    return x, price


def figures(out):
    """The figures of the parts and of the baseline."""
    line = re.search(r"(?:error.*|accuracy): (.*)", out)[1]
    parts = dict(part.rsplit(" ", 1) for part in line.split(", ") if " " in part)
    number = re.compile(r"(train|validation|test) ([\d.,]*\d)")
    values = {k: float(v.replace(",", "")) for k, v in number.findall(line + " ")}
    assert parts
    return values, float(re.search(r"gives test ([\d.,]*\d)", out)[1].replace(",", ""))


def test_1_text_is_never_ranked(capsys, tmp_path):
    rows = "".join(f"{i % 7}.5,{i % 5},town{i % 60}\n" for i in range(300))
    (tmp_path / "t.csv").write_text("a,b,town\n" + rows)
    code, out, _ = run(capsys, "train", "t.csv", *SHORT)
    assert code == 0
    assert "'town' is 60 classes, because: the target is text" in out
    code, _, err = run(capsys, "train", "t.csv", *SHORT, "--task", "regression")
    assert code == 1
    assert "line 2, column 'town': --task regression expects a number, got 'town0'" in err


def test_2_few_prices_are_a_quantity(capsys):
    write_houses(rows=45)
    code, out, _ = run(capsys, "train", "houses.csv", "--quiet")
    assert code == 0
    assert "'price' is a quantity, because: 4" in out
    values, baseline = figures(out)
    assert values["test"] < baseline


def test_3_prices_in_dollars_are_learnt_as_by_a_network_scaled_by_hand(capsys):
    """The command's defaults come within 5 % of the median of ten seeds scaled by hand."""
    from mlpgrad.cli.data import load_data
    from mlpgrad.cli.parser import build_parser

    x, price = write_houses()
    code, out, _ = run(capsys, "train", "houses.csv", "--quiet")
    assert code == 0
    values, baseline = figures(out)
    assert "warning" not in out
    options = build_parser().parse_args(["train", "houses.csv"])
    rows = load_data(options).rows
    train, held, test = rows["train"], rows["validation"], rows["test"]
    u = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    v = (price - price[train].mean()) / price[train].std()
    by_hand = []
    for seed in range(10):
        layers = [mg.Dense(3, 128), mg.ReLU(), mg.Dense(128, 1)]
        model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=seed)
        model.fit(
            u[train],
            v[train],
            optimizer=mg.Adam(),
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_data=(u[held], v[held]),
            callbacks=[mg.EarlyStopping(options.patience)],
            verbose=0,
        )
        errors = (model.predict(u[test])[:, 0] - v[test]) * price[train].std()
        by_hand.append(np.sqrt(np.mean(errors**2)))
    assert abs(values["test"] / np.median(by_hand) - 1) < 0.05
    assert values["test"] < 0.2 * baseline
    assert baseline == pytest.approx(np.std(price[test] - price[train].mean()), rel=0.1)


def test_4_the_file_holds_all_that_an_answer_needs(capsys, tmp_path):
    x, price = houses()
    kinds = np.array(["cheap", "dear"])[(price > np.median(price)).astype(int)]
    rows = [f"{a},{r},{g},{k}" for (a, r, g), k in zip(x, kinds, strict=True)]
    (tmp_path / "t.csv").write_text("area,rooms,age,kind\n" + "\n".join(rows))
    out = run(capsys, "train", "t.csv", "--quiet")[1]
    in_training = figures(out)[0]
    code, out, err = run(capsys, "evaluate", "mlpgrad-output/model.npz", "t.csv")
    assert (code, err) == (0, "")
    shares = {"train": 384, "validation": 96, "test": 120}
    expected = sum(in_training[name] * n for name, n in shares.items()) / 600
    assert float(re.search(r"on 600 rows: ([\d.]+)", out)[1]) == pytest.approx(expected, abs=2e-4)
    code, out, _ = run(capsys, "predict", "mlpgrad-output/model.npz", "t.csv", "--proba")
    answers = list(csv.DictReader(out.splitlines()))
    assert np.mean([a["kind"] for a in answers] == kinds) == pytest.approx(expected, abs=2e-4)
    assert list(answers[0]) == ["kind", "P(cheap)", "P(dear)"]


@pytest.mark.parametrize(("verdict", "code"), [("INCONCLUSIVE", 0), ("KINK", 0), ("FAIL", 1)])
def test_5_an_inconclusive_check_is_a_note(capsys, monkeypatch, verdict, code):
    from mlpgrad.gradcheck.report import GradientReport, TensorReport
    from mlpgrad.gradcheck.verdicts import Verdict

    tensor = TensorReport("layers[0].weights", (2, 4), Verdict[verdict])
    monkeypatch.setattr(mg, "check_gradients", lambda *_, **__: GradientReport("model", [tensor]))
    write_houses(rows=60)
    found, out, _ = run(capsys, "train", "houses.csv", *SHORT)
    assert found == code
    assert ("note: the gradient check found no mistake" in out) == (verdict == "INCONCLUSIVE")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a,y\n" + "1_000,1.5\n2_000,2.5\n" * 9,
            "line 2, column 'a': expects a number, got '1_000'",
        ),
        ("a,y\n" + "٣,1.5\n٤,2.5\n" * 9, "line 2, column 'a': expects a number, got '٣'"),
        ("a,a,y\n" + "1,2,3.5\n" * 9, "columns 1 and 2 are both named 'a'"),
        ("a,b,y\n1,2,0\n2,3,1\n3,4,0\n", "has 3 rows; .* at least 10 are needed"),
    ],
)
def test_6_numbers_are_what_people_mean_or_refused(capsys, tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    code, out, err = run(capsys, "train", "t.csv", *SHORT)
    assert (code, out) == (1, "")
    assert re.search(words, err)


def test_7_an_ensemble_answers(capsys):
    _, price = write_houses(rows=200)
    code, _, _ = run(capsys, "train", "houses.csv", "--quiet", "--members", "3", "--epochs", "60")
    assert code == 0
    path = ("mlpgrad-output/model.npz", "houses.csv")
    rows = list(
        csv.DictReader(run(capsys, "predict", *path, "--std", "--id", "age")[1].splitlines())
    )
    assert list(rows[0]) == ["age", "price", "price_std"]
    assert all(float(row["price_std"]) > 0 for row in rows)
    found = np.array([float(row["price"]) for row in rows])
    assert np.corrcoef(found, price)[0, 1] > 0.9
    model = mg.load("mlpgrad-output/model.npz")
    x = dict(zip(("area", "rooms", "age"), houses(200)[0].T, strict=True))
    assert any(name.startswith("ensemble_") for name in model.evaluate(x, price))


def test_8_explanations_show_probabilities_and_names(capsys, tmp_path):
    rows = "".join(f"{i % 7}.5,{i % 5}.5,{['cat', 'cow', 'dog'][i % 3]}\n" for i in range(90))
    (tmp_path / "t.csv").write_text("length,width,animal\n" + rows)
    run(capsys, "train", "t.csv", "--quiet", "--hidden", "4,3", "--epochs", "3")
    path = ("mlpgrad-output/model.npz", "t.csv")
    code, out, _ = run(capsys, "explain", *path, "--sample", "2", "--text")
    assert code == 0
    out = " ".join(out.split())
    assert re.search(r"p_3 = exp\([^=]* = [\d.e-]+ \(dog\)", out)
    assert "t_3 = 1 (dog)" in out
    assert "(length)" in out
    assert re.search(r"L = -log\([\d.e-]+\) = ", out)
    assert {"y^a_1", "y^b_1", "y^c_1"} <= set(re.findall(r"y\^._1", out))


def test_9_what_a_single_network_is_asked_answers_simply():
    x = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    layers = [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
    stopping = mg.EarlyStopping(3)
    schedule = mg.OneCycle(0.01)  # learns the number of steps from fit
    model.fit(
        x, y, optimizer=mg.Adam(schedule), epochs=4, validation_split=0.2, callbacks=[stopping],
        verbose=0,
    )  # fmt: skip
    assert isinstance(stopping.best_epoch, int)
    assert model.predict_proba(x).shape == (80, 1)  # the probability of class 1
    pytest.importorskip("matplotlib")
    found = model.learning_rate_range_test(x, y, optimizer=mg.Adam())
    assert found.plot() is not None


def test_10_a_notebook_speaks_of_lines_that_its_output_has():
    nbformat = pytest.importorskip("nbformat")
    from notebooks import execute

    (path,) = [p for p in execute.SOURCES if p.stem.startswith("4-")]
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    shown = "\n".join(
        str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    spoken = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    named = set(
        re.findall(r"\*\*(FAIL|forward passes|element|again|where|hint)\*\*|\b(NO_POWER)\b", spoken)
    )
    words = {word for pair in named for word in pair if word}
    assert {"FAIL", "NO_POWER", "where", "hint"} <= words
    assert all(word in shown for word in words)
