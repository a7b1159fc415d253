"""Options of other tools that the command does not have: the message names the one to use."""

import re
import shlex

import pytest

from mlpgrad.cli import main
from mlpgrad.cli.columns import listed
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.options import CALLED_HERE, NOT_AN_OPTION, advice
from mlpgrad.cli.parser import build_parser
from mlpgrad.cli.text import split

COMMANDS = next(a.choices for a in build_parser()._actions if isinstance(a.choices, dict))
OPTIONS = {name: [*parser._option_string_actions] for name, parser in COMMANDS.items()}
FILES = {"train": "xor", "predict": "m.npz f.csv", "evaluate": "m.npz f.csv", "info": "m.npz",
         "explain": "xor"}  # fmt: skip

# options of other tools, with the option of this command that does the same
HABITS = {
    "train": {
        "--save": "--output", "--out": "--output", "--output-dir": "--output", "-o": "--output",
        "--save-model": "--output", "--lr": "--learning-rate",
        "--learning_rate": "--learning-rate",
        "--learning-rate-init": "--learning-rate", "--batch": "--batch-size",
        "--bs": "--batch-size",
        "--batch_size": "--batch-size", "--max-iter": "--epochs", "--n-epochs": "--epochs",
        "--num_epochs": "--epochs", "--epoch": "--epochs", "--layers": "--hidden",
        "--hidden-layer-sizes": "--hidden", "--units": "--hidden", "--solver": "--optimizer",
        "--optim": "--optimizer", "--optimiser": "--optimizer", "--random-state": "--seed",
        "--random_seed": "--seed", "--early-stopping": "--patience", "--n-members": "--members",
        "--ensemble": "--members", "--label": "--target", "--target-column": "--target",
        "--y": "--target", "--label-column": "--target", "--problem-type": "--task",
        "--regression": "--task", "--classification": "--task", "--drop": "--without",
        "--ignore": "--without", "--index-col": "--without", "--exclude": "--without",
        "--categorical": "--categories", "--numeric": "--numbers", "--sep": "--delimiter",
        "--separator": "--delimiter", "-d": "--delimiter", "--na-values": "--missing",
        "--charset": "--encoding", "--no_header": "--no-header", "--silent": "--quiet",
        "-q": "--quiet", "--dropuot": "--dropout", "--activaton": "--activation",
    },
    "predict": {
        "--out": "--output", "--save": "--output", "-o": "--output", "--probabilities": "--proba",
        "--predict-proba": "--proba", "--uncertainty": "--std", "--return-std": "--std",
        "--id-column": "--id", "--index-col": None, "--sep": "--delimiter",
    },
    "evaluate": {"--sep": "--delimiter", "--na-values": "--missing", "--charset": "--encoding"},
    "explain": {"--row": "--sample", "--index": "--sample", "--lr": "--learning-rate",
                "--save": "--output", "--no-browser": "--no-open", "--print": "--text"},
    "info": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "habit", "meant"),
    [(c, habit, meant) for c, habits in HABITS.items() for habit, meant in habits.items() if meant],
)
def test_habits_of_other_tools_are_told_the_option_that_does_it(command, habit, meant, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, *shlex.split(FILES[command]), habit, "3"])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    expected = f"no option {habit!r} in `mlpgrad {command}`; did you mean {meant!r}?"
    assert err == f"mlpgrad: error: {expected}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_advice_never_names_an_option_that_the_command_does_not_have(command):
    every = {option for options in OPTIONS.values() for option in options}
    names = {name for names in (*CALLED_HERE.values(), *NOT_AN_OPTION.values())
             for name in names.split()}  # fmt: skip
    for unknown in sorted({f"--{name}" for name in names} | every - set(OPTIONS[command])):
        said = advice(unknown, command, OPTIONS)
        if found := re.search(r"did you mean '(.*)'\?", said):
            assert found[1] in OPTIONS[command]
        elif found := re.search(r"; (it|'.*') is an option of `mlpgrad (.*)`", said):
            named = unknown if found[1] == "it" else found[1].strip("'")
            assert named in OPTIONS[found[2]]
            assert named not in OPTIONS[command]
        else:
            assert said[2:] in NOT_AN_OPTION or (unknown in ("--version",) and not said)


