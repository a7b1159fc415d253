"""`python -m benchmarks.tables [SECTION ...]`: each section is a table of the results.

A section that is run replaces its table in `benchmarks/results/tables.json`; the page beside it
shows them all. `--splits` takes fewer official splits, `--smoke` takes seconds and means nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy is imported

from benchmarks.tables import adult, numbers  # noqa: E402
from benchmarks.tables.section import Table, options_from  # noqa: E402

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "tables.json"
DATA = ROOT.parent / "shared" / "data"

SECTIONS = {
    "adult": adult.measure,
    "numbers": numbers.measure,
}
"""`measure(options)` returns a Table by name; a new section is a line here."""


def page(tables: dict[str, Table]) -> str:
    """All tables as Markdown."""
    lines = ["`python -m benchmarks.tables`: tables as people have them, on official splits."]
    for name in (name for name in SECTIONS if name in tables):
        table = tables[name]
        lines += ["", f"## {table['title']}", "", table["text"], ""]
        lines += [f"| {' | '.join(table['columns'])} |", "|" + "---|" * len(table["columns"])]
        lines += [f"| {' | '.join(row)} |" for row in table["rows"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run sections, and write the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.tables", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=[])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--splits", type=int, help="official splits of each set; all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="a few seconds, without meaning")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    options = options_from(parser, given)
    tables = json.loads(given.output.read_text()) if given.output.exists() else {}
    for name in given.sections or SECTIONS:
        tables[name] = SECTIONS[name](options)
        given.output.write_text(json.dumps(tables, indent=1) + "\n")
    text = page(tables)
    given.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
