"""Warnings of columns that give the class away, and of what figures on test rows do not show."""

import argparse

import numpy as np
import pytest

from mlpgrad.cli.data import load_data
from mlpgrad.cli.parser import build_parser

ROWS = 240
rng = np.random.default_rng(0)
NOISE = rng.normal(size=ROWS).round(4)
SCORE = rng.integers(0, 100, ROWS)
SURVIVED = rng.random(ROWS) < 0.4
KIND = np.array(["a", "b", "c"])[rng.integers(0, 3, ROWS)]


def warnings(path, name, cells, target, *options):
    """The warnings about a table of noise, a column, and the target."""
    rows = zip(NOISE, cells, target, strict=True)
    path.write_text(f"x,{name},y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    options = build_parser().parse_args(["train", str(path), *options])
    assert isinstance(options, argparse.Namespace)
    notes = load_data(options).notes
    return [note.removeprefix("warning: ") for note in notes if note.startswith("warning: ")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


AWAY = "and gives the answer away if it was made from the target or is known only later: --without"


@pytest.mark.parametrize(
    ("cells", "target", "words"),
    [
        (SCORE, np.where(SCORE < 50, "failed", "passed"), "alone tells the class in every row"),
        (-SCORE, SCORE // 25, "alone tells the class in every row"),
        (SCORE // 10, np.where(SCORE // 10 % 3, 1, 0), "alone tells the class in every row"),
        (
            np.where(NOISE > 1, "", np.char.add(KIND, np.where(SCORE > 50, "1", "2"))),
            KIND,
            f"alone tells the class in every row in the {np.sum(NOISE <= 1)} rows that have it",
        ),
        (
            np.where(SURVIVED, SCORE % 16, ""),
            np.where(SURVIVED, 1, 0),
            "is filled in for 100 % of the rows of class 1 and for 0 % of the others",
        ),
        (
            np.where(SURVIVED ^ (NOISE > 2), "", "body"),
            np.where(SURVIVED, "yes", "no"),
            "is filled in for 98 % of the rows of class no and for 0 % of the others",
        ),
    ],
)
def test_a_column_that_tells_the_class_is_named_and_left_out_as_advised(path, cells, target, words):
    (told,) = warnings(path, "c", cells, target)
    assert told == f"column 'c' {words}, {AWAY} 'c' leaves it out"
    assert not warnings(path, "c", cells, target, "--without", "c")


@pytest.mark.parametrize(
    ("cells", "target"),
    [
        (SCORE + 5 * NOISE.round(), np.where(SCORE < 50, "failed", "passed")),
        (np.char.add("name ", (np.arange(ROWS) // 2).astype(str)), KIND.repeat(2)[:ROWS]),
        (np.where(NOISE > 0, SCORE, ""), KIND),
        (np.where(SURVIVED & (SCORE < 60), SCORE, ""), np.where(SURVIVED, "yes", "no")),
        (SCORE, np.where(np.arange(ROWS) < 3, "rare", "usual")),
    ],
)
def test_columns_that_say_much_about_the_class_are_not_named(path, cells, target):
    assert not [told for told in warnings(path, "c", cells, target) if "answer away" in told]


@pytest.mark.parametrize("name", ["patient_id", "patient", "userId", "Customer ID", "id"])
@pytest.mark.parametrize("text", ["", "P"])
def test_several_rows_of_a_person_are_said_to_be_on_both_sides(path, name, text):
    cells = [f"{text}{i // 6 + 100}" for i in range(ROWS)]
    (told,) = warnings(path, name, cells, NOISE + SCORE)
    assert f"column {name!r} seems to be an id" in told
    assert f"--without {name!r} leaves the column out, and `mlpgrad evaluate`" in told
    assert not warnings(path, name, cells, NOISE + SCORE, "--without", name)
    assert not warnings(path, "paid", cells, NOISE + SCORE)


@pytest.mark.parametrize("name", ["zip", "Zip Code", "zipcode", "PLZ", "home_postcode"])
def test_codes_that_are_read_as_amounts_are_named(path, name):
    cells = 98001 + np.arange(ROWS) % 50
    (told,) = warnings(path, name, cells, NOISE + SCORE)
    assert told.startswith(f"column {name!r} is read as amounts")
    assert not warnings(path, name, cells, NOISE + SCORE, "--categories", name)


def test_dates_that_are_whole_numbers_are_named(path):
    days = 20240000 + 100 * (1 + SCORE % 12) + 1 + np.arange(ROWS) % 28
    (told,) = warnings(path, "when", days, NOISE + SCORE)
    assert told.startswith(f"column 'when': {days[0]} and all others look like dates")
    assert warnings(path, "c", SCORE, days) == [told.replace("'when'", "'y'")]
    assert not warnings(path, "when", days + 60, NOISE + SCORE)  # no such day
