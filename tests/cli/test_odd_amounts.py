"""A column of amounts with another text in a few rows is refused there, never read as names."""

import re

import numpy as np
import pytest

from mlpgrad.cli.data import load_data
from mlpgrad.cli.parser import build_parser
from mlpgrad.datasets import load_csv
from mlpgrad.tables import TableEncoder
from tests.cli.running import run

ROWS = 90
AMOUNTS = {
    "dollars": "${},{:03}",
    "euros": "€{}.{:02}",
    "lira": "₺{}{:02}",
    "won": "₩ {},{:03}",
    "roubles": "{}{:02} руб.",
    "percent": "{}.{:02} %",
    "per mille": "{}.{:02}‰",
    "kilograms": "{}.{:02} kg",
    "pieces": "{}{:02} Stk.",
    "thousands": "{},{:03}.5",
    "apostrophes": "{}'{:03}",
}
WORDS = ["unknown", "n.a.", "-", "$-", "$(5)", "#REF!"]


def texts(amounts, word=None):
    """The texts of a column, with a word in every seventh row."""
    rng = np.random.default_rng(0)
    made = [AMOUNTS[amounts].format(rng.integers(1, 90), rng.integers(10, 90)) for _ in range(ROWS)]
    return [word if word and row % 7 == 3 else text for row, text in enumerate(made)]


def written(path, column, place):
    """A file with this column as a feature or as the target."""
    rng = np.random.default_rng(1)
    others = [f"{number:.3f}" for number in rng.normal(size=ROWS)]
    first, last = (column, others) if place == "feature" else (others, column)
    rows = [f'{a};"{b}";"{c}"' for a, b, c in zip(others[::-1], first, last, strict=True)]
    path.write_text("a;b;y\n" + "\n".join(rows) + "\n")
    return path


def read(path, *options):
    return load_data(build_parser().parse_args(["train", str(path), *options]))


@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("place", ["feature", "target"])
def test_a_column_of_amounts_is_numbers(tmp_path, amounts, place):
    data = read(written(tmp_path / "t.csv", texts(amounts), place))
    numbers = data.x["b"] if place == "feature" else data.target.y
    assert not data.target.classes
    plain = [re.sub(r"[^\d.]|\.$", "", text) for text in texts(amounts)]
    np.testing.assert_array_equal(numbers, np.array(plain, float))


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("place", ["feature", "target"])
def test_another_text_among_amounts_is_refused_and_the_advice_works(tmp_path, place, amounts, word):
    path = written(tmp_path / "t.csv", texts(amounts, word), place)
    name = "b" if place == "feature" else "y"
    with pytest.raises(ValueError, match=f"line 5, column '{name}'") as error:
        read(path)
    assert repr(word) in str(error.value)
    if word == "$(5)":
        assert "write a negative number with a minus sign" in str(error.value)
        return
    option = re.search(r"--missing '(.*?)'[;,]?", str(error.value))[1]
    data = read(path, "--missing", option)
    numbers = data.x["b"] if place == "feature" else data.target.y
    assert numbers.dtype.kind == "f"
    names = ["--categories", "b"] if place == "feature" else ["--task", "classification"]
    assert place == "target" or read(path, *names).x["b"].dtype == object


@pytest.mark.parametrize("amounts", AMOUNTS)
def test_in_python_such_a_column_is_refused_too(tmp_path, amounts):
    column = texts(amounts, "unknown")
    with pytest.raises(ValueError, match=r"column 'b', row \d: expects a number"):
        TableEncoder().fit({"a": np.arange(ROWS), "b": column})
    with pytest.raises(ValueError, match=r"line \d, column 'y': expects a target"):
        load_csv(written(tmp_path / "t.csv", column, "target"), target="y", delimiter=";")


@pytest.mark.parametrize(
    "column",
    [
        [["4 cyl", "6 cyl", "unknown"][row % 3] for row in range(ROWS)],
        [["4 cyl.", "6 cyl.", "8 cyl."][row % 3] for row in range(ROWS)],
        [["low", "high", "$5", "low"][row % 4] for row in range(ROWS)],
        [f"{row % 30}{'ABCDEF'[row % 6]}" for row in range(ROWS)],
        [["<5", "5-9", "10+"][row % 3] for row in range(ROWS)],
    ],
    ids=["cylinders", "cylinders with a point", "mostly words", "seats", "intervals"],
)
def test_names_with_numbers_stay_categories(tmp_path, column):
    data = read(written(tmp_path / "t.csv", column, "feature"))
    assert data.x["b"].tolist() == column
    encoder = TableEncoder().fit({"a": np.arange(ROWS), "b": column})
    assert encoder.feature_names_out()[1].startswith("b=")


def test_a_prediction_names_the_text_that_is_not_an_amount(tmp_path, capsys):
    path = written(tmp_path / "t.csv", texts("dollars"), "feature")
    short = ("--quiet", "--epochs", "1", "--hidden", "2", "--output", str(tmp_path / "o"))
    assert run(capsys, "train", str(path), *short)[0] == 0
    (tmp_path / "new.csv").write_text('a;b\n1;"-$1,200"\n2;TBD\n')
    model, new = str(tmp_path / "o" / "model.npz"), str(tmp_path / "new.csv")
    code, _, err = run(capsys, "predict", model, new)
    assert code == 1
    assert "line 3, column 'b': expects an amount, as in the other rows, got 'TBD'" in err
    assert "line 2: '-$1,200' is read as -1200," in err
    option = re.search(r"--missing '(.*)'", err)[1]
    assert run(capsys, "predict", model, new, "--missing", option)[0] == 0


@pytest.mark.parametrize("text", ["97:05", "120:00:10", "0 days 01:30:00", "-1 days +23:10:00"])
def test_durations_are_refused_as_times(tmp_path, text):
    column = [text.replace("0", str(row % 6), 1) for row in range(ROWS)]
    with pytest.raises(ValueError, match=r"line 2.*give numbers made of them, such as minutes"):
        read(written(tmp_path / "t.csv", column, "feature"))
