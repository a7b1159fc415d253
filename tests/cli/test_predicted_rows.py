"""`mlpgrad predict` answers for each row of the file, and for a row alone as among others."""

import itertools
import unicodedata

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.tables import TableEncoder
from tests.cli.running import run

MODEL = "mlpgrad-output/model.npz"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(capsys, folder, head, rows, delimiter=";"):
    """Train by the command on a table with a column `y` at its end."""
    lines = [head, *rows]
    (folder / "t.csv").write_text("\n".join(delimiter.join(map(str, line)) for line in lines))
    options = ("--epochs", "2", "--quiet", "--hidden", "2")
    assert run(capsys, "train", "t.csv", "--target", "y", *options)[0] == 0


def save(folder, table):
    """Save a model from Python, with an encoder of this table."""
    encoder = TableEncoder().plan(table)
    model = mg.Sequential(
        [mg.Dense(encoder.width, 1)], loss=mg.MeanSquaredError(), encoder=encoder, random_state=0
    )
    y = np.arange(len(next(iter(table.values()))), dtype=float) % 7
    model.fit(table, y, optimizer=mg.Adam(0.1), epochs=2, verbose=0)
    model.save(folder / "model.npz")
    return model


def predict(capsys, folder, text, model=MODEL, *options):
    """The printed predictions, or None for an error, and stderr."""
    (folder / "new.csv").write_text(text, newline="")
    code, out, err = run(capsys, "predict", model, "new.csv", *options)
    return ([*map(float, out.splitlines()[1:])] if code == 0 else None), err


# rows of gaps

KINDS = "by the command", "by Python"


@pytest.mark.parametrize("made", KINDS)
@pytest.mark.parametrize("delimiter", ",;\t")
@pytest.mark.parametrize("gaps", [[0], [1, 2], [3], [0, 3], [0, 1, 2, 3]])
def test_a_row_of_gaps_is_a_row_and_keeps_its_place(capsys, folder, made, delimiter, gaps):
    numbers = ["" if i % 7 == 0 else i % 5 + 0.5 for i in range(60)]
    towns = ["" if i % 11 == 0 else "xyz"[i % 3] for i in range(60)]
    model = MODEL if made == KINDS[0] else "model.npz"
    if made == KINDS[0]:
        rows = [(*row, i + 0.25) for i, row in enumerate(zip(numbers, towns, strict=True))]
        train(capsys, folder, ("a", "t", "y"), rows)
    else:
        save(folder, {"a": [n or None for n in numbers], "t": [t or None for t in towns]})
    rows = [("1.5", "x"), ("2.5", "y"), ("", "z"), ("4.5", "")]
    alone = [
        predict(capsys, folder, f"a{delimiter}t\n{delimiter.join(row)}\n", model)[0][0]
        for row in [*rows, ("", "")]
    ]
    wanted = [alone[4] if i in gaps else alone[i] for i in range(4)]
    lines = [delimiter.join(("", "") if i in gaps else rows[i]) for i in range(4)]
    for end in ("", "\n", "\n\n", "\r\n  \r\n", "\n\x1a"):
        text = f"a{delimiter}t\n" + "\n".join(lines) + end
        found, err = predict(capsys, folder, text, model)
        assert found == pytest.approx(wanted, rel=1e-5)
        assert "every field is empty, and taken for a gap: line" in err


def test_an_empty_line_between_rows_of_one_column_is_a_gap_and_at_the_end_nothing(capsys, folder):
    save(folder, {"a": [None if i % 5 == 0 else i / 10 for i in range(40)]})
    one, gap, two = predict(capsys, folder, 'a\n1.5\n""\n2.5\n', "model.npz")[0]
    for text in ("a\n1.5\n\n2.5\n", "\n\na\r\n1.5\r\n\r\n2.5\r\n\r\n\r\n", "a\n1.5\n\n2.5\n\x1a"):
        assert predict(capsys, folder, text, "model.npz")[0] == pytest.approx(
            [one, gap, two], rel=1e-5
        )
    assert predict(capsys, folder, 'a\n2.5\n""\n', "model.npz")[0] == pytest.approx(
        [two, gap], rel=1e-5
    )


