"""People's files that do not mean what they seem to: read correctly, noted or refused."""

import argparse
import gzip
import io
import pickle
import re
import shlex
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpgrad.cli import main
from mlpgrad.cli.data import load_data
from mlpgrad.cli.parser import build_parser
from mlpgrad.cli.text import missing_texts, one_text, read_text
from tests.cli.running import run

X = np.random.default_rng(0).normal(size=(60, 2)).round(3)
ROWS = [[f"{a}", f"{b}", f"{a + b:.3f}"] for a, b in X]


def lines(rows, delimiter=",", head=("a", "b", "y")):
    return "\n".join(delimiter.join(row) for row in [head, *rows]) + "\n"


def with_column(values, head=("a", "b", "y")):
    """The table with these values in its second column."""
    return lines([[a, values[i % len(values)], y] for i, (a, _, y) in enumerate(ROWS)], head=head)


def read(path, text, *options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_data(build_parser().parse_args(["train", str(path), *options]))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


def tarred():
    """A tar archive with an empty file."""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("table.csv"))
        return file.getvalue()


PLAIN = lines(ROWS)
COMMAS = lines([[text.replace(".", ",") for text in row] for row in ROWS], ";")
SAME = {
    "excel's first line": ("sep=;\n" + COMMAS, ()),
    "excel's first line after a mark": ("\ufeffsep=;\r\n" + COMMAS, ()),
    "utf-16 without a mark": (PLAIN.encode("utf-16-le"), ()),
    "utf-16 of the other order": (PLAIN.encode("utf-16-be"), ()),
    "carriage returns": (PLAIN.replace("\n", "\r"), ()),
    "all in quotes": (lines([[f'"{text}"' for text in row] for row in ROWS]), ()),
    "a comma at the end of each line": (
        PLAIN.replace("\n", ",\n"),
        ("left out: 1 empty field at the end of every row",),
    ),
    "two commas at the end of each row": (
        PLAIN.replace("\n", ",,\n").replace("a,b,y,,", "a,b,y,"),
        ("left out: 2 empty fields at the end of every row",),
    ),
    "comments above and below": (
        "# measured in May\n#, by us\n" + PLAIN + "# the end\n",
        ("left out, since it begins with #: lines 1, 2, 64",),
    ),
    "a title": (
        "Sales 2024\n\n" + PLAIN,
        ("left out, since it has one field only: line 1, 'Sales 2024'",),
    ),
    "a title of a sheet": (
        "Sales 2024,,\n" + PLAIN,
        ("left out, since it has one field only: line 1, 'Sales 2024'",),
    ),
    "blanks between columns": (lines([[f"{t:>9}" for t in row] for row in ROWS], " "), ()),
    "blanks and no header": (
        "\n".join(" ".join(f"{t:>9}" for t in row) for row in ROWS),
        (),
    ),
    "gzip of tabs": (gzip.compress(lines(ROWS, "\t").encode()), ()),
}


@pytest.mark.parametrize("name", SAME)
def test_the_table_is_found_in_what_stands_around_it(path, name):
    text, notes = SAME[name]
    data = read(path, text)
    assert len(data.x) == 2
    found = np.column_stack([*data.x.values(), data.target.y])
    np.testing.assert_array_equal(found, np.array(ROWS, float))
    for note in notes:
        assert note in data.notes
    assert not any("left out" in note for note in data.notes if note not in notes)


