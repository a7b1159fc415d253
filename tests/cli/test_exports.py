"""Files as banks, spreadsheets, loggers and surveys export them: read, warned of, or refused."""

import csv
import io
import re

import numpy as np
import pytest

from mlpgrad.cli.data import load_data
from mlpgrad.cli.parser import build_parser
from mlpgrad.cli.text import read_text
from tests.cli.running import run

X = np.random.default_rng(3).normal(size=(60, 2)).round(3)
SHORT = ("--quiet", "--epochs", "3", "--hidden", "4")


def table(rows, head=("a", "b", "y"), delimiter=","):
    return "\n".join(delimiter.join(row) for row in [head, *rows]) + "\n"


ROWS = [[f"{a}", f"{b}", f"{a + b:.3f}"] for a, b in X]
PLAIN = table(ROWS)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "t.csv"


def read(path, text, *options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_data(build_parser().parse_args(["train", str(path), *options]))


def with_column(values):
    return table([[a, values[i % len(values)], y] for i, (a, _, y) in enumerate(ROWS)])


def indian(value):
    digits = str(value)
    groups, rest = [digits[-3:]], digits[:-3]
    while rest:
        groups, rest = [rest[-2:], *groups], rest[:-2]
    return ",".join(groups)


STATEMENT = (
    "Umsätze;;;;\nKonto;DE00 1234;;;\nSaldo;1.234,56 EUR;;;\n\n"
    + table(
        [[f"{1 + i % 28:02d}.03.2024", ["Miete", "Gehalt"][i % 2], "DE12",
          f"{1000 * a:,.2f}".translate({44: ".", 46: ","}), f"{b}".replace(".", ",")]
         for i, (a, b) in enumerate(X)],
        ("Tag", "Zweck", "IBAN", "Betrag", "Saldo danach"), ";",
    )
).encode("cp1252")  # fmt: skip


def test_a_bank_statement_is_read_below_what_stands_above_it(path):
    data = read(path, STATEMENT, "--target", "Betrag", "--without", "Tag")
    assert "left out, since it has one field only: line 1, 'Umsätze'" in data.notes
    assert "left out, since the header is below: lines 2, 3" in data.notes
    np.testing.assert_allclose(data.target.y, (1000 * X[:, 0]).round(2))
    np.testing.assert_allclose(data.x["Saldo danach"], X[:, 1])
    with pytest.raises(ValueError, match=r"column 'Tag' holds dates .*'01\.03\.2024' in line 6"):
        read(path, STATEMENT, "--target", "Betrag")


AROUND = {
    "units in the second line": (
        PLAIN.replace("a,b,y\n", "a,b,y\n°C,hPa,l/min\n"),
        "left out, since it holds units: line 2, '°C', 'hPa', 'l/min'",
    ),
    "some units in the second line": (
        PLAIN.replace("a,b,y\n", "a,b,y\nV,,A\n"),
        "left out, since it holds units: line 2, 'V', 'A'",
    ),
    "a rule as in Markdown": (
        PLAIN.replace("a,b,y\n", "a,b,y\n---,---,---\n"),
        "left out, since it is a rule: line 2, '---', '---', '---'",
    ),
    "the end of a file in DOS": (PLAIN + "\x1a", "left out, since every field is empty: line 62"),
    "two files in one": (
        PLAIN + PLAIN,
        "left out, since it repeats the header: line 62",
    ),
    "empty rows below": (
        PLAIN + ",,\n,,\n",
        "left out, since every field is empty: lines 62, 63",
    ),
    "a comma at the end of some rows": (
        PLAIN.replace(f"{ROWS[4][2]}\n", f"{ROWS[4][2]},\n"),
        "left out: empty fields at the end of line 6",
    ),
}


@pytest.mark.parametrize("name", AROUND)
def test_what_is_not_data_is_left_out_and_said(path, name):
    text, note = AROUND[name]
    data = read(path, text)
    assert note in data.notes
    found = np.column_stack([*data.x.values(), data.target.y])
    rows = np.array(ROWS, float)
    np.testing.assert_array_equal(found, rows if len(found) == 60 else np.vstack([rows, rows]))


def test_lines_above_are_left_out_only_if_a_header_follows(path):
    rows = [[f"{i}", "x", "y", "z", "w"] for i in range(99)]
    path.write_text("a,b,,,\n" * 40 + table(rows, ("p", "q", "r", "s", "t")))
    names = read_text(path, build_parser().parse_args(["train", str(path)])).names
    assert names == ["a", "b", "column 3", "column 4", "column 5"]
    rows = [[f"{a}", f"{b}", "xy"[i % 2], f"{b}"] for i, (a, b) in enumerate(X)]
    unnamed = read(path, table(rows, ("a", "b", "", "")), "--target", "a")
    assert list(unnamed.columns) == ["b", "column 3", "column 4"]


def test_a_first_row_of_text_and_gaps_is_a_row(path):
    rows = [["NA", "?", "0.5"], *ROWS]
    assert len(read(path, table(rows)).target.y) == 61
    rows = [["x", ROWS[0][1], "0.5"], *ROWS]
    with pytest.raises(ValueError, match="line 2, column 'a': expects a number, got 'x'"):
        read(path, table(rows))
    rows = [["x", "3.5"], ["two", "4.5"], *([f"w{i % 3}", f"{i}.5"] for i in range(58))]
    assert len(read(path, table(rows, ("kind", "y"))).target.y) == 60


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        (lambda v: f'"₹ {indian(v)}"', "₹"),
        (lambda v: f'"{indian(v)}"', ""),
        (lambda v: f"CHF {v:,}".replace(",", "'"), "CHF"),
        (lambda v: f"{v:,}".replace(",", "’"), ""),
        (lambda v: f"{v:,} zł".replace(",", "\u202f"), "zł"),
        (lambda v: f"{v:,}".replace(",", "\u2009"), ""),
        (lambda v: f"{v:,}\u00a0€".replace(",", "\u202f"), "€"),
    ],
)
def test_thousands_of_several_countries_are_read(path, form, unit):
    values = [3_000_000 + int(400_000 * a) for a, _ in X]
    data = read(path, table([[a, form(v)] for (a, _, _), v in zip(ROWS, values, strict=True)],
                            ("a", "price")))  # fmt: skip
    np.testing.assert_array_equal(data.target.y, values)
    assert data.target.unit == unit


