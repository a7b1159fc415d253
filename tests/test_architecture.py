"""Imports only go downward in the list of places, and files and functions stay small.

Imports inside functions and under TYPE_CHECKING count like any other.
"""

import ast
import io
import tokenize
from pathlib import Path

import pytest

import mlpgrad

ROOT = Path(mlpgrad.__file__).parent

LINE = (
    *("_core", "initializers", "penalties", "losses", "metrics", "datasets", "tables", "layers"),
    *("network", "derivatives", "gradcheck", "optimizers", "exchange", "uncertainty", "training"),
    *("explanation", "plotting", "history", "range_test", "sequential", "loading", "sklearn"),
    *("cli", "__main__"),
)
"""The places in order: each imports only from earlier ones; `mlpgrad/__init__` from all."""

FACE = "mlpgrad"
LONGEST_FILE = 350
LONGEST_FUNCTION = 30
"""The limit of lines of code, without docstrings, comments and blank lines."""
COMPILER = "mlpgrad.training.compiled"
MOST_LINES = 1500
"""The limit of lines of code of the whole compiler."""
TABLES = set()
"""Functions that are longer because they are tables, as `file:function`."""


def module_of(path):
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(module):
    """Every module of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return {name for name in found if name in FILES} - {module}


IMPORTS = {module: imports_of(module) for module in FILES}


def place_of(module):
    """The file or folder at the top in which a module lies."""
    return module.split(".")[1]


def test_every_place_is_on_the_line():
    assert {place_of(module) for module in FILES if module != FACE} == set(LINE)


@pytest.mark.parametrize("module", sorted(set(FILES) - {FACE}))
def test_a_file_imports_only_from_places_below_its_own(module):
    # the command line uses the package as a user does, by `import mlpgrad as mg`
    allowed = {FACE} if place_of(module) in ("cli", "__main__") else set()
    above = {
        other
        for other in IMPORTS[module] - allowed
        if other == FACE or LINE.index(place_of(other)) > LINE.index(place_of(module))
    }
    assert above == set()


def test_no_file_imports_itself_by_way_of_others():
    # the __init__ of a folder passes on its own files, so an import of the folder means those
    def reached(start):
        seen, waiting = set(), list(IMPORTS[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += IMPORTS[module]
        return seen

    assert [module for module in FILES if module in reached(module)] == []


def test_few_files_stand_at_the_top():
    assert len(list(ROOT.glob("*.py"))) <= 16


def _statements(node):
    """The statements in a node, in order; the body of a lambda is an expression, not a list."""
    body = getattr(node, "body", [])
    return body if isinstance(body, list) else []


def code_lines(text):
    """The numbers of the lines with code, without docstrings, comments and blank lines."""
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skip and token.type != tokenize.ENDMARKER:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        for statement in _statements(node):
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                lines -= set(range(statement.lineno, statement.end_lineno + 1))
    return lines


def functions(module):
    """All functions of a file, with their numbers of lines of code."""
    text = FILES[module].read_text("utf-8")
    lines = code_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = range(node.body[0].lineno, node.end_lineno + 1)
            yield f"{module}:{node.name}", len(lines & set(body))


@pytest.mark.parametrize("module", FILES)
def test_files_and_functions_stay_small(module):
    assert FILES[module].read_text("utf-8").count("\n") <= LONGEST_FILE
    long = {name: n for name, n in functions(module) if n > LONGEST_FUNCTION}
    assert long.keys() <= TABLES, long


def test_the_compiler_is_small_and_knows_no_network():
    """It works for every layer, loss and optimizer, because it knows none of them."""
    files = [module for module in FILES if f"{module}.".startswith(f"{COMPILER}.")]
    assert sum(len(code_lines(FILES[module].read_text("utf-8"))) for module in files) <= MOST_LINES
    others = set().union(*(IMPORTS[module] for module in files)) - set(files)
    known = {f"mlpgrad.training.{name}" for name in ("tape", "divergence", "threads")}
    assert {other for other in others if place_of(other) != "_core"} == known
