"""Checks of second-order methods: errors for what they cannot train, and warnings."""

from __future__ import annotations

from mlpgrad._core.training_warning import warn
from mlpgrad.derivatives.modes import coupled, parts_of_users
from mlpgrad.layers.chain import walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.network.storage import check_memory
from mlpgrad.penalties import Penalty
from mlpgrad.training.rows import Batch
from mlpgrad.training.second_order.part import noises_of
from mlpgrad.training.second_order.state import State
from mlpgrad.training.session import Session
from mlpgrad.training.threads import threads

NAME = "LevenbergMarquardt"
INSTEAD = "train with a first-order optimizer such as mg.Adam(1e-3)"


def check_smooth(session: Session) -> None:
    """Raise ValueError if the objective is not a single smooth function of the parameters."""
    network, name = session.network, type(session.method).__name__
    for penalty in network.penalties:
        if penalty.kink_signature(network.params) is not None:
            raise ValueError(
                f"{name} expects a smooth objective, got {penalty!r}, which has a kink at 0, "
                "where it drives the weights; use L2, or an optimizer such as Adam(1e-3)"
            )
    _check_deterministic(network, session, name)
    if session.communicator is not None:
        raise ValueError(
            f"{name} trains on the rows of one process; leave communicator out, or use an "
            f"optimizer such as Adam(1e-3)"
        )


def _check_deterministic(network: Network, session: Session, name: str) -> None:
    """Raise ValueError if a layer draws random numbers, or mixes samples."""
    for position, layer in walk(network.layers):
        reason = ""
        if layer.is_random:
            reason = "it makes every value of the objective random"
        elif layer.mixes_samples:
            reason = (
                "its output depends on which rows are computed together, and its running "
                "statistics are not updated"
            )
        if reason:
            raise ValueError(
                f"{name} expects an objective that depends on the parameters alone, got layer "
                f"{position} {layer!r}: {reason}; leave the layer out (use L2 to regularize, "
                "LayerNorm to normalize), or use an optimizer such as Adam(1e-3)"
            )
    if parts_of_users(network) and coupled(network, session.training_data()[0]):
        raise ValueError(
            f"{name} expects an objective that depends on the parameters alone, but in this "
            f"network a layer's output for a sample depends on the other samples of its batch, or "
            f"on chance; leave the layer out, or use an optimizer such as Adam(1e-3)"
        )


def check_served(session: Session, data: Batch, estimates: bool) -> None:
    """Raise an error if `LevenbergMarquardt` cannot train a network; warn if it will overfit.

    Parameters
    ----------
    session : Session
    data : tuple (x, target, weights)
        All training rows.
    estimates : bool
        Whether weight decay and noise are estimated.
    """
    network = session.network
    if not network.params.size:
        raise ValueError(
            f"{NAME} expects layers with parameters, got {[*network.layers]!r}; add a Dense layer"
        )
    check_smooth(session)
    _check_objective(network, estimates)
    x, target, _ = data
    _check_memory(network, estimates and noises_of(network, target) > 1)
    numbers, size = x.shape[-2] * target.shape[-1], network.params.shape[-1]
    free = not (estimates or network.penalties) and session.validation is None
    if numbers < size and free:
        warn(
            f"{NAME}: {numbers:,} training targets cannot determine {size:,} parameters, and "
            "there is no regularization, so the noise will be fitted; use "
            'regularisation="bayes", penalties=[mg.L2(1e-4)], or validation data with '
            "EarlyStopping"
        )


def _check_objective(network: Network, estimates: bool) -> None:
    """Raise an error for a loss or a penalty that has no known curvature."""
    loss = network.loss
    if type(loss).curvature_root is Loss.curvature_root:
        raise TypeError(
            f"{NAME} expects a loss with known curvature (HalfSquaredError, MeanSquaredError, "
            f"SigmoidCrossEntropy, SoftmaxCrossEntropy, Poisson), got {loss!r}; use one of these, "
            f"or {INSTEAD}"
        )
    for penalty in network.penalties:
        if type(penalty).curvature is Penalty.curvature:
            raise TypeError(
                f"{NAME} expects penalties with second derivatives, got {penalty!r}; use L2, or "
                f"{INSTEAD}"
            )
    if network.penalties and estimates:
        raise ValueError(
            f'{NAME}(regularisation="bayes") estimates the weight decay itself, got '
            f"penalties={[*network.penalties]!r}; remove them, or write regularisation=None"
        )


def _check_memory(network: Network, has_roots: bool) -> None:
    """Raise ValueError if the matrices, and perhaps roots, need more memory than is available."""
    members, size = network.ensemble_size or 1, network.params.shape[-1]
    at_once = min(members, threads())
    matrices = 3 * members + (3 + has_roots) * at_once  # sums, and a factor kept; factors
    check_memory(
        8 * size**2 * matrices,
        f"the matrices of {NAME} for {size:,} parameters",
        f"make the layers narrower, or {INSTEAD}, whose memory grows only linearly with the "
        "number of parameters",
    )


def warn_of_end(state: State, estimates: bool) -> None:
    """Warn about members that found no step at all, or whose weights have all decayed."""
    members = len(state.steps)
    stuck = int((state.steps == 0).sum())
    if stuck and state.finished.all():
        warn(
            f"{NAME} found no step that lowers the objective for {stuck} of {members} networks: "
            "they are already at a minimum, or their equations are singular; scale inputs and "
            "targets, or start from other weights"
        )
    empty = int((state.gamma.sum(axis=-1) < 0.5).sum())
    if estimates and empty:
        warn(
            f"{NAME}: the evidence explains the targets as noise alone for {empty} of {members} "
            "networks, so that their weights have decayed to 0; scale inputs and targets, or use "
            "regularisation=None with validation data and EarlyStopping"
        )