@pytest.mark.parametrize(
    ("separator", "named"),
    [(",", "','"), ("\u2009", "a thin space"), ("\u202f", "a narrow no-break space")],
)
def test_a_separator_that_looks_like_another_is_named(separator, named, path, capsys):
    rows = [[f"{1001 * v:,}".replace(",", separator), f"{v % 7}.5"] for v in range(1001, 1061)]
    path.write_text(table(rows, ("a", "y"), ";"), "utf-8")
    _, out, _ = run(capsys, "train", "t.csv", "--epochs", "3", "--hidden", "4")
    assert f"'a': numbers: thousands separated by {named}\n" in out


@pytest.mark.parametrize("form", ["{} EUR", "{} €", "€ {}", "{} %", "{} kg"])
def test_the_decimal_sign_is_seen_in_amounts_alone(path, form):
    values = (1000 * X[:, 0]).round(2)
    rows = [["xyz"[i % 3], form.format(f"{v:,.2f}".translate({44: ".", 46: ","}))]
            for i, v in enumerate(values)]  # fmt: skip
    data = read(path, table(rows, ("kind", "amount"), ";"))
    np.testing.assert_allclose(data.target.y, values)
    rows = [[kind, form.format(f"{v:,.2f}")] for (kind, _), v in zip(rows, values, strict=True)]
    np.testing.assert_allclose(read(path, table(rows, ("kind", "amount"), ";")).target.y, values)