def test_a_model_without_a_place_for_gaps_refuses_the_row_by_its_line(capsys, folder):
    mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError()).save(folder / "model.npz")
    for text, line in (("a,b\n1,2\n,\n3,4\n", 3), (",\n1,2\n3,4\n", 1), ("a,b\n1,2\n3,\n", 3)):
        found, err = predict(capsys, folder, text, "model.npz")
        assert found is None
        assert f"line {line}, column" in err
        assert "no place for gaps" in err


def test_what_is_left_out_is_told_for_every_kind_of_model(capsys, folder):
    save(folder, {"a": [i / 10 for i in range(40)], "b": [i % 3 for i in range(40)]})
    for name in ("model.npz", "array.npz"):
        if name == "array.npz":
            mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError()).save(folder / name)
        found, err = predict(capsys, folder, "# by hand\na,b\n1,2\n", name)
        assert (len(found), err) == (1, "note: left out, since it begins with #: line 1\n")


def test_a_row_without_a_header_is_told_the_option_that_reads_it(capsys, folder):
    mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError()).save(folder / "model.npz")
    found, err = predict(capsys, folder, "1,2\n", "model.npz")
    assert found is None
    assert err.endswith("; if it is a row of data, pass --no-header\n")
    assert len(predict(capsys, folder, "1,2\n", "model.npz", "--no-header")[0]) == 1
    assert "at least one row is needed" in predict(capsys, folder, "a,b\n", "model.npz")[1]


# decimal signs

NUMBERS = "100,500", "50,25", "1.250", "2.5", "7", "1.234.567", "1,234,567"


@pytest.mark.parametrize("unit", ["", " kg"])
@pytest.mark.parametrize("sign", [".", ","])
def test_a_number_means_the_same_alone_and_beside_every_other(capsys, folder, sign, unit):
    rows = [(f"{i}.5{unit}", f"{i % 3}.5", f"{i}.25") for i in range(60)]
    rows = [[text.replace(".", sign) for text in row] for row in rows]
    train(capsys, folder, ("a", "b", "y"), rows)
    text = "a;b\n{}" + unit + ";7\n"
    alone = {number: predict(capsys, folder, text.format(number)) for number in NUMBERS}
    for first, second in itertools.permutations(NUMBERS, 2):
        both, err = predict(capsys, folder, text.format(first) + f"{second}{unit};7\n")
        for place, number in enumerate((first, second)):
            if both is not None and alone[number][0] is not None:
                wanted = pytest.approx(alone[number][0][0], rel=1e-5)
                assert both[place] == wanted, (number, first, second, err)
    other = {".": "100,500", ",": "1.250"}[sign]
    whole = other.replace(",", "").replace(".", "")
    plain = {".": "1.250", ",": "100,500"}[sign]
    for number, meant in ((other, whole), (plain, f"{float(plain.replace(',', '.')):g}")):
        assert f"line 2: '{number}{unit}' is read as {meant}, with the decimal" in alone[number][1]


def test_the_option_and_a_number_that_shows_the_sign_end_the_note(capsys, folder):
    train(capsys, folder, ("a", "y"), [(f"{i}.5", f"{i}.25") for i in range(60)])
    assert "is read as 1.25" in predict(capsys, folder, "a;b\n1.250;7\n")[1]
    read, err = predict(capsys, folder, "a;b\n1.250;7\n", MODEL, "--decimal", ",")
    assert "is read as" not in err
    assert read == predict(capsys, folder, "a;b\n1250;7\n")[0]
    assert "is read as" not in predict(capsys, folder, "a;b\n1.250;7\n1.5;7\n")[1]
    found, err = predict(capsys, folder, "a;b\n1.250;7\n1,5;7\n")
    assert found is None
    assert "line 3, column 'a': expects a number, got '1,5'; write all numbers of the column" in err
    assert predict(capsys, folder, "a;b\n1,5;7\n")[0] == predict(capsys, folder, "a;b\n1.5;7\n")[0]


# categories


def model_of(capsys, folder, made, columns):
    """Make a model of two columns, by the command line or from Python; return its file."""
    if made != KINDS[0]:
        save(folder, columns)
        return "model.npz"
    rows = [(*row, i + 0.25) for i, row in enumerate(zip(*columns.values(), strict=True))]
    train(capsys, folder, (*columns, "y"), rows)
    return MODEL


