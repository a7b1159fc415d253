"""Tables of results, and tasks in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypedDict


class Table(TypedDict):
    """A section of the results."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def table(title: str, text: str, rows: list[dict[str, Any]]) -> Table:
    """A table of rows with the same names."""
    columns = list(rows[0])
    return {
        "title": title,
        "text": text,
        "columns": columns,
        "rows": [[shown(row.get(name, "")) for name in columns] for row in rows],
    }


def shown(value: Any) -> str:
    """A number with as many digits as matter, and anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def merged(before: Table | None, after: Table) -> Table:
    """The rows of a table with those of another one in place of its rows about the same."""
    if before is None or before["columns"] != after["columns"]:
        return after
    rows = {row[0]: row for row in before["rows"]} | {row[0]: row for row in after["rows"]}
    return {**after, "rows": [*rows.values()]}


def in_processes(tasks: Iterable[Callable[[], Any]], processes: int) -> list[Any]:
    """The results of tasks in their order, each printed when it is known."""
    found = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(task) for task in tasks]:
            found.append(future.result())
            print(found[-1], flush=True)
    return found