@pytest.mark.parametrize("form", ["{}", "{} EUR", "{} €", "€ {}"])
def test_the_decimal_sign_is_seen_in_thousands_alone(path, form):
    values = 245_000 + (1000 * X[:, 0]).round(2)
    rows = [["xyz"[i % 3], form.format(f"{v:,.2f}".translate({44: ".", 46: ","}))]
            for i, v in enumerate(values)]  # fmt: skip
    for order in (1, -1):
        text = table([row[::order] for row in rows], ("kind", "amount")[::order], ";")
        data = read(path, text, "--target", "amount")
        np.testing.assert_allclose(data.target.y, values)


def test_three_decimals_are_decimals_where_the_column_shows_it(path):
    values = [0.25, 1.25, 12.5]
    for sign, delimiter in ((",", ";"), (".", ";"), (".", ",")):
        cells = [f"{v:.3f} kg".replace(".", sign) for v in values] * 20
        rows = [[f"{i % 7}", cell] for i, cell in enumerate(cells)]
        data = read(path, table(rows, ("a", "weight"), delimiter), "--task", "regression")
        np.testing.assert_array_equal(data.target.y, values * 20)
    with pytest.raises(ValueError, match=r"got '1\.200 EUR'; write the number without the unit"):
        read(
            path,
            table([[f"{i}.5", f"{1 + i % 9}.2{i:02} EUR"] for i in range(60)], ("a", "y"), ";"),
        )


FORMS = ["1{}.5", "1{},5", "1{}.5 €", "1{},5 €", "1.2{}.567,25", "1,2{},567.25", "1.23{}", "2,34{}",
         "1.2{}.567", "1,2{},567"]  # fmt: skip


def problem(path, text, *options):
    """Return what the error says; nothing if the file is read."""
    try:
        read(path, text, *options)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("delimiter", [";", ","])
@pytest.mark.parametrize("first", FORMS)
def test_no_advice_about_decimal_signs_takes_back_another(path, first, delimiter):
    digits = [f"{10 + i}" for i in range(60)]
    for second in FORMS:
        rows = [[f'"{first.format(d)}"', f'"{second.format(d)}"', d] for d in digits]
        text = table(rows, delimiter=delimiter)
        told = problem(path, text)
        if sign := re.search("pass --decimal '?(.)", told):
            told = problem(path, text, "--decimal", sign[1])
            assert "--decimal" not in told
        assert not told or "write" in told


