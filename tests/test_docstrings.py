"""Docstrings name every parameter of a signature, with its default, in sentences that read well."""

import ast
import contextlib
import copy
import dataclasses
import functools
import inspect
import pickle
import pydoc
import re
from pathlib import Path

import pytest

import mlpgrad as mg
from tests.kinds import EVERY_CLASS, KINDS, OPTIMIZERS, every, example

ROOT = Path(__file__).parents[1]
MOST_WORDS = 45
"""The limit of a sentence in a docstring."""
FORMULA = re.compile(r"[=<>~|/^]")
"""The signs of a summary that is a formula, which needs no period."""
NO_NOUN = re.compile(r"(?<!\bthere) (is|are) no (?!(longer|more|better|larger|smaller) )", re.I)
"""Finds "it is no number", but not "there is no number" and "it is no longer a number"."""

COMMON = ("weight_decay", "decay_kinds", "clip_norm", "clip_value", "max_norm")


def public_callables():
    """Every class of the kinds and every public function or class, by name."""
    found = {cls.__qualname__: cls for cls in (*KINDS.values(), *EVERY_CLASS)}
    for place in (mg, mg.datasets, mg.plotting):
        for name in place.__all__:
            value = getattr(place, name)
            if callable(value):
                found[name] = value
    return found


CALLABLES = public_callables()
RESULTS = {
    name
    for name, value in CALLABLES.items()
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields")
}
"""Results of functions: users do not construct these, so their attributes are documented."""
ERRORS = {
    name
    for name, value in CALLABLES.items()
    if isinstance(value, type) and issubclass(value, Exception)
}
CALLED = sorted(CALLABLES.keys() - RESULTS - ERRORS)


def groups(value, section="Parameters"):
    """Names that share an entry in a section of a docstring, and what follows the colon."""
    lines = inspect.cleandoc(value.__doc__ or "").splitlines()
    found, inside = [], False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch("-{3,}", below):
            inside = line == section
        elif inside and line and not line.startswith((" ", "---")):
            names, _, kind = line.partition(" : ")
            found.append(([name.strip().lstrip("*") for name in names.split(",")], kind))
    return found


def entries(value, section="Parameters"):
    """Each name in a section with what follows the colon."""
    return {name: kind for names, kind in groups(value, section) for name in names}


def test_the_reader_of_docstrings_finds_entries():
    def documented(a, b, *rest):
        """Add.

        Parameters
        ----------
        a, b : int, default 1
            Numbers.

            And a second paragraph.
        *rest : int

        Returns
        -------
        c : int
        """

    assert entries(documented) == {"a": "int, default 1", "b": "int, default 1", "rest": "int"}
    assert entries(documented, "Returns") == {"c": "int"}


@pytest.mark.parametrize("name", CALLED)
def test_the_docstring_has_every_parameter_of_the_signature_and_no_other(name):
    taken = set(inspect.signature(CALLABLES[name]).parameters)
    described = set(entries(CALLABLES[name]))
    assert described <= taken, f"documented, but not in the signature: {described - taken}"
    missing = sorted(taken - described)
    assert not missing, f'write an entry under "Parameters" of {name}, "name : type", for {missing}'


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_documented_attributes_of_results_exist(name):
    fields = set(inspect.signature(CALLABLES[name]).parameters)
    described = set(entries(CALLABLES[name], "Attributes"))
    assert described <= fields | set(dir(CALLABLES[name]))
    assert CALLABLES[name].__doc__


def stated_defaults(value):
    """The default of each name for which a docstring states one: `float, default 0.9 and 0.99`."""
    found = {}
    for names, kind in groups(value):
        stated = re.search(r"\bdefault:? (.+)$", kind)
        with contextlib.suppress(ValueError, SyntaxError):  # in words
            values = [ast.literal_eval(text) for text in stated[1].split(" and ")] if stated else []
            found |= zip(names, values * (len(names) if len(values) == 1 else 1), strict=False)
    return found


