"""One file with the figures of all sections, written whenever a figure is known."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.tables.section import Figures, Options, Section, Table, Task


class Results:
    """The measured figures by section and name; without a path they stay in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, dict[str, Any]] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)  # before hours of measuring
        if path is not None and path.exists():
            self.kept = json.loads(path.read_text(encoding="utf-8"))

    def figures(self, name: str, section: Section) -> dict[str, Figures]:
        """The figures of a section; figures of another recipe are dropped."""
        kept = self.kept.get(name)
        if kept is None or kept["recipe"] != section.recipe:
            kept = self.kept[name] = {"recipe": section.recipe, "figures": {}}
        return kept["figures"]

    def measure(
        self, name: str, section: Section, options: Options, *, processes: int, again: bool
    ) -> None:
        """Measure the figures that are not known yet, or all of them again."""
        figures = self.figures(name, section)
        tasks = section.tasks(options)
        missing = {key: task for key, task in tasks.items() if again or key not in figures}
        started = time.perf_counter()
        for done, (key, found) in enumerate(_results(missing, processes), start=1):
            figures[key] = found
            _arrange(figures, tasks)
            self._write()
            seconds = time.perf_counter() - started
            print(f"{name}, {done} of {len(missing)}, {seconds:.0f} s: {key}: {found}", flush=True)

    def _write(self) -> None:
        """Replace the file atomically, so that an interrupted run leaves a complete one."""
        if self.path is None:
            return
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(self.kept, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.path)

    def page(self, sections: Mapping[str, Section]) -> str:
        """All tables as Markdown, in the order of the sections; empty ones are left out."""
        lines = []
        for name, section in sections.items():
            if name in self.kept and (figures := self.figures(name, section)):
                lines += _markdown(section.table(figures))
        return "\n".join(lines) + "\n"


def _arrange(figures: dict[str, Figures], tasks: Mapping[str, Task]) -> None:
    """Bring figures into the order of the tasks, whichever ended first; others follow."""
    arranged = {key: figures[key] for key in (*tasks, *figures) if key in figures}
    figures.clear()
    figures.update(arranged)


def _results(tasks: Mapping[str, Task], processes: int) -> Iterator[tuple[str, Figures]]:
    """Yield names and results of tasks, each as soon as it is known."""
    if processes == 1:
        yield from ((key, task()) for key, task in tasks.items())
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        names = {pool.submit(task): key for key, task in tasks.items()}
        try:
            for future in as_completed(names):
                yield names[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _markdown(table: Table) -> list[str]:
    return [
        *("", f"## {table.title}", "", table.text, ""),
        f"| {' | '.join(table.columns)} |",
        "|" + "---|" * len(table.columns),
        *(f"| {' | '.join(row)} |" for row in table.rows),
    ]