def test_codes_with_leading_zeros_keep_their_zeros_as_classes(capsys, path):
    codes = ["01067", "10115", "20095"]
    text = table([[a, b, codes[i % 3]] for i, (a, b, _) in enumerate(ROWS)])
    data = read(path, text)
    assert data.target.classes == tuple(codes)
    assert "numbers with leading zeros are codes" in data.target.reason
    assert read(path, text, "--task", "classification").target.classes == tuple(codes)
    assert read(path, text, "--task", "regression").target.y.max() == 20095
    assert run(capsys, "train", "t.csv", *SHORT)[0] == 0
    out = run(capsys, "predict", "mlpgrad-output/model.npz", "t.csv", "--proba")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["y"] for row in rows} <= set(codes)
    assert [f"P({code})" for code in codes] == list(rows[0])[1:]
    assert run(capsys, "evaluate", "mlpgrad-output/model.npz", "t.csv")[0] == 0


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (["$5.10", "€7.20"], "convert the amounts in '$' and in '€' to one unit"),
        ([f"{i}.5{'KM'[i % 2]}" for i in range(30)], "in 'K' and in 'M' to one unit"),
        (["0,536", "1.25", "0.25"], "write all numbers of the column with the decimal sign '.'"),
        (["1.5", "2.5-", "0.5"], "write the minus sign before the number"),
        (["1.5", "2.5", "-"], "mark it as missing with --missing ',-'"),
    ],
)
def test_advice_about_amounts_sees_the_whole_column(path, values, advice):
    cells = [[a, f'"{values[i % len(values)]}"', y] for i, (a, _, y) in enumerate(ROWS)]
    with pytest.raises(ValueError, match="column 'b': expects a number") as caught:
        read(path, table(cells))
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            table([["x", *row] for row in ROWS], ("kind", "a", "b", "y")) + "Total,1,2,3\n",
            "line 62, the last one, contains 'Total'",
        ),
        (
            "kind,a,b,y\n"
            + "".join(
                f"k{i % 3},{','.join(row)}\n" + "Bonn Total,,2,3\n" * (i % 20 == 9)
                for i, row in enumerate(ROWS)
            ),
            "lines 12, 33, 54 seem to hold sums of other rows, since 'Bonn Total' is in them",
        ),
        (
            table([*ROWS, [f"{sum(float(r[k]) for r in ROWS):.3f}" for k in range(3)]]),
            "line 62, the last one, holds the sums of the rows above",
        ),
        (
            table([[a, f"{1.1 * float(y) + 3:.6f}", y] for a, _, y in ROWS]),
            "column 'b' is a linear function of the target, and gives the answer away",
        ),
        (
            table([[a, "TF"[i % 2], ["yes", "no"][i % 2]] for i, (a, _, _) in enumerate(ROWS)]),
            "column 'b' has its own name for each class of the target",
        ),
        (
            with_column([f"{i % 4}h {i:02d}m" for i in range(40)]),
            "column 'b': its 40 texts, such as '0h 00m', count as categories that have nothing",
        ),
        (
            with_column([f"town {i}" for i in range(58)]),
            "column 'b': 58 different texts in 60 rows tell next to nothing: --without 'b'",
        ),
        (
            with_column([f"{50 + i % 5}°{i:02d}'N" for i in range(40)]),
            "if they are measurements, write each as one number",
        ),
    ],
)
def test_doubts_about_exports_are_told_once(path, text, words):
    warnings = [note for note in read(path, text).notes if note.startswith("warning: ")]
    assert len(warnings) == 1
    assert words in warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        with_column([f"town {i}" for i in range(40)]),
        with_column([f"{i:05d}" for i in range(40)]),
        table([[a, b, f"{2 * float(a):.2f}"] for a, b, _ in ROWS]),  # rounded: not the same
        table([["x", b, y] if i else ["Sum", b, y] for i, (_, b, y) in enumerate(ROWS)]),
    ],
)
def test_similar_tables_raise_no_doubt(path, text):
    assert not [note for note in read(path, text).notes if note.startswith("warning: ")]


def test_many_columns_of_one_kind_share_a_line(path, capsys):
    head = [*(f"x{i}" for i in range(200)), "kind", "y"]
    rows = [[*(f"{a + k:.3f}" for k in np.random.default_rng(i).normal(size=200)), "pq"[i % 2], y]
            for i, ((a, _), (_, _, y)) in enumerate(zip(X, ROWS, strict=True))]  # fmt: skip
    path.write_text(table(rows, head))
    _, out, _ = run(capsys, "train", "t.csv", *SHORT)
    line = (
        "  'x0', 'x1' ... 'x199' (200 columns): numbers\n  'kind': categories: 2 different texts\n"
    )
    assert line in out
    assert line in run(capsys, "info", "mlpgrad-output/model.npz")[1]


def test_a_name_in_angle_brackets_is_a_name_and_a_web_page_is_not(path):
    for delimiter in ",;\t":
        data = read(path, table([[f"{i}", *r] for i, r in enumerate(ROWS)],
                                ("<id>", "a", "b", "y"), delimiter))  # fmt: skip
        assert data.columns["<id>"].kind == "left out"
    for page in ("<!DOCTYPE html><p>1,2", "<html>\n<p>1,2", '<?xml version="1.0"?>', "<a b='1'>"):
        with pytest.raises(ValueError, match="is a web page or XML"):
            read(path, page)


def test_errors_in_prediction_name_lines_and_no_options_of_training(capsys, path):
    path.write_text(PLAIN)
    run(capsys, "train", "t.csv", *SHORT)
    for cell, words in (("high", "got 'high'; correct it"), ("1e300", "1e+300 is too far from")):
        (path.parent / "new.csv").write_text(f"a,b\n1.5,2.5\n{cell},2\n")
        code, out, err = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv")
        assert (code, out) == (1, "")
        assert "new.csv, line 3, column 'a': " in err
        assert words in err
        assert "--categories" not in err
        assert "row" not in err