def test_every_option_is_known_by_the_table_of_names():
    """A new option gets a line there even if other tools have no name for it; --help needs none."""
    every = {o for options in OPTIONS.values() for o in options if o.startswith("--")}
    assert set(CALLED_HERE) == every - {"--help"}
    twice = [name for names in CALLED_HERE.values() for name in names.split()]
    assert len(twice) == len(set(twice))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("predict m.npz f.csv --epochs 3", "'--epochs' in .*; it is an option of `mlpgrad train`"),
        ("predict m.npz f.csv --lr 3", "'--learning-rate' is an option of `mlpgrad train`"),
        ("predict m.npz --data f.csv", "files are named without an option, after the command"),
        ("train xor --test-size .2", "64 % of the rows are trained on"),
        ("train xor --gpu", "it runs on the processor"),
        ("train xor --foo", "no option '--foo' in `mlpgrad train`; see `mlpgrad train --help`"),
        ("train xor moons", "expects no further file or name, got 'moons'"),
        ("--versoin", "did you mean '--version'"),
        ("trian xor", "no command 'trian'; did you mean 'train'?"),
        ("xor", "no command 'xor'; write `mlpgrad train xor` to train on it"),
        ("train xor --epochs 1e3", "--epochs expects a whole number of at least 1, got '1e3'"),
        ("train xor --output xor.npz", "--output expects a folder, in which each file has a name"),
        ("explain xor --output xor.html", "got 'xor.html'; leave out '.html'"),
        ("train xor --dropout half", "--dropout expects a number from 0 to below 1, got 'half'"),
        ("train xor --epochs", "--epochs expects a value after it"),
    ],
)  # fmt: skip
def test_wrong_use_says_what_to_write(line, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert re.search(words, capsys.readouterr().err)


LISTS = {"--without", "--categories", "--numbers", "--id", "--missing"}
"""Options that take several names or texts, separated by commas."""


def test_every_option_that_takes_several_things_is_known():
    several = {
        option
        for parser in COMMANDS.values()
        for option, action in parser._option_string_actions.items()
        if "separated by commas" in (action.help or "") or action.metavar == "COLUMNS"
    }
    assert several == LISTS


@pytest.mark.parametrize("option", sorted(LISTS))
@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "explain"])
def test_lists_of_an_option_that_is_given_twice_add_up(command, option):
    if option not in OPTIONS[command]:
        return
    line = [command, *FILES[command].split(), option, "c", option, "a,b"]
    given = vars(build_parser().parse_args(line))[option[2:]]
    names = split(given) if option == "--missing" else listed(given, ["a", "b", "c"], option)
    assert names == ["c", "a", "b"]


def test_names_of_columns_may_hold_commas_and_are_in_one_option():
    names = ["a, net", "b, net", "c"]
    for texts in (['"a, net","b, net"'], ["a, net", "b, net"], ['"a, net"', "", "b, net"]):
        assert listed(texts, names, "--without") == names[:2]
    assert listed(["c ,c"], names, "--without") == ["c", "c"]
    with pytest.raises(CommandError, match="--id: the table has no column 'a'"):
        listed(["a,c"], names, "--id")


def test_a_column_in_two_options_is_refused(tmp_path, capsys):
    file = tmp_path / "t.csv"
    file.write_text("a,b,y\n" + "".join(f"{k % 7},{k % 5},{k / 4}\n" for k in range(40)))
    for one, other in (("without", "numbers"), ("categories", "numbers")):
        assert main(["train", str(file), f"--{one}", "a", f"--{other}", "b,a"]) == 2
        assert f"column 'a' is in --{one} and in --{other}; leave it" in capsys.readouterr().err
