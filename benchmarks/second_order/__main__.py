"""`python -m benchmarks.second_order [SECTION ...]`: each section is a table of the results.

A section that is run replaces its table in `benchmarks/results/second_order.json`; the page beside
it shows them all. `--smoke` takes seconds and says nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks.second_order import derivatives

RESULTS = Path(__file__).parents[1] / "results" / "second_order.json"

SECTIONS = {
    "derivatives": derivatives.measure,
}
"""`measure(smoke)` returns a Table by name; a new section is a line here."""


def page(tables: dict[str, derivatives.Table]) -> str:
    """All tables as Markdown."""
    lines = ["`python -m benchmarks.second_order`: what second derivatives cost and give."]
    for name in (name for name in SECTIONS if name in tables):
        table = tables[name]
        lines += ["", f"## {table['title']}", "", table["text"], ""]
        lines += [f"| {' | '.join(table['columns'])} |", "|" + "---|" * len(table["columns"])]
        lines += [f"| {' | '.join(row)} |" for row in table["rows"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run sections, and write the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.second_order", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=[*SECTIONS])
    parser.add_argument("--smoke", action="store_true", help="a few seconds, without meaning")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    tables = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in options.sections:
        tables[name] = SECTIONS[name](options.smoke)
        options.output.write_text(json.dumps(tables, indent=1) + "\n")
    text = page(tables)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    main()