def test_row_names_without_a_name_get_one_and_an_unquoted_comma_does_not_move_columns(path):
    named = lines([[f"{i + 1}", *row] for i, row in enumerate(ROWS)], head=("a", "b", "y"))
    data = read(path, named)
    np.testing.assert_array_equal(data.x["a"], X[:, 0])
    assert "the first line has no name for the first column, which names the rows" in data.notes
    amounts = lines([[a, b, f"{i + 1},{i * 7 % 900 + 100}"] for i, (a, b, _) in enumerate(ROWS)])
    with pytest.raises(ValueError, match="line 2: expects 3 fields as in the first line, got 4"):
        read(path, amounts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (with_column(["Rome", "ROME", "Ulm"]), "'ROME', 'Rome' differ in upper and lower case"),
        (with_column(["TRUE", "true", "False"]), "column 'b': 'TRUE', 'true' differ in"),
        (
            with_column(["New York", "New\u00a0York", "Ulm"]),
            "'New York', 'New\\xa0York' differ in blanks",
        ),
        (
            lines([[a, b, ["Cat", "cat", "dog"][i % 3]] for i, (a, b, _) in enumerate(ROWS)]),
            "the target 'y': 'Cat', 'cat' differ in upper and lower case only",
        ),
        (
            with_column(["-999", "1.5", "2.25", "0.5"]),
            "column 'b': -999 is in 15 rows, and the others are from 0.5 to 2.25; if it stands for "
            "a gap, pass --missing ',-999'",
        ),
        (
            lines([[a, b, "9999.0" if i % 9 == 4 else y] for i, (a, b, y) in enumerate(ROWS)]),
            "column 'y': 9999.0 is in 7 rows",
        ),
        (
            lines([[a, b, "xyz"[i % 3] if i else "rare"] for i, (a, b, _) in enumerate(ROWS)]),
            "class 'rare' has fewer than 3 rows, too few to learn from and to test on",
        ),
        (lines(ROWS[:15] * 4), "are the same as rows to train on, target included"),
        (lines([[a, y, y] for a, _, y in ROWS]), "column 'b' is the same as the target"),
    ],
)
def test_what_is_perhaps_not_meant_is_told(path, text, words):
    warnings = [note for note in read(path, text).notes if note.startswith("warning: ")]
    assert len(warnings) == 1
    assert words in warnings[0]


def test_what_is_advised_about_doubts_ends_them(path):
    text = with_column(["-999", "1.5", "2.25", "0.5"])
    data = read(path, text, "--missing", ",-999")
    assert np.isnan(data.x["b"]).sum() == 15
    assert not any("warning" in note for note in data.notes)


@pytest.mark.parametrize("odd", ["-999", "many"])
def test_what_is_advised_about_gaps_keeps_those_that_are_known(path, odd):
    gaps = ["NA", "1.5", "n/a", "2.5"]
    text = lines([[gaps[i % 4], f"{i}" if i % 4 else odd, y] for i, (_, _, y) in enumerate(ROWS)])
    try:
        told = " ".join(read(path, text).notes)
    except ValueError as error:
        told = str(error)
    missing = re.search("--missing '(.*?)'", told)[1]
    assert missing == f",NA,n/a,{odd}"
    data = read(path, text, "--missing", missing)
    assert np.isnan(data.x["a"]).sum() == 30
    assert np.isnan(data.x["b"]).sum() == 15


@pytest.mark.parametrize("odd", ["-999,0", "x, y", 'x "y", z'])
def test_a_text_with_a_comma_can_stand_for_a_gap_as_advised(path, odd):
    cells = [odd, "0", "1,5", "2,25"]
    rows = [f"{cells[i % 4]};{i % 7},5;{i},25" for i in range(60)]
    text = "a;b;y\n" + "\n".join(rows).replace('x "y", z', '"x ""y"", z"')
    try:
        told = " ".join(read(path, text).notes)
    except ValueError as error:
        told = str(error)
    missing = shlex.split(re.search(r"(--missing '.*?'(?= |;|$))", told)[1])[1]
    data = read(path, text, "--missing", missing)
    assert np.isnan(data.x["a"]).sum() == 15
    assert (data.x["a"] == 0).sum() == 15


@given(st.lists(st.text(max_size=4), min_size=1))
def test_texts_for_gaps_come_back_as_they_were_joined(texts):
    assert missing_texts(argparse.Namespace(missing=one_text(texts))) == texts


