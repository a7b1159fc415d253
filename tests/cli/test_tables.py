"""Tables as people have them: trained on in their own units, or refused by line and column."""

import re
import warnings

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.cli import main
from mlpgrad.cli.parser import build_parser

pytestmark = pytest.mark.slow

SHORT = ("--quiet", "--epochs", "2", "--hidden", "4")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(capsys, path, text, *options):
    """Exit code, stdout and stderr of `mlpgrad train` on a file with this text."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        code = main(["train", str(path), *SHORT, *options])
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def table(rows=60, *, target="{number:.2f}", head="a,b,y", seed=0):
    """Lines of a table: two features and a target, made of their sum and of the row."""
    rng = np.random.default_rng(seed)
    lines = [head] if head else []
    for row, (a, b) in enumerate(rng.normal(size=(rows, 2))):
        lines.append(f"{a:.3f},{b:.3f}," + target.format(number=a + b, row=row))
    return "\n".join(lines) + "\n"


def figures(out):
    """The figures of the three parts, and the baseline's."""
    parts = dict(
        part.split() for part in re.search(r"(?:error|accuracy): (.*)", out)[1].split(", ")
    )
    return {k: float(v) for k, v in parts.items()}, float(re.search(r"gives test ([\d.]+)", out)[1])


# units


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
    options = ("--epochs", "60", "--learning-rate", "0.01", "--hidden", "16")
    code, out, err = train(capsys, tmp_path / "t.csv", "a,b,c,price\n" + "\n".join(rows), *options)
    assert (code, err) == (0, "")
    errors, baseline = figures(out)
    assert errors["test"] < 0.3 * baseline
    np.testing.assert_allclose(baseline / deviation, (y / deviation).std(), rtol=0.3)
    assert "in the units of 'price'; predicting the mean of the training rows alone" in out
    model = mg.load("mlpgrad-output/model.npz")
    data = mg.datasets.load_csv(tmp_path / "t.csv")
    found = model.predict(data.x)[:, 0]
    rows = {"train": 192, "validation": 48, "test": 60}
    total = sum((errors[name] / deviation) ** 2 * n for name, n in rows.items())
    np.testing.assert_allclose(np.sum(((found - y) / deviation) ** 2), total, rtol=1e-3)


def test_the_saved_classifier_takes_the_file_as_it_is(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) * [1e-4, 1e5] + [3, 1e6]
    names = np.array(["no", "yes"])[(x[:, 1] > 1e6).astype(int)]
    rows = [f"{a!r},{b!r},{name}" for (a, b), name in zip(x.tolist(), names, strict=True)]
    text = "a,b,sold\n" + "\n".join(rows)
    code, out, _ = train(
        capsys, tmp_path / "t.csv", text, "--epochs", "60", "--learning-rate", "0.02"
    )
    accuracies, baseline = figures(out)
    assert code == 0
    assert accuracies["test"] > 0.9 > baseline
    assert "0 is no, 1 is yes" in out
    data = mg.datasets.load_csv(tmp_path / "t.csv")
    assert mg.load("mlpgrad-output/model.npz").evaluate(data.x, data.y)["accuracy"] > 0.9


