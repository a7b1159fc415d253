"""The benchmarks run: briefly, and without the other libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert digits["start"]["peak MB"]["mlpgrad"]["median"] < 100  # of the child, not of its parent
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
    assert found["Laplace, all layers"] > -1.25  # of MC-dropout, published
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
    run("gradcheck_requirements", "--cases", 5, "--output", tmp_path)  # 0: all of them hold
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
    assert {"adult", "numbers"} <= set(json.loads(output.read_text(encoding="utf-8")))
    assert "| TargetBins() |" in text
    assert "| power plant | 1 |" in text
    assert output.with_suffix(".md").read_text(encoding="utf-8") + "\n" == text


@pytest.mark.slow
def test_second_order_solves_small_problems_outright(tmp_path):
    output = tmp_path / "second_order.json"
    run("second_order", "xor", "spirals", "--smoke", "--output", output)
    tables = json.loads(output.read_text())
    assert [row[:3] for row in tables["xor"]["rows"]] == [["0/1", "2", "2"], ["+-1", "2", "2"]]
    assert tables["spirals"]["rows"][0][:2] == ["2", "2"]