@pytest.mark.parametrize("name", CALLED)
def test_a_default_in_a_docstring_is_that_of_the_signature(name):
    parameters = inspect.signature(CALLABLES[name]).parameters
    stated = stated_defaults(CALLABLES[name])
    assert stated == {option: parameters[option].default for option in stated}


# optimizers: the common options are written once, in Optimizer


@every([mg.Optimizer, *OPTIMIZERS])
def test_an_optimizer_states_every_option_with_its_default(cls):
    parameters = inspect.signature(cls).parameters.values()
    assert stated_defaults(cls) == {
        p.name: p.default for p in parameters if p.default is not p.empty
    }


@every([mg.Optimizer, *OPTIMIZERS])
def test_an_optimizer_shows_the_common_options_wherever_one_looks(cls):
    assert {*COMMON, "learning_rate"} <= inspect.signature(cls).parameters.keys()
    shown = pydoc.plain(pydoc.render_doc(cls))
    for name in COMMON:
        assert f"{name}: " in shown  # in the signature
        assert f"\n |  {name} : " in shown  # with what it means
    assert not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())


@every(OPTIMIZERS)
def test_a_complete_signature_changes_neither_config_nor_repr_nor_copies(cls):
    optimizer = example(cls)
    assert list(optimizer.config()) == list(inspect.signature(cls).parameters)
    again = cls(**optimizer.config())
    for twin in (again, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert repr(twin) == repr(optimizer)
        assert twin.config() == optimizer.config()


def test_a_subclass_of_ones_own_shows_the_options_of_its_base():
    class Slow(mg.AdamW):
        """Adam, slowly.

        Parameters
        ----------
        patience : int
            How slowly.
        epsilon : float
            Another text.

        Examples
        --------
        >>> Slow(3)
        Slow(3)
        """

        def __init__(self, patience, *, weight_decay=0.5, **options):
            super().__init__(weight_decay=weight_decay, **options)
            self.patience = patience

    first = list(inspect.signature(Slow).parameters)[:3]
    assert first == ["patience", "weight_decay", "learning_rate"]
    assert inspect.signature(Slow).parameters["clip_norm"].kind is inspect.Parameter.KEYWORD_ONLY
    described = entries(Slow)
    assert described.keys() == inspect.signature(Slow).parameters.keys()
    assert described["patience"] == "int"
    assert described["weight_decay"] == "float, default 0.5"
    assert described["beta2"] == "float, default 0.9 and 0.999"
    text = inspect.getdoc(Slow)
    assert "Another text." in text
    assert text.startswith("Adam, slowly.\n\nParameters\n----------\npatience : int\n    How")
    assert text.endswith("Examples\n--------\n>>> Slow(3)\nSlow(3)")
    assert repr(Slow(2, clip_norm=1.0)) == "Slow(2, clip_norm=1.0)"
    assert entries(mg.AdamW)["weight_decay"] == "float, default 0.01"


def test_a_subclass_without_docstring_or_constructor_keeps_those_of_its_base():
    class Plain(mg.Adam):
        pass

    assert inspect.signature(Plain) == inspect.signature(mg.Adam)
    assert Plain.__doc__ is None
    assert inspect.getdoc(Plain) == inspect.getdoc(mg.Adam)


def test_options_that_no_base_takes_stay_in_the_signature():
    class Loose(mg.Callback):
        """A callback.

        Parameters
        ----------
        *names : str
            Some.
        **options
            Anything.
        size : int
            A number.
        """

        def __init__(self, *names, size=1, **options):
            self.names, self.size, self.options = names, size, options

    assert list(inspect.signature(Loose).parameters) == ["names", "size", "options"]
    assert entries(Loose) == {"names": "str", "size": "int, default 1", "options": ""}
    assert Loose.__doc__.count("Anything.") == 1


def test_classes_without_options_show_none():
    assert str(inspect.signature(mg.ReLU)) == "()"
    assert str(inspect.signature(mg.HeNormal)) == "()"


def test_an_object_that_is_called_has_the_signature_of_its_call():
    assert list(inspect.signature(mg.ConstantSchedule(0.1)).parameters) == ["steps"]
    assert mg.Adam().__doc__ == mg.Adam.__doc__


def test_ipython_shows_every_option():
    IPython = pytest.importorskip("IPython")
    oinspect = pytest.importorskip("IPython.core.oinspect")
    options = {"theme_name": "nocolor"} if IPython.version_info >= (9,) else {}
    shown = oinspect.Inspector(**options).info(mg.NAdam, "NAdam")
    for name in (*COMMON, "momentum_decay", "beta1"):
        assert f"{name}:" in shown["init_definition"] or f"{name}:" in shown["definition"]
        assert name in entries(type("Shown", (), {"__doc__": shown["docstring"]}))


# English: the rules that a program can check


@functools.cache
def parsed(folder):
    """The syntax trees of the files in a folder of the repository, by path."""
    files = sorted((ROOT / folder).rglob("*.py"))
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text("utf-8")) for file in files}


