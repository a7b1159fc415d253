"""The plan for the columns of a table, decided from their kinds before anything is learned."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.advice import nearest
from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import same
from mlpgrad.datasets.fields import Fields
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.categories import Codes
from mlpgrad.tables.columns import Column, as_categories, as_numbers
from mlpgrad.tables.frames import RawColumn, RawTable, raw_table
from mlpgrad.tables.kinds import Kind, recognised

MOST_FEATURES = 1 << 24
ByColumn = Mapping[str | int, ColumnEncoding | None]


class Planned(NamedTuple):
    """The plan for a column."""

    name: str | int
    encoding: ColumnEncoding | None
    """None if the column is left out."""
    reason: str
    """The reason."""
    width: int
    """Number of features."""
    codes: int
    """Number of codes for an `Embedding` layer; 0 for other encodings."""


def is_sound(column: Planned) -> bool:
    """Return whether the fields have valid types, since they may come from a file."""
    counts = column.width, column.codes
    return (
        type(column.name) in (str, int)
        and isinstance(column.encoding, ColumnEncoding | None)
        and all(type(count) is int and 0 <= count <= MOST_FEATURES for count in counts)
    )


def restored(plan: list[Planned], states: Any, members: Any, fields: Any) -> list[list[State]]:
    """Return states from a file, of which equal ones are shared.

    Raises
    ------
    ValueError
        Unless each column encodes a gap and a value, by what the file says of it.
    """
    sound = type(members) in (int, type(None)) and all(map(is_sound, plan))
    try:
        found = [shared(each) for each in states]
        sound = sound and len(found) in (0, len(plan))
        for column, each in zip(plan, found, strict=False) if sound else ():
            if column.encoding is not None:
                sound = sound and len(each) in {1, members or 1}
                distinct = {id(state): state for state in each}.values()
                sound = sound and all(_encodes(column, state, fields) for state in distinct)
    except Exception as error:
        raise ValueError(f"its description of a table's encoder cannot be used: {error}") from error
    if not sound:
        raise ValueError("its description of a table's encoder is inconsistent")
    return found


def _encodes(column: Planned, state: State, fields: Fields) -> bool:
    """Return whether a state fits a column, in memory for its features and not the file's width."""
    encoding: Any = column.encoding
    if not encoding.is_sound(state) or (features := len(encoding.names(state))) > column.width:
        return False
    value = float(state["median"]) if "median" in state else "1"  # a number as in training
    table = raw_table({"column": np.array([None, value] * 4 + [None], object)})
    read = read_column(table["column"], encoding, fields)
    encoding.write(read, state, np.zeros((len(read.missing), features), np.float32))
    return True


def planned(
    table: RawTable,
    numeric: ColumnEncoding,
    categories: ColumnEncoding,
    columns: ByColumn,
    fields: Fields,
) -> list[Planned]:
    """Plan each column of a table; raise an error if one cannot be used or none is informative."""
    unknown = [name for name in columns if name not in table.names]
    if unknown:
        raise ValueError(
            f"columns names {unknown[0]!r}, which the table does not have"
            f"{nearest(str(unknown[0]), [str(name) for name in table.names])}"
        )
    plan = []
    for name in table.names:
        raw = table[name]
        if name in columns:
            plan.append(_as_given(raw, columns[name], fields))
            continue
        kind = recognised(raw, fields)
        plan.append(_become(kind, categories if kind.column.categorical else numeric))
    if not any(column.encoding for column in plan):
        told = "; ".join(f"{column.name!r}: {column.reason}" for column in plan[:4])
        raise ValueError(
            f"no column of the table holds information ({told}); give a table with columns that "
            f"differ from row to row, or say how to encode one with columns="
        )
    return plan


def _as_given(raw: RawColumn, encoding: ColumnEncoding | None, fields: Fields) -> Planned:
    """Return the plan for a column that `columns` names."""
    reason = "as given in columns"
    if encoding is None:
        return Planned(raw.name, None, reason, 0, 0)
    return _become(Kind(read_column(raw, encoding, fields), reason, used=True), encoding)


def _become(kind: Kind, encoding: ColumnEncoding) -> Planned:
    """Return the plan for a column of this kind, with this encoding if it holds information."""
    column = kind.column
    if not kind.used:
        return Planned(column.name, None, kind.reason, 0, 0)
    codes = encoding.most_codes(column.levels) if isinstance(encoding, Codes) else 0
    encoding = copy.deepcopy(encoding)
    return Planned(column.name, encoding, kind.reason, encoding.most_features(column), codes)


def read_column(raw: RawColumn, encoding: ColumnEncoding, fields: Fields) -> Column:
    """Read a column as an encoding takes it."""
    read = as_numbers if encoding.of_numbers else as_categories
    return read(raw, fields)


