"""What a training must have in common with the earlier one whose state it takes over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpgrad.layers.chain import walk
from mlpgrad.optimizers.schedule import Schedule

if TYPE_CHECKING:
    from mlpgrad.optimizers.base import Optimizer


def identity(session: Any) -> dict[str, str]:
    """Return what the state of a training belongs to, as texts to be compared and shown.

    Options that only act from now on, such as the rate of a dropout, are not part of it: they may
    be others in a training that continues.
    """
    network, method = session.network, session.method
    metrics, classes = session.metrics, network.classes_
    held_out = session.validation is not None
    found = {
        "optimizer": type(method.optimizer).__name__,
        "method": type(method).__name__,
        "layers": _listed(type(layer).__name__ for _, layer in walk(network.layers)),
        "parameters": _listed(f"{slot.kind} {slot.shape}" for slot in network.parameters),
        "loss": _text(network.loss),
        "penalties": _listed(map(_text, network.penalties)),
        "classes": repr(None if classes is None else classes.tolist()),
        "metrics": "default" if metrics is None else _listed(metric.name for metric in metrics),
        "validation data": "some" if held_out else "none",
    }
    for callback in session.callbacks:
        if hasattr(callback, "monitor"):
            what = f"monitor of {type(callback).__name__}"
            while what in found:  # another one of the same class
                what += " (next)"
            found[what] = callback.monitor or ("val_loss" if held_out else "loss")
    return found


def check_continues(session: Any, snapshot: Mapping[str, Any]) -> None:
    """Raise ValueError if a training is not the one of the snapshot.

    Snapshots of earlier versions, which do not say what they are of, are not compared.
    """
    own, before = dict(session.identity), snapshot.get("identity", {})
    if snapshot["in_epoch"]:
        own["batch_size"] = str(session.batches.batch_size)
    fix = 'to go on from its weights alone, call model.restore(snapshot["network"]) before fit'
    for what in own:
        if own[what] != before.get(what, own[what]):
            raise ValueError(
                f"resume expects the {what} of the earlier training, {before[what]}, got "
                f"{own[what]}; "
                + ("make the same network" if what in ("layers", "parameters") else fix)
            )


def check_last(hook: str, left: Iterable[Any]) -> None:
    """Raise ValueError if callbacks that keep a state have not seen this batch or epoch yet."""
    names = [type(one).__name__ for one in left if one.kept and one.overrides(hook)]
    if names:
        raise ValueError(
            f"snapshot expects that every callback has been called, but {', '.join(names)} would "
            "miss this batch or epoch in a training that goes on from it; put the callback that "
            "takes the snapshot last in the list"
        )


def restore_callbacks(session: Any, taken: Sequence[Any]) -> None:
    """Give the callbacks of each kind their states, in the order of the list."""
    for callback in session.callbacks:
        state = next((pair for pair in taken if pair[0] == type(callback).__name__), None)
        if state is not None:
            taken = [pair for pair in taken if pair is not state]
            callback.restore(state[1])


def count_steps(session: Any, begun: int) -> None:
    """Tell the optimizer the number of steps, for schedules that span the training.

    Parameters
    ----------
    session : Session
    begun : int
        The number of batches of the present epoch that were made before.
    """
    optimizer, count = session.method.optimizer, session.batches.count
    total = None if count is None else session.epochs * count
    if not (session.epoch or session.in_epoch):
        optimizer.begin_training(total)
    elif total is not None:
        optimizer._continue_training(total, total - session.epoch * count - begun)


def rate_as_text(rate: Any) -> str:
    """Return a learning rate for comparison; functions are alike, since they have no state."""
    return "a function" if callable(rate) and not isinstance(rate, Schedule) else repr(rate)


def at_own_rate(optimizer: Optimizer, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Return the snapshot of an optimizer with the learning rate that this one has.

    ValueError if that would have no effect.
    """
    if optimizer.rate_is_initial and taken["state"]:
        raise ValueError(
            f"resume expects the learning rate of the earlier training, {taken['learning_rate']}, "
            f"since {type(optimizer).__name__} has adapted its steps, got {optimizer.learning_rate}"
        )
    rate = ("learning_rate", "schedule")
    state = {name: value for name, value in taken.items() if name not in rate}
    own = optimizer.snapshot()
    return state | {name: own[name] for name in rate if name in own}


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"


def _text(thing: Any) -> str:
    """Return class and options; a function, whose text differs between processes, by its name."""
    shown = repr(thing)
    return re.sub(r"<function (\S+) at 0x[0-9a-f]+>|<(\S+) object at 0x[0-9a-f]+>", r"\1\2", shown)
