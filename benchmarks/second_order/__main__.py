"""`python -m benchmarks.second_order [SECTION ...]`: each section is a table of the results.

A section that is run replaces its table in `benchmarks/results/second_order.json`, or some of its
rows where `--sets` are given; the page beside it shows them all. `--smoke` takes seconds and says
nothing about speed. `uci`, `proben1` and `protocol` need the data of `--data`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.second_order import outright, proben1, uci
from benchmarks.second_order.tables import Table, merged

RESULTS = Path(__file__).parents[1] / "results" / "second_order.json"

SECTIONS = {
    "xor": outright.xor,
    "spirals": outright.two_spirals,
    "uci": uci.measure,
    "proben1": proben1.by_defaults,
    "protocol": proben1.by_protocol,
}
"""Each returns a Table, given the options; a new section is a line here."""


def page(tables: dict[str, Table]) -> str:
    """All tables as Markdown."""
    lines = ["`python -m benchmarks.second_order`: what methods of second order reach."]
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
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", help="some sets of uci, proben1 or protocol")
    parser.add_argument("--splits", type=int, default=20, help="of uci, at most")
    parser.add_argument("--members", type=int, default=60, help="of proben1 and protocol")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    tables = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in options.sections:
        found = SECTIONS[name](options)
        tables[name] = merged(tables.get(name), found) if options.sets else found
        options.output.write_text(json.dumps(tables, indent=1) + "\n")
    text = page(tables)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