def check_names(plan: Sequence[Planned], table: RawTable) -> None:
    """Raise ValueError unless a table has the required columns and no unknown ones."""
    needed = [column.name for column in plan if column.encoding]
    known = {column.name for column in plan}
    by_place = known == set(range(len(plan)))
    missing = [name for name in needed if name not in table.names]
    further = [name for name in table.names if name not in known]
    if not missing and not further:
        return
    lacks = f"it lacks {_listed(missing)}" if missing else ""
    new = f"{_listed(further)} {'was' if len(further) == 1 else 'were'} not in the training data"
    problem = " and ".join(filter(None, [lacks, new if further else ""]))
    raise ValueError(
        f"the table expects the columns {_listed(needed)}; {problem}; "
        f"{_how_to_give(needed, missing, table.names, further, by_place)}"
    )


def _how_to_give(
    needed: Sequence[str | int],
    missing: Sequence[str | int],
    given: Sequence[str | int],
    further: Sequence[str | int],
    by_place: bool,
) -> str:
    """Return what to do with a table whose columns are not those of the training."""
    named, were_named = (any(isinstance(name, str) for name in names) for names in (given, needed))
    if missing and not were_named and not by_place:
        names = f"{{{needed[0]}: [...], ...}}"
        return f"these names are integers: give a DataFrame with them, or a dict such as {names}"
    if named and not were_named:
        return "the columns of training are numbered, without names: pass table.to_numpy()"
    if were_named and not named:
        return "its columns are numbered: give a DataFrame, or a dict of columns, with these names"
    if not missing:
        return f"leave {'it' if len(further) == 1 else 'them'} out"
    return "give the columns of training by their names, in any order"


def encoding_or(given: Any, name: str, default: ColumnEncoding) -> ColumnEncoding:
    """Return the given encoding, or the default one."""
    if given is None:
        return default
    return arguments.instance(given, name, ColumnEncoding, repr(default))


def by_column(columns: Any) -> dict[str | int, ColumnEncoding | None]:
    """Check the encodings of single columns."""
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise TypeError(
            f"columns expects a dict of names and encodings such as {{'town': OneHot()}}, got "
            f"{arguments.shown(columns)}"
        )
    for name, value in columns.items():
        if value is not None:
            arguments.instance(value, f"columns[{name!r}]", ColumnEncoding, "OneHot()")
    return dict(columns)


def learnt(
    column: Planned,
    table: RawTable,
    fields: Fields,
    target: Array | None,
    weights: Array,
    rows: Sequence[Array],
) -> list[State]:
    """Return the states of an encoding, learned from the first of `rows`.

    An encoding that uses the target learns from each of the others, if there are any.
    """
    encoding = column.encoding
    if encoding is None:
        return []
    if not encoding.sees_target:
        target = None
    elif target is None:
        raise ValueError(
            f"{encoding!r} of column {column.name!r} uses the target; call fit(x, y), or use "
            f"QuantileBins({getattr(encoding, 'bins', '')})"
        )
    read = read_column(table[column.name], encoding, fields)
    parts = rows[1:] if encoding.sees_target and len(rows) > 1 else rows[:1]
    return [
        encoding.learn(read.take(some), None if target is None else target[some], weights[some])
        for some in parts
    ]


def shrunk(column: Planned, states: Sequence[State]) -> Planned:
    """Return the plan without unnecessary features, if all rows have been seen."""
    if column.encoding is None:
        return column
    codes = column.codes
    if isinstance(column.encoding, Codes):
        codes = column.encoding.most_codes(states[0]["levels"])
    return column._replace(width=len(column.encoding.names(states[0])), codes=codes)


def of_members(column: Planned, states: list[State]) -> tuple[Planned, list[State]]:
    """Return the plan and the states for some members of an ensemble."""
    if column.encoding is None:
        return column, states
    encoding, states = column.encoding.of_members(states)
    return column._replace(encoding=encoding), states


def shared(states: Sequence[State]) -> list[State]:
    """Return states among which a member that has the state of the one before shares it."""
    found: list[State] = []
    for state in states:
        found.append(found[-1] if found and same(found[-1], state) else state)
    return found


def feature_names(column: Planned, states: Sequence[State]) -> list[str]:
    """Return the names of the features of a column: its own with the encoding's suffixes."""
    if column.encoding is None:
        return []
    each = [column.encoding.names(state) for state in states]
    parts = max(each, key=len)
    if any(names != parts for names in each):  # members differ
        parts = [f"[{i}]" for i in range(len(parts))]
    parts = parts + [f"=unused{i}" for i in range(column.width - len(parts))]
    return [f"{column.name}{part}" for part in parts]


def summary(plan: Sequence[Planned]) -> str:
    """Return a line for each column: its kind, its features, and the reason."""
    rows = []
    for column in plan:
        taken = "left out" if column.encoding is None else repr(column.encoding)
        width = f"{column.width} feature{'s' * (column.width != 1)}" if column.encoding else ""
        rows.append((str(column.name), taken, width, column.reason))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _listed(names: Iterable[Any]) -> str:
    """Return some names for a message."""
    shown = [repr(name) for name in names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