def test_a_column_with_blanks_in_its_name_is_left_out_as_advised(path):
    text = lines([[a, y, y] for a, _, y in ROWS], head=("a", "the same", "y"))
    (warning,) = [note for note in read(path, text).notes if note.startswith("warning: ")]
    assert "--without 'the same' leaves it out" in warning


def test_what_a_shell_takes_apart_is_advised_in_quotes(path, tmp_path, capsys):
    head = ("# id", "b", "y")
    text = lines([[f"{i}", b, y] for i, (_, b, y) in enumerate(ROWS)], head=head)
    assert any("(--numbers '# id')" in note for note in read(path, text).notes)
    folder = tmp_path / "my model"
    options = ["--quiet", "--epochs", "1", "--hidden", "2", "--output", str(folder)]
    assert main(["train", str(path), *options]) == 0
    out = capsys.readouterr().out
    (advised,) = re.findall("`(mlpgrad predict .*) FILE`", out)
    assert shlex.split(advised)[2] == str(folder / "model.npz")


def test_copies_with_gaps_are_seen(path):
    rows = [[a, "", y] if i % 2 else ["", b, y] for i, (a, b, y) in enumerate(ROWS[:15])]
    assert any("same as rows to train on" in note for note in read(path, lines(rows * 4)).notes)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        with_column(["Rome", "Ulm", "Bonn"]),
        with_column(["999", "1.5", "1000", "998"]),  # among the others
        with_column(["-999", "5.5", "1e6", "-1e6"]),
        with_column(["1", "99", "2", "3", "80"]),
        with_column(["NA", "na", "Rome", "Ulm"]),
        lines(
            [["1", "x", "yes"], ["2", "y", "no"], ["2", "x", "no"], ["1", "y", "no"]] * 15
        ),  # equal rows that are not copies
    ],
)
def test_usual_tables_raise_no_doubt(path, text):
    warnings = [note for note in read(path, text).notes if note.startswith("warning: ")]
    assert not warnings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (with_column(["'1.5", "'2.5"]), 'got "\'1.5"; write the number without the apostrophe'),
        (
            with_column(["\u22121.5", "2.5"]),
            "got '\u22121.5'; write the minus sign '\u2212' as '-'",
        ),
        (with_column(["1e400", "2.5", "3.5"]), "line 2, column 'b': expects a number, got '1e400'"),
        (
            b"PK\x03\x04" + bytes(range(256)),
            "is a zip archive, as Excel workbooks and .npz files are, not",
        ),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "is an old Excel workbook, .*; save the sheet as CSV"),
        (b"PAR1" + bytes(99), "is a Parquet file, not a text table; read it with pandas"),
        (b"PK\x05\x06" + bytes(18), "is a zip archive"),  # without files
        (tarred(), "is a tar archive, not a text table; unpack it"),
        (gzip.compress(tarred()), "is a tar archive"),
        (gzip.compress(gzip.compress(PLAIN.encode())), "is packed by gzip twice"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "is packed by zstd"),
        (b"Rar!\x1a\x07\x01" + bytes(99), "is a RAR archive"),
        *((pickle.dumps(ROWS, protocol), "a pickle file of Python") for protocol in (2, 3, 4, 5)),
        (gzip.compress(b"RDX3\nX\n\0\0\0\3"), "is a file of R, .* by write.csv"),
        (gzip.compress(b"X\n\0\0\0\3"), "is a file of R, "),
        (b"$FL2@(#) SPSS DATA FILE", "is an SPSS file, not a text table; read it with pandas"),
        (b"<stata_dta><header>", "is a Stata file, not a text table; read it with pandas"),
        (b"MATLAB 5.0 MAT-file, Platform", "is a MATLAB file"),
        (
            bytes(range(256)) * 9,
            r"neither utf-8 nor cp1252 text .*; pass its --encoding, or export",
        ),
        (PLAIN.replace(",", "\0"), r"\(line 1 has zero bytes\); pass its --encoding, or export"),
        ('[{"a": 1, "y": 2}]', "is JSON, not a text table"),
        ("<html><table>", "is a web page or XML, not a text table"),
        (
            'a,b,y\n1,"2,3\n' + "4,5,6\n" * 40_000,
            "line 2: a quotation that begins here has no closing",
        ),
    ],
)
def test_what_is_no_plain_number_or_no_text_is_refused_with_what_to_do(path, text, words):
    with pytest.raises(ValueError, match=words):
        read(path, text)


