"""`python -m benchmarks.tables [SECTION ...]`: results of the library on people's tables.

Each figure is written to the results file as soon as it is known, and the page beside it shows the
tables of all sections. A run continues where an earlier one ended: figures of the same recipe are
not measured again unless --again is given, and the figures of other sections stay.
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
    "results on people's tables, with official splits",
    (__doc__ or "").partition("\n\n")[2],
    Path(__file__).parents[1] / "results" / "tables.json",
    SECTIONS,
)

if __name__ == "__main__":
    run(PAGE)