@pytest.mark.parametrize("made", KINDS)
def test_categories_that_were_not_in_training_are_named(capsys, folder, made):
    new, zone = ["TRUE", "FALSE"] * 30, ["00715", "01067", "1", "2.0"] * 15
    model = model_of(capsys, folder, made, {"new": new, "zone": zone})
    known = "new;zone\nTRUE;00715\nFALSE;1.0\nTRUE;2\nFALSE;2.0\n"
    assert predict(capsys, folder, known, model)[1] == ""
    _, err = predict(capsys, folder, "new;zone\nTrue;00715\n", model)
    assert err == "note: column 'new': 'True' was not in training (1 of 1 row)\n"
    _, err = predict(capsys, folder, known + "true;715\nTrue;715\nTRUE;715\n", model)
    assert err.splitlines() == [
        "note: column 'new': 'True', 'true' were not in training (2 of 7 rows)",
        "note: column 'zone': '715' was not in training (3 of 7 rows)",
    ]


def test_rare_categories_may_have_been_in_training(capsys, folder):
    save(folder, {"town": [f"town{i % 70}" for i in range(700)]})
    _, err = predict(capsys, folder, "town\nelsewhere\n", "model.npz")
    seen = "was not in training, or in too few rows"
    assert err == f"note: column 'town': 'elsewhere' {seen} (1 of 1 row)\n"


@pytest.mark.parametrize("made", KINDS)
def test_gaps_and_far_numbers_that_training_did_not_have_are_named(capsys, folder, made):
    size, kind = [80 + i % 7 for i in range(60)], ["xyz"[i % 3] for i in range(60)]
    model = model_of(capsys, folder, made, {"size": size, "kind": kind})
    known = "size;kind\n82;x\n90;y\n75;z\n"
    assert predict(capsys, folder, known, model)[1] == ""
    _, err = predict(capsys, folder, known + ";x\n83;\n82000;x\n-900;x\n", model)
    told = "of which training had none, count as"
    gaps, far, kind = err.splitlines()
    assert gaps == f"note: column 'size': gaps, {told} the median (1 of 7 rows)"
    assert far.startswith("note: column 'size': 82000 is far from the numbers in training, 8")
    assert far.endswith("; is it in the same unit? (2 of 7 rows)")
    assert kind == f"note: column 'kind': gaps, {told} a new category (1 of 7 rows)"


def test_what_evaluate_is_given_is_compared_with_the_training(capsys, folder):
    rows = [(i % 7, f"{i % 7 + 0.5 * (i % 2)} %") for i in range(60)]
    train(capsys, folder, ("a", "y"), rows)
    (folder / "new.csv").write_text("a;y\n1;0.02\n2;3 %\n")
    _, _, err = run(capsys, "evaluate", MODEL, "new.csv")
    assert err == (
        "note: column 'y': '0.02' is read as an amount in %, as in training (1 of 2 rows)\n"
    )
    assert run(capsys, "evaluate", MODEL, "t.csv")[2] == ""


# letters with accents, which macOS writes in two characters


def test_accents_in_one_character_or_two_are_the_same(capsys, folder):
    towns = ["Zürich", "Genève", "Bern"]
    rows = [(towns[i % 3], i % 5, 0.25 + i % 3) for i in range(60)]
    train(capsys, folder, ("Ort", "Größe", "y"), rows)
    text = "Ort;Größe\nZürich;2\nGenève;3\n"
    found = predict(capsys, folder, text)
    assert found[1] == ""
    assert predict(capsys, folder, unicodedata.normalize("NFD", text)) == found
    both = unicodedata.normalize("NFD", (folder / "t.csv").read_text()) + "\nZürich;2;7.5\n"
    (folder / "both.csv").write_text(both)
    without = unicodedata.normalize("NFD", "Größe")
    options = ("--target", "y", "--without", without, "--epochs", "1", "--quiet")
    code, out, _ = run(capsys, "train", "both.csv", *options)
    assert code == 0
    assert "'Ort': categories: 3 different texts" in out
    assert "'Größe': left out: as the options say" in out
