"""The benchmarks run, briefly and without the other libraries."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tables.results import Results
from benchmarks.tables.section import Options, Section, Table

ROOT = Path(__file__).parents[1]


def run(module, *arguments):
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_CORETYPE": "Haswell", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_training(tmp_path):
    output = tmp_path / "training.json"
    options = ["--smoke", "--workloads", "xor", "digits", "--output", output]
    text = run("training", *options, "--peers", "mlpgrad", "bare step", "matrix products")
    results = json.loads(output.read_text())
    digits = results["workloads"]["digits"]
    assert digits["step"]["microseconds"]["bare step"]["ratio"]["median"] > 0
    assert digits["start"]["peak MB"]["mlpgrad"]["median"] < 100  # of the child process
    assert set(results["predict"]) == {"2", "4", "6"}
    assert "| `fit` adds to the bare step |" in text
    for name in {str(ROOT), str(Path.home()), sys.prefix} - {"/"}:
        assert name not in output.read_text()
    written = output.with_suffix(".md").read_text(encoding="utf-8")
    assert text.endswith(written + "\n")
    assert run("training", "--draw", "--output", output) == written + "\n"


@pytest.mark.slow
def test_uncertainty(tmp_path):
    data = ROOT.parent / "shared" / "data"
    if not (data / "uci-yacht.npz").exists():
        pytest.skip("the UCI data are not in ../shared/data")
    output = tmp_path / "uncertainty.json"
    run("uncertainty", "--data", data, "--sets", "yacht", "--splits", 2, "--output", output)
    rows = json.loads(output.read_text())
    assert len(rows) == 5
    found = {row["way"]: float(row["log likelihood"].split()[0]) for row in rows}
    assert found["Laplace, all layers"] > -1.25  # published for MC dropout
    assert "| yacht | Laplace, all layers | 2 |" in output.with_suffix(".md").read_text("utf-8")


@pytest.mark.slow
def test_memory(tmp_path):
    output = tmp_path / "memory.json"
    run("memory", "--rows", 1000, 300_000, "--output", output)
    few, many = json.loads(output.read_text())
    assert many["rows"] == 300_000
    assert many["data MB"] > 10
    assert many["own at most MB"] - few["own at most MB"] < 0.8 * many["data MB"]
    assert "| 300,000 |" in output.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_gradcheck_requirements(tmp_path):
    run("gradcheck_requirements", "--cases", 5, "--output", tmp_path)  # 0: all requirements hold
    rows, published = (
        json.loads((folder / "gradcheck_requirements.json").read_text())
        for folder in (tmp_path, ROOT / "benchmarks/results")
    )
    assert {row["number"] for row in rows} == set(range(1, 13))
    assert [row["requirement"] for row in published] == [row["requirement"] for row in rows]
    assert all(row["holds"] for row in published)


@pytest.mark.slow
def test_derivatives(tmp_path):
    output = tmp_path / "derivatives.json"
    text = run("derivatives", "--smoke", "--output", output)
    assert text == output.with_suffix(".md").read_text(encoding="utf-8") + "\n"
    (row,) = json.loads(output.read_text())
    published = json.loads((ROOT / "benchmarks/results/derivatives.json").read_text())
    assert row.keys() <= published[0].keys()
    errors = [float(row[name]) for row in published for name in row if "difference" in name]
    assert len(errors) == 2 * len(published)
    assert max(errors) < 1e-12


@pytest.mark.slow
def test_tables(tmp_path):
    data, output = ROOT.parent / "shared" / "data", tmp_path / "tables.json"
    if not data.is_dir():
        pytest.skip("the data sets of the benchmark are not here")
    text = run("tables", "--smoke", "--seeds", 1, "--splits", 1, "--output", output)
    assert "| target bins | 1 |" in text
    assert "| power plant | 1 |" in text
    assert "| iris | 1 |" in text
    assert "| cancer1 | float64 | whole |" in text
    assert not output.exists()  # what means nothing is not kept


def test_the_estimators_are_judged_by_means_over_seeds_that_are_complete():
    pytest.importorskip("sklearn")
    from benchmarks.tables import estimators

    def entries(name, seed, errors):
        more = {"seconds": 1.0, "test rows": 100, "chosen": "plain"}
        return {
            f"{name}/{method}/{seed}": {"error": error, **more}
            for method, error in zip(estimators.METHODS, errors, strict=True)
        }

    found = entries("iris", 0, [4, 6, 5, 8, 3]) | entries("iris", 1, [2, 6, 1, 8, 3])
    found |= entries("yacht", 0, [0.5, 0.4, 0.6, 0.8, 0.5])
    found |= entries("wine", 0, [2, 0, 0, 0, 3])  # without a ratio
    found |= entries("gene1", 0, [30, 10, 10, 10, 10])  # not counted
    found["iris/ours/2"] = {"error": 50, "seconds": 1.0}  # the other methods are not complete
    drawn = estimators.table(found)
    assert [row[:3] for row in drawn.rows] == [
        ["wine", "1", "2.00 %, 1.0 s"],
        ["iris", "2", "**3.00 %**, 1.0 s"],
        ["yacht", "1", "0.500, 1.0 s"],
        ["(gene1)", "1", "30.00 %, 1.0 s"],
    ]
    assert "early stopping on 2 of 3 sets (goal: all); worse on wine." in drawn.text
    assert "equal to MLP on 1 of 3 sets (goal: 12); worse on wine, yacht." in drawn.text
    assert "equal to gradient boosting on 3 of 3 sets (goal: 13)." in drawn.text
    ratio = f"{(3 / 6 + 0.5 / 0.4) / 2:.3f}"
    assert f"defaults {ratio}, without wine, where it makes no errors (goal: 0.9)" in drawn.text
    assert "test set on wine, yacht (goal: none)" in drawn.text


def three(options):
    return {str(number): functools.partial(int_, number) for number in range(options.seeds)}


def int_(number):
    if number == 2 and not (Path.cwd() / "go on").exists():
        raise KeyboardInterrupt
    return {"number": number}


def drawn(found):
    return Table("Numbers", "", ["number"], [[str(found[key]["number"])] for key in sorted(found)])


def figures_of(number):
    return {"second": number, "first": -number}


def test_figures_stay_in_the_order_of_the_tasks_and_of_their_measurement(tmp_path):
    names, path = ["b", "c", "a"], tmp_path / "new" / "folder" / "tables.json"

    def tasks(options):
        return {name: functools.partial(figures_of, names.index(name)) for name in options.sets}

    def table(found):
        rows = [[name, *map(str, figures.values())] for name, figures in found.items()]
        return Table("Figures", "", ["name", *found["a"]], rows)

    section = Section("", "a", (), tasks, table)
    for chosen in (["a"], ["c", "a"], names):
        options = Options(tmp_path, chosen, None, 1, smoke=False)
        Results(path).measure("one", section, options, processes=1, again=False)
    page = Results(path).page({"one": section})
    assert page.splitlines()[5:] == [
        "| name | second | first |",
        "|---|---|---|",
        "| b | 0 | 0 |",
        "| c | 1 | -1 |",
        "| a | 2 | -2 |",
    ]


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_broken_run_of_the_tables_goes_on_and_other_sections_stay(
    tmp_path, monkeypatch, capsys, processes
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tables.json"
    sections = {
        "one": Section("", "a", (), three, drawn),
        "two": Section("", "a", (), three, drawn),
    }
    how = {"processes": processes, "again": False}

    def measure(name, seeds):
        options = Options(tmp_path, None, None, seeds, smoke=False)
        Results(path).measure(name, sections[name], options, **how)
        return capsys.readouterr().out.count("\n")

    assert measure("two", 1) == 1
    if processes == 1:
        with pytest.raises(KeyboardInterrupt):
            measure("one", 4)
        assert capsys.readouterr().out.count("\n") == 2
        assert set(json.loads(path.read_text())["one"]["figures"]) == {"0", "1"}
    (tmp_path / "go on").touch()
    assert measure("one", 4) == (2 if processes == 1 else 4)
    assert Results(path).page(sections).count("| 0 |") == 2
    assert "| 3 |" in Results(path).page(sections)
    how["again"] = True
    assert measure("one", 4) == 4
    how["again"] = False
    sections["one"] = sections["one"]._replace(recipe="b")  # its figures belong to another recipe
    assert measure("one", 1) == 1
    kept = json.loads(path.read_text())
    assert set(kept["one"]["figures"]) == {"0"}
    assert set(kept["two"]["figures"]) == {"0"}


@pytest.mark.slow
def test_the_tables_command_lists_its_sections_and_names_what_is_missing(tmp_path):
    from benchmarks.tables.__main__ import SECTIONS

    text = run("tables", "--help")
    for name, section in SECTIONS.items():
        assert f"  {name:12} {section.about}" in text
    for arguments, message in [
        (["adlt"], "no section 'adlt'; there are adult, "),
        (["numbers", "--data", tmp_path, "--sets", "wine"], "no set 'wine' in numbers"),
        (["--data", tmp_path / "none"], "with the data; pass --data"),
    ]:
        command = [sys.executable, "-m", "benchmarks.tables", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        assert done.returncode == 2
        assert message in done.stderr


@pytest.mark.slow
def test_second_order_solves_small_problems_outright(tmp_path):
    output = tmp_path / "second_order.json"
    text = run("second_order", "xor", "spirals", "derivatives", "--smoke", "--output", output)
    assert "| 0/1 | 2 | 2 |" in text
    assert "| +-1 | 2 | 2 |" in text
    assert "## Two spirals by 2-20-20-1" in text
    assert "\n| 2 | 2 | " in text
    assert "| 8-50-1 tanh, 128 rows |" in text
    assert not output.exists()  # what means nothing is not kept