def test_what_cannot_be_learnt_is_said_to_be_no_better_than_the_baseline(capsys, tmp_path):
    text = table(target="{row}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = train(capsys, tmp_path / "t.csv", text)[1]
    assert "the network is no better than that" in out


def test_digits_as_a_quantity_are_predicted_in_their_units(capsys, tmp_path):
    options = ("--task", "regression", "--epochs", "20", "--hidden", "32", "--quiet")
    assert main(["train", "digits", *options]) == 0
    errors, baseline = figures(capsys.readouterr().out)
    assert errors["test"] < 1.5 < baseline
    x, y = mg.datasets.digits()
    found = mg.load("mlpgrad-output/model.npz").predict(x)[:, 0]
    assert np.sqrt(np.mean((found - y) ** 2)) < 1.5


def test_explain_reads_the_same_tables(capsys, tmp_path):
    text = "1,5;2,5;no\n2,5;1,0;yes\n" * 6
    (tmp_path / "t.csv").write_text(text)
    assert main(["explain", "t.csv", "--no-header", "--text"]) == 0
    assert "zhat_1 = 1\n" in capsys.readouterr().out


# the kind of the target


@pytest.mark.parametrize(
    ("numbers", "kind", "reason"),
    [
        ([0.5, 1, 1.5] * 20, "regression", "the target has fractions"),
        ([1, 2, 3] * 20, "3 classes", "3 different whole numbers, each in 20 or more rows"),
        ([1.0, 0.0] * 30, "2 classes", "2 different whole numbers, each in 30 or more rows"),
        ([*range(20)] * 3, "20 classes", "20 different whole numbers, each in 3 or more rows"),
        ([*range(21)] * 3, "regression", "21 different values are too many to be classes"),
        ([1, 2] * 29 + [3, 3], "regression", "1 of 3 different values have fewer than 3 rows"),
        ([1000 * i for i in range(45)], "regression", "45 different values are too many"),
        ([1000 * i for i in range(15)], "regression", "15 of 15 different values have fewer"),
    ],
)
def test_whole_numbers_are_classes_where_few_and_each_has_several_rows(
    capsys, tmp_path, numbers, kind, reason
):
    rows = "".join(f"{i % 7},{i % 5},{number}\n" for i, number in enumerate(numbers))
    out = train(capsys, tmp_path / "t.csv", "a,b,y\n" + rows)[1]
    assert f" {kind}; " in out
    assert f"\n{kind}, because: {reason}" in out


def test_more_than_fifty_words_are_classes_and_never_ranks(capsys, tmp_path):
    rows = "".join(f"{i % 7},{i % 5},town{i % 60}\n" for i in range(300))
    code, out, _ = train(capsys, tmp_path / "t.csv", "a,b,town\n" + rows)
    assert code == 0
    assert "60 classes, because: the target is text" in out


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("name{row}", (), "line 2, column 'y': 'name0' is one of 60 different texts in 60 rows"),
        ("a", ("--task", "regression"), "line 2, column 'y': --task regression expects a number"),
        ("{row} kg", (), "line 2, column 'y': .* got '0 kg'; write the number without the unit"),
        ("${row}", (), r"line 2, column 'y': .* got '\$0'; write the number without the sign"),
        ('"1{row},000"', (), "line 2, column 'y': .* got '10,000'; write thousands without"),
        ("{row} %", ("--task", "regression"), "line 2, column 'y': .* without the sign '%'"),
        ("{row}", ("--task", "classification"), "60 different values in 60 rows, too few"),
        ("1", (), "two or more different values, got 1 only"),
        ("1", ("--task", "regression"), "two or more different values, got 1 only"),
        ("a", (), "two or more classes, got 'a' only"),
    ],
)
def test_targets_that_cannot_be_trained_on_are_refused(capsys, tmp_path, target, options, words):
    code, out, err = train(capsys, tmp_path / "t.csv", table(target=target), *options)
    assert code in (1, 2)
    assert out == ""
    assert re.search(words, err)
    assert err.count("\n") == 1


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_few_rows_are_refused(capsys, tmp_path, rows):
    code, out, err = train(capsys, tmp_path / "t.csv", table(rows, target="{row}.5"))
    assert (code in (1, 2), out) == (True, "")
    assert "rows" in err or "values" in err
    assert train(capsys, tmp_path / "t.csv", table(10))[0] == 0


# how the file is written


@pytest.mark.parametrize(
    ("text", "problem", "options"),
    [
        (table(head=""), "pass --no-header", ("--no-header",)),
        (table().replace(",", ":"), "pass --delimiter", ("--delimiter", ":")),
        (table(head="größe,b,y").encode("latin-1"), "--encoding, for", ("--encoding", "latin-1")),
        (
            table(target="{number:.3f}").replace(",", ";").replace(".", ","),
            "",
            ("--delimiter", "semicolon", "--decimal", ","),
        ),
        ("a;b;y\n" + "1,200;3;0\n1,300;4;1\n" * 9, "--decimal ','", ("--decimal", ",")),
        ("a,y\n" + "1,NA\n2,US\n" * 9, "pass --missing", ("--missing", "")),
    ],
)
def test_advice_works_when_followed(capsys, tmp_path, text, problem, options):
    code, _, err = train(capsys, tmp_path / "t.csv", text)
    assert (code, problem in err) == (1 if problem else 0, True)
    code, out, err = train(capsys, tmp_path / "t.csv", text, *options)
    assert (code, err) == (0, "")
    assert "read t.csv: columns separated by" in out


