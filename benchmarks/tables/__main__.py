"""`python -m benchmarks.tables [SECTION ...]`: what the library reaches on people's tables.

Every figure is written to the results file as soon as it is known, and the page beside it shows the
tables of all sections. A run goes on where an earlier one has ended: figures that are there, by the
same recipe, are not measured again (--again does), and those of other sections stay.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy is imported

from benchmarks.tables import adult, numbers  # noqa: E402
from benchmarks.tables.results import Results  # noqa: E402
from benchmarks.tables.section import Options, Section  # noqa: E402

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "tables.json"
DATA = ROOT.parent / "shared" / "data"

SECTIONS: dict[str, Section] = {
    "adult": adult.SECTION,
    "numbers": numbers.SECTION,
}
"""All sections by name; a new one is a line here."""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    lines = [f"  {name:12} {section.about}" for name, section in SECTIONS.items()]
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=__doc__.partition("\n\n")[2] if __doc__ else None,
        epilog="\n".join(["sections (all of them by default):", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("sections", nargs="*", metavar="SECTION", help="names from the list below")
    made.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    made.add_argument("--sets", nargs="+", metavar="SET", help="only these sets of the sections")
    made.add_argument("--splits", type=int, help="official splits of each set; all by default")
    made.add_argument("--seeds", type=int, default=3, help="seeds where there is one split")
    made.add_argument("--processes", type=int, default=1, help="measurements at a time")
    made.add_argument("--again", action="store_true", help="measure also what is known")
    made.add_argument("--draw", action="store_true", help="measure nothing, only draw the page")
    made.add_argument(
        "--smoke", action="store_true", help="seconds, without meaning; nothing is kept"
    )
    made.add_argument("--output", type=Path, default=RESULTS, help="results file")
    return made


def main() -> None:
    """Run sections, and write the figures and the page."""
    command = parser()
    given = command.parse_args()
    for name in given.sections:
        if name not in SECTIONS:
            command.error(f"no section {name!r}; there are {', '.join(SECTIONS)}")
    names = given.sections or list(SECTIONS)
    known = [each for name in names for each in SECTIONS[name].sets]
    for each in given.sets or ():
        if each not in known:
            command.error(f"no set {each!r} in {', '.join(names)}; there are {', '.join(known)}")
    if not given.draw and not given.data.is_dir():
        command.error(f"no folder {given.data} with the data; pass --data")
    output = None if given.smoke else given.output
    results = Results(output)
    options = Options(given.data, given.sets, given.splits, given.seeds, given.smoke)
    for name in () if given.draw else names:
        results.measure(name, SECTIONS[name], options, processes=given.processes, again=given.again)
    text = results.page(SECTIONS)
    if output is not None:
        output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
