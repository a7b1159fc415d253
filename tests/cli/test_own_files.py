"""Files that a person could have: train, save, and predict in a new process."""

import csv
import subprocess
import sys

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.cli import main
from mlpgrad.cli.data import load_data
from mlpgrad.cli.models import predicted
from mlpgrad.cli.parser import build_parser
from tests.cli.made_files import FILES

pytestmark = pytest.mark.slow
SHORT = ("--quiet", "--epochs", "4", "--hidden", "6")
PREDICT = """
import sys
from mlpgrad.cli import main
for name in sys.argv[1:]:
    wrong = main(["predict", name + "/model.npz", name + "/t.csv", "--output", name + "/new.csv"])
    assert wrong == 0, name
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on every file here, then predict all of them in one new process."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for make in FILES:
        place = folder / make.__name__
        place.mkdir()
        content, options = make()
        file = place / "t.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.MonkeyPatch.context() as patch:
            found[make.__name__] = _live(patch, file, options, place)
    script = [sys.executable, "-W", "error", "-c", PREDICT, *(str(folder / name) for name in found)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, found


def _live(patch, file, options, place):
    """The predictions of the model in memory for its training rows."""
    from mlpgrad.cli import train

    kept = {}

    def keep(model, about, history, given):
        kept["model"] = model
        save(model, about, history, given)

    save = train.save
    patch.setattr(train, "save", keep)
    arguments = ["train", str(file), *SHORT, *options, "--output", str(place)]
    code = main(arguments)
    data = load_data(build_parser().parse_args(arguments))
    return code, predicted(kept["model"], data.x), data


@pytest.mark.parametrize("name", [make.__name__ for make in FILES])
def test_a_new_process_answers_as_the_trained_model_did(trained, name):
    folder, found = trained
    code, answers, data = found[name]
    assert code == 0
    with (folder / name / "new.csv").open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == [data.target_name]
    if data.target.classes:
        assert [row[0] for row in rows] == [str(label) for label in answers]
    else:
        new = np.array([float(row[0]) for row in rows])
        np.testing.assert_allclose(new, answers, rtol=5e-9)  # nine digits or more
    assert len(rows) == len(data.target.y)


def test_what_each_file_was_taken_for(trained):
    _, found = trained
    kinds = {
        name: {column: decided.kind for column, decided in data.columns.items()}
        for name, (_, _, data) in found.items()
    }
    assert kinds["leading_zeros_in_ids"] == {
        "customer": "left out", "postcode": "categories", "a": "numbers",
    }  # fmt: skip
    assert kinds["a_constant_column"]["seven"] == "left out"
    assert kinds["one_level_of_99_percent"]["level"] == "categories"
    assert kinds["an_index_without_a_name"]["column 1"] == "left out"
    assert kinds["many_towns_and_units"] == {"town": "categories", "weight": "numbers"}
    quantities = {name for name, (_, _, data) in found.items() if not data.target.classes}
    assert quantities == {make.__name__ for make in FILES} - {
        "tabs_without_header", "quoted_text_in_gzip", "a_spreadsheets_unicode_text",
        "labels_below_zero", "postcodes_as_classes",
    }  # fmt: skip


def test_in_python_the_file_answers_for_a_frame(trained):
    pandas = pytest.importorskip("pandas")
    folder, found = trained
    for name in ("gaps", "leading_zeros_in_ids"):
        _, answers, data = found[name]
        text = {"customer": str, "postcode": str}
        frame = pandas.read_csv(folder / name / "t.csv", dtype=text)
        model = mg.load(folder / name / "model.npz")
        found_again = model.predict(frame[list(data.x)])[:, 0]
        np.testing.assert_allclose(found_again, answers, rtol=1e-6)