@pytest.mark.parametrize(
    "text", ["PAR1,PAR2,y\n", "PAR1\tPAR2\ty\n", "BZh,ARROW1,y\n", "<5,{a},y\n"]
)
def test_names_that_begin_as_other_formats_do_are_names(path, text):
    delimiter = "\t" if "\t" in text else ","
    assert len(read(path, text + lines(ROWS, delimiter).partition("\n")[2]).x) == 2


def test_rows_with_one_text_are_rows_where_there_is_no_header(path):
    text = lines([["red", "", ""], *[["blue", b, y] for _, b, y in ROWS]]).partition("\n")[2]
    table = read_text(path_of(path, text), options_of("--no-header"))
    assert table.lines[0] == 1
    assert not table.left_out


def test_rows_that_begin_as_comments_are_rows_where_others_do(path):
    text = lines([[f"#{i}", b, y] for i, (_, b, y) in enumerate(ROWS)])
    assert not read_text(path_of(path, text), options_of()).left_out
    with pytest.raises(ValueError, match="line 4: expects 3 fields as in the first line, got 4"):
        read(path, text.replace("#2,", "#2,half,"))


def path_of(path, text):
    path.write_text(text)
    return path


def options_of(*options):
    return build_parser().parse_args(["train", "t.csv", *options])


def test_lines_that_are_no_rows_are_told_in_prediction_too(path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path.write_text(PLAIN)
    assert main(["train", str(path), "--quiet", "--epochs", "2", "--hidden", "2"]) == 0
    capsys.readouterr()
    path.write_text("# new rows\n" + PLAIN)
    assert main(["predict", "mlpgrad-output/model.npz", str(path)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 + len(ROWS)
    assert err == "note: left out, since it begins with #: line 1\n"


def test_a_table_of_text_without_a_header_keeps_its_first_row_and_those_equal_to_it(path):
    rows = [["ep"[i % 2], "nalf"[i % 4], "xyz"[i % 3]] for i in range(60)]
    data = read(path, lines(rows[1:], head=rows[0]))
    assert list(data.x) == ["0", "1"]
    assert len(data.target.y) == 60
    assert list(read(path, lines(rows[1:], head=rows[0]), "--header").x) == ["e", "n"]
    for head in ("k,o,s", "e,o,s"):  # a name may be a level, too
        data = read(
            path, f"{head}\n{lines(rows[1:], head=rows[0])}{head}\n{lines(rows[1:], head=rows[0])}"
        )
        assert [*data.x] == head.split(",")[:2]
        assert len(data.target.y) == 120


def test_rows_for_a_model_without_names_are_read_as_the_errors_advise(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = [["ep"[i % 2], "nalf"[i % 4], "xyz"[i % 3]] for i in range(60)]
    (tmp_path / "t.csv").write_text(lines(rows[1:], head=rows[0]))
    assert run(capsys, "train", "t.csv", "--epochs", "1", "--quiet")[0] == 0
    for count in (1, 2):
        (tmp_path / "new.csv").write_text(lines(rows[1:count], head=rows[0]))
        code, _, err = run(capsys, "predict", "mlpgrad-output/model.npz", "new.csv")
        assert code == 1
        assert err.endswith("pass --no-header\n")
        command = ("predict", "mlpgrad-output/model.npz", "new.csv", "--no-header")
        code, out, _ = run(capsys, *command)
        assert code == 0
        assert len(out.split()) == 1 + count