POINTS = table(
    [[f"{i % 7}", f"{1 + i % 9}.{100 + i * 37 % 900}"] for i in range(60)], ("a", "y"), ";"
)


def test_a_point_that_may_separate_thousands_is_refused_until_something_shows_what_it_is(path):
    values = np.array([1000 * (1 + i % 9) + 100 + i * 37 % 900 for i in range(60)])
    with pytest.raises(
        ValueError, match=r"line 2, column 'y': '1\.100' may be a number with"
    ) as told:
        read(path, POINTS)
    assert "pass --decimal . or --decimal ," in str(told.value)
    np.testing.assert_allclose(read(path, POINTS, "--decimal", ".").target.y, values / 1000)
    np.testing.assert_allclose(read(path, POINTS, "--decimal", ",").target.y, values)
    with_comma = POINTS.replace("\n0;", "\n0,5;")
    np.testing.assert_allclose(read(path, with_comma).target.y, values)
    with_point = POINTS.replace("\n0;", "\n0.5;")
    np.testing.assert_allclose(read(path, with_point).target.y, values / 1000)
    for_english = POINTS.replace(";", ",")
    np.testing.assert_allclose(read(path, for_english).target.y, values / 1000)
    millions = POINTS.replace(";1.", ";1.234.")
    assert read(path, millions).target.y.max() > 1_234_000


def test_predictions_read_points_as_the_training_did(capsys, path):
    for sign, wanted in ((".", "1.5"), (",", "1500")):
        rows = [[f"{1 + i % 9}{sign}5", f"{i % 4}{sign}25"] for i in range(60)]
        path.write_text(table(rows, ("a", "y"), ";"))
        assert run(capsys, "train", "t.csv", *SHORT)[0] == 0
        answers = []
        for text in ("a\n1.500\n", f"a;b\n{wanted};{3}{sign}5\n".replace("1.5", f"1{sign}5")):
            (path.parent / "new.csv").write_text(text.replace("a\n1.500", "a;b\n1.500;7"))
            code, out, _ = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv")
            assert code == 0
            answers.append(out)
        assert answers[0] == answers[1]


def test_signs_without_width_do_not_make_text_of_numbers(path):
    data = read(path, with_column(["\u200b1.5", "\ufeff2.5", "\xa03.5\xa0"]))
    assert data.columns["b"].kind == "numbers"
    assert set(data.x["b"]) == {1.5, 2.5, 3.5}


def test_years_in_a_row_are_names_of_columns_above_numbers_that_are_not(path):
    text = table(ROWS, ("2020", "2021", "2022"))
    assert list(read(path, text).x) == ["2020", "2021"]
    counts = table([[f"{i}", f"{i + 1}", f"{i + 2}"] for i in range(2020, 2080)][1:],
                   ("2020", "2021", "2022"))  # fmt: skip
    assert len(read(path, counts, "--numbers", "0,1").target.y) == 60


def test_a_single_column_may_have_blanks_in_its_fields(capsys, path):
    path.write_text(table([[f"{70 + i}.5 kg", f"{i % 9}.5"] for i in range(60)], ("weight", "y")))
    assert run(capsys, "train", "t.csv", *SHORT)[0] == 0
    (path.parent / "new.csv").write_text("weight\n71.5 kg\n82.5 kg\n")
    code, out, err = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv")
    assert (code, len(out.splitlines()), err) == (0, 3, "")
    (path.parent / "new.csv").write_text("weight\n71500 g\n82500 g\n")
    code, out, err = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv")
    assert (code, out) == (1, "")
    assert "line 2, column 'weight': expects amounts in 'kg' as in training, got '71500 g'" in err


def test_a_training_that_diverges_says_which_option_helps(capsys, path):
    path.write_text(PLAIN)
    options = ("--optimizer", "sgd", "--learning-rate", "50")
    code, _, err = run(capsys, "train", "t.csv", *SHORT, *options)
    assert code == 1
    assert "training diverged" in err
    assert err.endswith("; lower the rate: --learning-rate 5\n")
