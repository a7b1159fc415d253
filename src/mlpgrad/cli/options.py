"""Options of other tools, with the names that this command has for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

CLOSE = 0.75  # difflib's ratio: `--epoch` is close to `--epochs`, `--save` is not to `--sample`

CALLED_HERE = {
    "--learning-rate": "lr eta eta0 rate step-size learning-rate-init alpha",
    "--epochs": "n-epochs num-epochs nb-epoch max-epochs max-iter iterations n-iter e",
    "--batch-size": "batch bs b batchsize minibatch train-batch-size",
    "--hidden": "layers units hidden-layers hidden-layer-sizes hidden-size hidden-units neurons "
    "width architecture net",
    "--activation": "act nonlinearity",
    "--dropout": "drop-probability drop-rate p-dropout",
    "--optimizer": "opt solver optim algorithm",
    "--patience": "early-stopping early-stop n-iter-no-change tolerance tol",
    "--members": "ensemble ensemble-size n-members models n-estimators bagging",
    "--seed": "random-state random-seed rng manual-seed",
    "--output": "o out save save-to save-model save-path output-dir out-dir outdir outfile "
    "output-file write to export checkpoint model-dir logdir",
    "--quiet": "q silent no-progress no-verbose",
    "--target": "y t target-column target-col label label-column label-col class-column dependent "
    "response outcome predict",
    "--task": "problem problem-type objective kind mode regression classification classify type",
    "--without": "ignore drop exclude skip ignore-columns drop-columns skip-columns index-col omit "
    "remove",
    "--categories": "categorical cat cat-features categorical-columns categorical-features nominal",
    "--numbers": "numeric numerical numeric-columns continuous",
    "--delimiter": "sep separator delim d field-separator",
    "--decimal": "decimal-sign decimal-point decimal-comma decimal-separator",
    "--encoding": "charset codec",
    "--missing": "na na-values null-values missing-values nan null",
    "--labels": "label-file y-file",
    "--proba": "probabilities probability predict-proba probs prob",
    "--std": "uncertainty return-std standard-deviation sigma",
    "--interval": "confidence level confidence-level prediction-interval coverage quantiles",
    "--id": "id-column id-columns keep keep-columns passthrough key",
    "--sample": "row index i instance n",
    "--text": "print no-html plain",
    "--no-open": "no-browser no-show no-display",
    "--header": "has-header",
    "--no-header": "noheader headerless",
}
"""Each option, with the names that other tools have for it."""

NOT_AN_OPTION = {
    "files are named without an option, after the command": "data file input input-file i dataset "
    "train train-file train-data x csv path model load model-file from",
    "64 % of the rows are trained on, 16 % decide when to stop, and 20 % are the test": "test-size "
    "validation-split val-split test-split validation-fraction valid val test train-size cv folds "
    "shuffle split",
    "inputs and a quantity to predict are scaled, and the model keeps how": "normalize scale "
    "standardize scaler normalise standardise normalization preprocessing scaling",
    "the loss follows from the target: --task decides between classes and a quantity": "loss "
    "criterion metric metrics loss-function eval-metric scoring",
    "progress is shown unless --quiet is given": "verbose v progress verbosity log",
    "it runs on the processor": "device gpu cuda no-cuda cpu workers num-workers n-jobs threads "
    "jobs",
    "in Python there are penalties, schedules and all options of optimizers: see "
    "`mlpgrad train --help`": "weight-decay l2 l1 momentum regularization scheduler lr-scheduler "
    "schedule gamma beta1 betas eps wd clip clip-norm warmup decay",
}
"""The reason why there is no such option, with its names in other tools."""

_HERE = {name: option for option, names in CALLED_HERE.items() for name in names.split()}
_WHY = {name: why for why, names in NOT_AN_OPTION.items() for name in names.split()}


def advice(unknown: str, command: str, options: Mapping[str, Sequence[str]]) -> str:
    """What to write instead of an option that a command does not have; empty if unknown.

    Parameters
    ----------
    unknown : str
        The option as written, such as `--lr=0.1`.
    command : str
        The command that got it.
    options : mapping of str to sequence of str
        The options of each command.

    Examples
    --------
    >>> options = {"train": ["--epochs", "--output"], "explain": ["--sample"]}
    >>> advice("--save", "train", options)
    "; did you mean '--output'?"
    >>> advice("--sample", "train", options)
    '; it is an option of `mlpgrad explain`'
    """
    name = unknown.partition("=")[0].lstrip("-").lower().replace("_", "-")
    own = options.get(command, ())
    elsewhere = [option for other in options.values() for option in other]
    meant = [_HERE.get(name, ""), _near(name, own), f"--{name}", _near(name, elsewhere)]
    if _HERE.get(name) not in own and name in _WHY and meant[1] is None:
        return f"; {_WHY[name]}"
    for option in filter(None, meant):
        if option in own:
            return f"; did you mean {option!r}?"
        if places := [other for other, known in options.items() if option in known]:
            first = "it" if option == f"--{name}" else repr(option)
            return f"; {first} is an option of `mlpgrad {places[0]}`"
    return ""


def _near(name: str, options: Sequence[str]) -> str | None:
    """The option with a similar spelling."""
    bare = {option.lstrip("-"): option for option in options}
    close = difflib.get_close_matches(name, bare, n=1, cutoff=CLOSE)
    return bare[close[0]] if close else None
