"""The command that makes a page of results: its options, and how it runs the sections."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables.results import Results
from benchmarks.tables.section import Options, Section

DATA = Path(__file__).parents[3] / "shared" / "data"


class Page(NamedTuple):
    """A page of results."""

    command: str
    """`python -m benchmarks.NAME`"""
    heading: str
    """The heading of the page."""
    about: str
    """The first text of `--help`."""
    output: Path
    """The results file; the page is beside it."""
    sections: Mapping[str, Section]


def parser(page: Page) -> argparse.ArgumentParser:
    """The options of the command."""
    lines = [f"  {name:12} {section.about}" for name, section in page.sections.items()]
    made = argparse.ArgumentParser(
        prog=page.command,
        description=page.about,
        epilog="\n".join(["sections (all of them by default):", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("sections", nargs="*", metavar="SECTION", help="names from the list below")
    made.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    made.add_argument("--sets", nargs="+", metavar="SET", help="only these sets of the sections")
    made.add_argument("--splits", type=int, help="official splits of each set; all by default")
    made.add_argument("--seeds", type=int, default=3, help="seeds where there is one split")
    made.add_argument("--processes", type=int, default=1, help="measurements at a time")
    made.add_argument("--again", action="store_true", help="measure known figures again")
    made.add_argument("--draw", action="store_true", help="only draw the page, without measuring")
    made.add_argument(
        "--smoke",
        action="store_true",
        help="a run of seconds, whose figures mean nothing and are not kept",
    )
    made.add_argument("--output", type=Path, default=page.output, help="results file")
    return made


def run(page: Page) -> None:
    """Run sections, and write their figures and the page."""
    command, sections = parser(page), page.sections
    given = command.parse_args()
    for name in given.sections:
        if name not in sections:
            command.error(f"no section {name!r}; there are {', '.join(sections)}")
    names = given.sections or list(sections)
    known = [each for name in names for each in sections[name].sets]
    for each in given.sets or ():
        if each not in known:
            command.error(f"no set {each!r} in {', '.join(names)}; there are {', '.join(known)}")
    if not given.draw and known and not given.data.is_dir():
        command.error(f"no folder {given.data} with the data; pass --data")
    output = None if given.smoke else given.output
    results = Results(output)
    options = Options(given.data, given.sets, given.splits, given.seeds, given.smoke)
    for name in () if given.draw else names:
        results.measure(name, sections[name], options, processes=given.processes, again=given.again)
    text = f"`{page.command}`: {page.heading}.\n{results.page(sections)}"
    if output is not None:
        output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
