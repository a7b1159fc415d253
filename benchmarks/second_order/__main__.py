"""`python -m benchmarks.second_order [SECTION ...]`: results of second-order methods.

Each figure is written to the results file as soon as it is known, and the page beside it shows the
tables of all sections. A run continues where an earlier one ended: figures of the same recipe are
not measured again unless --again is given, and the figures of other sections stay.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import derivatives
from benchmarks.second_order import outright, proben1, uci
from benchmarks.tables.command import Page, run
from benchmarks.tables.section import Section

SECTIONS: dict[str, Section] = {
    "xor": outright.XOR,
    "spirals": outright.SPIRALS,
    "derivatives": derivatives.SECTION,
    "uci": uci.SECTION,
    "proben1": proben1.DEFAULTS,
    "protocol": proben1.PROTOCOL,
}
"""All sections by name; a new one is a line here."""

PAGE = Page(
    "python -m benchmarks.second_order",
    "results of second-order methods",
    (__doc__ or "").partition("\n\n")[2],
    Path(__file__).parents[1] / "results" / "second_order.json",
    SECTIONS,
)

if __name__ == "__main__":
    run(PAGE)