def test_delimiter_and_decimal_sign_are_seen_and_printed(capsys, tmp_path):
    plain = table(target="{number:.3f}")
    first = train(capsys, tmp_path / "t.csv", plain)[1]
    assert "columns separated by ',', decimal sign '.', a header" in first
    for delimiter in ";\t|":
        text = plain.replace(",", delimiter).replace(".", ",")
        out = train(capsys, tmp_path / "t.csv", text)[1]
        assert f"columns separated by {delimiter!r}, decimal sign ',', a header" in out
        assert figures(out) == figures(first)


def test_a_table_without_header_is_counted_from_0(capsys, tmp_path):
    text = table(head="")
    for target in ("0", "-3"):
        out = train(capsys, tmp_path / "t.csv", text, "--no-header", "--target", target)[1]
        assert "the target is column '0'" in out


BAD = [
    "",
    "a\n1\n",
    "a,b\n",
    "1,2\n3,4\n",
    "a,b\n1,2\n3\n",
    "a,b,y\n1,,3\n",
    "a,b,y\n1,red,3\n",
    "a,b,y\n1,1_0,3\n",
    "a,b,a\n1,2,3\n",
    ",b,y\n1,2,3\n",
    "a,y\n1,NA\n1,x\n",
    "a,y\n1,NA\n1,2\n",
    "a,y\n1,$5\n1,$7\n",
    'a,y\n1,"1,5"\n1,"2,5"\n',
    'a,y\n1,"1,500"\n1,"2,500"\n',
    "a;y\n1,5;2\n1.5;3\n",
    'a,y\n"1,2\n',
    "gr\u00f6\u00dfe,y\n1,2\n".encode("latin-1"),
]


@pytest.mark.parametrize("text", BAD)
def test_errors_advise_options_that_the_command_has(capsys, tmp_path, text):
    code, out, err = train(capsys, tmp_path / "t.csv", text)
    assert (code, out) == (1, "")
    assert err.startswith(f"mlpgrad: error: {tmp_path}")
    assert err.count("\n") == 1
    known = train_options()
    assert set(re.findall(r"--[a-z-]+", err)) <= known
    python = r"\b(delimiter|decimal|missing|encoding|header)="  # index=False is pandas' option
    assert not re.search(python, err)


def train_options():
    """Every option of `mlpgrad train`."""
    (commands,) = (a.choices for a in build_parser()._actions if isinstance(a.choices, dict))
    return {name for action in commands["train"]._actions for name in action.option_strings}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--delimiter", "ab"), "--delimiter expects one character, or one of tab"),
        (("--decimal", ";"), "argument --decimal: invalid choice"),
        (("--encoding", "latin-0"), "--encoding expects an encoding such as 'utf-8'"),
        (("--delimiter", ",", "--decimal", ","), "expects one character other than the decimal"),
    ],
)
def test_options_are_checked(capsys, tmp_path, options, words):
    code, out, err = train(capsys, tmp_path / "t.csv", table(), *options)
    assert (code in (1, 2), out) == (True, "")
    assert words in err


# the check's outcome


@pytest.mark.parametrize(
    ("verdict", "code"), [("INCONCLUSIVE", 0), ("KINK", 0), ("FAIL", 1), ("NAN", 1)]
)
def test_the_exit_code_is_1_only_for_a_mistake_in_the_gradient(
    capsys, tmp_path, monkeypatch, verdict, code
):
    from mlpgrad.gradcheck.report import GradientReport, TensorReport
    from mlpgrad.gradcheck.verdicts import Verdict

    tensor = TensorReport("layers[0].weights", (2, 4), Verdict[verdict])
    monkeypatch.setattr(mg, "check_gradients", lambda *_, **__: GradientReport("model", [tensor]))
    found, out, _ = train(capsys, tmp_path / "t.csv", table())
    assert found == code
    assert ("note: the gradient check found no mistake" in out) == (verdict == "INCONCLUSIVE")
    assert (tmp_path / "mlpgrad-output" / "model.npz").exists()
