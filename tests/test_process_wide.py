"""Settings of the whole process belong to the program: threads would change them for each other."""

import ast
import threading
import warnings
from pathlib import Path

import mlpgrad as mg
from mlpgrad._core.training_warning import warn, without_warnings

SOURCE = Path(mg.__file__).parent
SETTINGS = {
    *("catch_warnings", "simplefilter", "filterwarnings", "resetwarnings", "seterr", "seterrcall"),
    *("set_state", "setstate", "set_printoptions", "setlocale", "chdir", "umask", "putenv"),
    *("setrecursionlimit", "setswitchinterval", "rc_context", "redirect_stdout", "redirect_stderr"),
}
OWN = {"cli/command.py": {"catch_warnings"}}
"""The command line has the process to itself."""
RESTORED = {"gradcheck/checker.py": {"set_state", "setstate"}}
"""A check restores the global generators, in case the user's function draws from them."""


def changed_settings(path):
    """Return the functions called in a file that change a setting of the process."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
    seeds = {"seed"} if any(ast.unparse(c.func).endswith("random.seed") for c in calls) else set()
    return names & SETTINGS | seeds


def test_no_setting_of_the_process_is_changed():
    found = {
        path.relative_to(SOURCE).as_posix(): names
        for path in SOURCE.rglob("*.py")
        if (names := changed_settings(path))
    }
    assert found == OWN | RESTORED


def test_a_thread_leaves_out_its_own_warnings_only():
    before, inside, left = warnings.filters[:], threading.Event(), threading.Event()

    def other():
        with without_warnings():
            inside.set()
            left.wait(30)
            warn("A method can hardly learn")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread = threading.Thread(target=other)
        with without_warnings():
            thread.start()
            inside.wait(30)
            warn("A method can hardly learn")
        warn("Another one can hardly learn")
        left.set()
        thread.join()
        warn("A method can hardly learn")
    assert [str(each.message).split()[0] for each in caught] == ["Another", "A"]
    assert warnings.filters == before


def test_no_attribute_is_computed_under_a_lock_of_its_class():
    """A process that is forked meanwhile would wait for the lock forever: see `Cached`."""
    found = [path for path in SOURCE.rglob("*.py") if "cached_property" in path.read_text("utf-8")]
    assert found == [SOURCE / "_core" / "cached.py"]  # which names it in its docstring
