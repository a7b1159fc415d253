"""`python -m benchmarks.tables [SECTION ...]`: what the library reaches on people's tables.

Every figure is written to the results file as soon as it is known, and the page beside it shows the
tables of all sections. A run goes on where an earlier one has ended: figures that are there, by the
same recipe, are not measured again (--again does), and those of other sections stay.
"""

from __future__ import annotations

import os
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy is imported

from benchmarks.second_order import uci  # noqa: E402
from benchmarks.tables import adult, estimator_speed, estimators, numbers  # noqa: E402
from benchmarks.tables.command import Page, run  # noqa: E402
from benchmarks.tables.section import Section  # noqa: E402

SECTIONS: dict[str, Section] = {
    "adult": adult.SECTION,
    "numbers": numbers.SECTION,
    "uci": uci.SECTION,
    "estimators": estimators.SECTION,
    "speed": estimator_speed.SECTION,
}
"""All sections by name; a new one is a line here."""

PAGE = Page(
    "python -m benchmarks.tables",
    "tables as people have them, on official splits",
    (__doc__ or "").partition("\n\n")[2],
    Path(__file__).parents[1] / "results" / "tables.json",
    SECTIONS,
)

if __name__ == "__main__":
    run(PAGE)