def texts(tree):
    """The text constants of a file, with their lines and whether each is a docstring."""
    alone = set()
    for node in ast.walk(tree):  # parents come before their children
        if isinstance(node, ast.Expr):
            alone.add(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value, node in alone


def sentences(text):
    """The sentences of a docstring or a page, without code, quotations and table rows."""
    text = re.sub(r"```.*?```|``?[^`]*``?|\"[^\"\n]*\"", "NAME", inspect.cleandoc(text), flags=re.S)
    text = re.sub(r"(?m)^ *(>>>|\.\.\. ).*(\n(?! *$).*)*", "", text)
    text = re.sub(r"(?m)^( *\S[^:\n]* : .*|-{3,}|\|.*|#+ .*)$|^ *- ", "\n", text)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.?!:;])\s+", " ".join(paragraph.split()))


def test_the_reader_of_sentences_finds_them():
    text = "One `a. b`\n is two.  Of x:\n\n>>> f(1)\n'No.'\n\nx : int\n    The \"end. y\".\n- Item"
    found = [sentence for sentence in sentences(text) if sentence]
    assert found == ["One NAME is two.", "Of x:", "The NAME.", "Item"]
    assert NO_NOUN.search("It is no number.")
    assert not NO_NOUN.search("There is no number, and it is no longer needed.")


@pytest.mark.parametrize("folder", ["src", "benchmarks", "tests"])
def test_docstrings_have_short_sentences_in_full_clauses(folder):
    faults = [
        f"{path}:{line}: {sentence}"
        for path, tree in parsed(folder).items()
        for line, text, is_docstring in texts(tree)
        if is_docstring
        for sentence in sentences(text)
        if len(sentence.split()) > MOST_WORDS
        or sentence.startswith("Of ")
        or NO_NOUN.search(sentence)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", ["src", "benchmarks", "tests"])
def test_a_docstring_begins_with_a_line_that_ends_in_a_period(folder):
    faults = []
    for path, tree in parsed(folder).items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                summary = (ast.get_docstring(node) or ".").partition("\n\n")[0]
                if "\n" in summary or not (summary.endswith(".") or FORMULA.search(summary)):
                    faults.append(f"{path}: {getattr(node, 'name', 'module')}: {summary}")
    assert not faults, "\n".join(faults)


def test_messages_and_pages_say_what_something_is_not():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    written = {str(page.relative_to(ROOT)): [page.read_text("utf-8")] for page in pages}
    for path, tree in parsed("src").items():
        written[path] = [text for _, text, is_docstring in texts(tree) if not is_docstring]
    faults = [
        f"{path}: {sentence}"
        for path, found in written.items()
        for text in found
        for sentence in sentences(text)
        if NO_NOUN.search(sentence) or (path.endswith(".md") and sentence.startswith("Of "))
    ]
    assert not faults, "\n".join(faults)
