"""The base class of optimizers: learning rates, state, blocks, clipping, decay and max-norm."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array, constant
from mlpgrad._core.calls import check_takes, is_function
from mlpgrad._core.options import unchangeable
from mlpgrad._core.stateful import Stateful, check_is_dict
from mlpgrad.network.fitting import is_in_a_fit
from mlpgrad.optimizers import vectors
from mlpgrad.optimizers.boundary import Rate, asked, check_rate
from mlpgrad.optimizers.prepared import VIEWS, Prepared, Preparing
from mlpgrad.optimizers.schedule import Schedule

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


class Optimizer(Preparing, Stateful):
    """p <- p - step(g), in place, on the flat parameters of a network or an ensemble.

    A subclass implements `update` and names in `states` the arrays that it keeps from step to
    step. It may also override `scalars`, the numbers that change from step to step, and
    `make_state`, the initial values of the arrays.

    Every option may be assigned later, and takes effect at the next step.

    Parameters
    ----------
    learning_rate : float, callable, or E numbers
        The learning rate; at least 0. A callable is a schedule `steps -> float` (see `Schedule`),
        called with the number of steps made before. E numbers are one learning rate for each
        member of an ensemble.
    weight_decay : float
        Decoupled weight decay: p <- p - rate * weight_decay * p before each step; at least 0.
        Loshchilov and Hutter 2019, "Decoupled weight decay regularization". Coupled weight decay
        is a penalty, `mlpgrad.L2`.
    decay_kinds : sequence of str
        The parameters that `weight_decay` acts on, by their names in the layers, such as
        ("weights", "bias"). Without a model (see `attach`) it acts on all parameters.
    clip_norm : float or None
        Upper bound of the L2 norm of each member's gradient: g <- g min(1, clip_norm / |g|).
        None does not clip. Pascanu, Mikolov and Bengio 2013, "On the difficulty of training
        recurrent neural networks".
    clip_value : float or None
        Upper bound of the absolute value of each element of the gradient, applied before
        `clip_norm`. None does not clip. Neither option changes the array `grads`.
    max_norm : float or None
        Upper bound of the L2 norm of each unit's incoming weights, enforced after each step. None
        sets no bound. Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks
        from overfitting", section 5.1.

    Attributes
    ----------
    steps : int
        The number of steps made so far.
    learning_rate_scale : float
        A factor of the learning rate, 1 at first; `ReduceOnPlateau` lowers it.
    state : dict of arrays
        The arrays that the rule keeps, by name, in the shape of `params`.

    Raises
    ------
    TypeError
        If an option is unknown or has the wrong type.
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, -2.0]), mg.SGD(0.1)
    >>> for _ in range(3):
    ...     optimizer.step(params, grads=2 * params)
    >>> params
    array([ 0.512, -1.024])

    A user-defined rule with one state array; `**options` are those of `Optimizer`:

    >>> class HeavyBall(mg.Optimizer):
    ...     '''v <- momentum v - rate g,  p <- p + v'''
    ...     states = ("v",)
    ...
    ...     def __init__(self, learning_rate, *, momentum=0.9, **options):
    ...         super().__init__(learning_rate, **options)
    ...         self.momentum = momentum
    ...
    ...     def update(self, p, g, rate, v):
    ...         v *= self.momentum
    ...         v -= rate * g
    ...         p += v
    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=HeavyBall(0.1, clip_norm=1.0), epochs=50, verbose=0)
    >>> bool(history["loss"][-1] < 0.2 * history["loss"][0])
    True
    """

    _options_act = True

    kept = ("steps", "learning_rate_scale", "state")
    _training: tuple[int, int | None] | None = None  # the first step of a `fit`, and how many

    def __init__(
        self,
        learning_rate: Rate,
        *,
        weight_decay: float = 0.0,
        decay_kinds: Sequence[str] = ("weights",),
        clip_norm: float | None = None,
        clip_value: float | None = None,
        max_norm: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.learning_rate_scale = 1.0
        self.weight_decay = weight_decay
        self.decay_kinds = checks.names(self, "decay_kinds", decay_kinds)
        self.clip_norm, self.clip_value, self.max_norm = clip_norm, clip_value, max_norm
        checks.within(self, "weight_decay", 0)
        for name in ("clip_norm", "clip_value", "max_norm"):
            if getattr(self, name) is not None:
                checks.within(self, name, 0, open_below=True)
        self._layout = None
        self._model: weakref.ref[Network] | None = None
        self.reset()

    # use

    def step(self, params: Array, grads: Array) -> None:
        """Update `params` in place, given their gradient.

        Parameters
        ----------
        params, grads : array (P,) or (E, P)
            C-contiguous arrays of the same floating dtype. Their shape may only change after
            `reset`.
        """
        self._direct_advance(params, grads)
        self._direct_apply(self._prepared)

    def advance(self, params: Array, grads: Array) -> None:
        """Count a step, and store its learning rate and other scalars for `apply`."""
        if params is not self._params or grads is not self._grads:
            self.prepare(params, grads)
        rate: Any = self._learning_rate
        rate = rate * self.learning_rate_scale if type(rate) is float else self._rate(self.steps)
        self.steps += 1
        for array, value in zip(self._scalars, self._direct_scalars(rate, self.steps)):  # noqa: B905
            array[()] = value
        if self.weight_decay:
            self._prepared.kept[()] = 1 - rate * self.weight_decay

    def apply(self, arrays: Prepared) -> None:
        """Clip, decay, update and bound; these are only NumPy calls, which can be recorded."""
        if arrays.clipped is not None:
            self._clip(arrays.grads, arrays.clipped)
        if self.weight_decay:
            for decayed in arrays.decayed:
                np.multiply(decayed, arrays.kept, decayed)
        for block in arrays.blocks:
            self._direct_update(*block)
        for weights in arrays.bounded:
            vectors.bound_columns(weights, self.max_norm)

    def attach(self, model: Network) -> None:
        """Read from a model which parameters are weights; called by `fit`.

        Attaching to the same model again keeps the current state.

        Parameters
        ----------
        model : Network
            The model whose `params` the next steps update.

        Raises
        ------
        ValueError
            If steps were made with another model before, since its momentum does not apply to this
            model. Call `reset` first.
        """
        if not hasattr(model, "parameters"):
            raise TypeError(f"attach expects a model, got {arguments.shown(model)}")
        layout = [(slot.kind, slot.start, slot.stop, slot.shape) for slot in model.parameters]
        other = self._model is not None and self._model() is not model
        changed = self._layout is not None and self._layout != layout
        if self.steps and (other or changed):
            raise ValueError(
                f"{type(self).__name__} expects the model that it made {self.steps} steps with, "
                "got another; make a new optimizer, or call reset() to start again"
            )
        self._layout, self._model = layout, weakref.ref(model)
        self._forget_views()

    def begin_training(self, steps: int | None) -> None:
        """Start a training at the next step; called by `fit`.

        Parameters
        ----------
        steps : int or None
            The number of its steps, for schedules that span the training; None if not known.
        """
        self._training = self.steps, steps
        if getattr(self._learning_rate, "needs_total", False):
            self._rate(self.steps)  # raises any error before the first step

    def _continue_training(self, steps: int, left: int) -> None:
        """Go on with a training that may have become longer or shorter; called by `fit`.

        Parameters
        ----------
        steps, left : int
            The number of steps of the whole training, and of those that are left.
        """
        if self._training is not None and self._training[1] not in (None, steps):
            first, _ = self._training
            self._training = first, self.steps - first + left

    def share(self, networks: slice | int) -> Self:
        """Return this optimizer for some networks of an ensemble, or one, on the same state.

        It has its own count of steps; the caller must set `steps` of this optimizer.
        """
        part = copy.copy(self)
        part.state = {name: array[networks] for name, array in self.state.items()}
        rate: Any = self._learning_rate
        if callable(rate):
            training = self._training
            part._learning_rate = lambda steps: _of(networks, asked(rate, steps, training))
        else:
            part._learning_rate = _of(networks, rate)
        return part

    def reset(self) -> None:
        """Forget the state and the count of steps, as in a new optimizer; keep the options.

        In a callback, a schedule that spans the training goes on from its place in it.
        """
        if self._training is not None:
            first, total = self._training
            self._training = (first - self.steps, total) if is_in_a_fit(self) else None
        self.steps = 0
        self.state = {}

    @property
    def learning_rate(self) -> Rate:
        """A number, a schedule, or one number for each member; may be assigned."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if is_function(rate):
            if isinstance(rate, Schedule):
                arguments.instance(rate, "learning_rate", Schedule, "CosineDecay(0.1)")
            check_takes(rate, "learning_rate", ("steps",), "lambda steps: ...")
        else:
            check_rate(rate)
            rate = tuple(rate) if isinstance(rate, list) else unchangeable(rate)
        self._check_rate(rate)
        self._learning_rate: Rate = rate
        self._forget_views()

    def _check_rate(self, rate: Any) -> None:
        """Raise an error if the rule does not take this learning rate now."""

    @property
    def current_learning_rate(self) -> Any:
        """The learning rate of the last step, or else of the first: a number or (E,)."""
        first, _ = self._training or (0, None)
        rate = self._rate(max(self.steps - 1, first, 0))
        return rate[:, 0] if isinstance(rate, np.ndarray) and rate.ndim else float(rate)

    def _rate(self, steps: int) -> Any:
        """Return the learning rate after `steps` steps: a number, or (E, 1)."""
        rate: Any = self._learning_rate
        if type(rate) is not float:  # the most common case first
            rate = asked(rate, steps, self._training)
            rate = np.asarray(rate, np.float64)[:, None] if np.ndim(rate) else rate
        return rate * self.learning_rate_scale

    def _clip(self, grads: Array, out: Array) -> None:
        """Write the clipped gradient."""
        if self.clip_value is not None:
            np.minimum(grads, constant(self.clip_value, grads.dtype), out=out)
            grads = np.maximum(out, constant(-self.clip_value, grads.dtype), out=out)
        if self.clip_norm is not None:
            vectors.clip_norm(grads, self.clip_norm, out)

    # copies

    def snapshot(self) -> dict[str, Any]:
        """Return count, state, learning rate, its scale, and the state of a schedule, if any."""
        taken = super().snapshot() | {"training": self._training, "kind": self._kind()}
        rate = self._learning_rate
        if isinstance(rate, Stateful):
            taken["schedule"] = rate.snapshot()
        elif not callable(rate):
            taken["learning_rate"] = copy.deepcopy(rate)
        return taken

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the result of `snapshot`."""
        check_is_dict(self, snapshot)
        taken, own = dict(snapshot), self._kind()
        kind = list(taken.pop("kind", own))
        if kind != own:
            raise ValueError(
                f"{type(self).__name__}.restore expects the state of {' '.join(own)}, got that of "
                f"{' '.join(kind)}; make the optimizer as it was"
            )
        self.state = {}  # the learning rate and its scale go with the state of the snapshot
        training = taken.pop("training", None)
        self._training = None if training is None else tuple(training)
        if isinstance(self._learning_rate, Stateful):
            self._learning_rate.restore(taken.pop("schedule", {}))
        elif "learning_rate" in taken:
            self.learning_rate = taken.pop("learning_rate")
        super().restore(taken)
        self._forget_views()

    def _kind(self) -> list[str]:
        """Return the class, and the names of the arrays in its state."""
        return [type(self).__name__, *self.states]

    def __getstate__(self) -> dict[str, Any]:
        """Keep options, state and layout, but not views; a copy may attach to another model."""
        kept = super().__getstate__()
        return {k: v for k, v in kept.items() if k not in VIEWS and k != "_model"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._model = None
        self._forget_views()


def _of(networks: slice | int, rate: Any) -> Any:
    """Return the learning rate, or the learning rates of some members."""
    return rate[networks] if np.ndim(rate) else rate
