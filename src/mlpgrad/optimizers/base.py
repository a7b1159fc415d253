"""What all optimizers share: rates, state, blocks, clipping, decay and max-norm."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array, Shape, constant
from mlpgrad._core.described import Described
from mlpgrad._core.options import unchangeable
from mlpgrad._core.stateful import Stateful
from mlpgrad.optimizers import vectors

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


VIEWS = ("_params", "_grads", "_scalars", "_prepared", "_used")

Rate = float | Callable[[int], Any] | Sequence[float] | Array


class Common(TypedDict, total=False):
    """Options of every optimizer, documented in `Optimizer`."""

    weight_decay: float
    decay_kinds: Sequence[str]
    clip_norm: float | None
    clip_value: float | None
    max_norm: float | None


class Prepared(NamedTuple):
    """The arrays that a step works on, laid out once: the state of `apply`."""

    grads: Any = None
    """The gradient as it is given."""
    clipped: Any = None
    """Room for the clipped gradient, where something clips it."""
    kept: Any = None
    """What decoupled decay leaves of a weight, `()` or `(E, 1)`."""
    blocks: Any = ()
    """The arguments of each call of `update`."""
    decayed: Any = ()
    """Views of the parameters that decay."""
    bounded: Any = ()
    """Views of the weights `(..., in, out)` under `max_norm`."""


class _State:
    """The dict of the rule's arrays: assigning another one has its views made anew.

    It has no `__get__`, so that reading costs nothing.
    """

    if TYPE_CHECKING:

        def __get__(self, optimizer: Any, owner: Any) -> dict[str, Array]: ...

    def __set__(self, optimizer: Optimizer, state: dict[str, Array]) -> None:
        vars(optimizer)["state"] = state
        optimizer._forget_views()


class Optimizer(Described, Stateful):
    """p <- p - step(g), in place, on flat arrays of any network or ensemble.

    A subclass implements `update`, the paper's formula on whole vectors, and names in `states`
    the arrays it keeps; `scalars` gives the numbers that change from step to step.

    Parameters
    ----------
    learning_rate : float, callable, or E numbers
        A callable is a schedule `steps -> float` (see `Schedule`), asked with the number of
        steps made before; E numbers are one rate for each network of an ensemble.
    weight_decay : float
        Decoupled: before each step p <- p - rate * weight_decay * p. Loshchilov and Hutter 2019,
        "Decoupled weight decay regularization". The coupled kind is a penalty, `mlpgrad.L2`.
    decay_kinds : sequence of str
        What `weight_decay` acts on, by names of parameters in their layers. Without a model
        (see `attach`) it acts on everything.
    clip_norm : float, optional
        Upper bound of the L2 norm of each network's gradient: g <- g min(1, clip_norm / |g|).
        Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
        networks".
    clip_value : float, optional
        Upper bound of each |g_i|, applied before `clip_norm`. Neither changes `grads` itself.
    max_norm : float, optional
        Upper bound of the L2 norm of each unit's incoming weights, restored after each step.
        Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
        overfitting", section 5.1.

    Every option may be assigned later and holds from the next step on.

    Attributes
    ----------
    steps : int
        Steps made so far.
    learning_rate_scale : float
        Multiplies the rate, whatever it is: `ReduceOnPlateau` lowers it.
    state : dict of arrays
        The rule's own arrays by name, in the shape of `params`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> params, optimizer = np.array([1.0, -2.0]), mg.SGD(0.1)
    >>> for _ in range(3):
    ...     optimizer.step(params, grads=2 * params)
    >>> params
    array([ 0.512, -1.024])
    """

    _options_act = True

    kept = ("steps", "learning_rate_scale", "state")
    state = _State()
    states: tuple[str, ...] = ()
    """Names of the arrays the rule keeps; `update` gets them in this order."""
    scratch: int = 1
    """How many arrays `update` gets to work in."""
    _conform: bool = False  # whether an option has changed what the state consists of
    repeatable: bool = False
    """True, in the class itself, where `update` makes the same NumPy calls at every step."""

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
        self.decay_kinds = tuple(decay_kinds) if isinstance(decay_kinds, list) else decay_kinds
        self.clip_norm, self.clip_value, self.max_norm = clip_norm, clip_value, max_norm
        checks.within(self, "weight_decay", 0)
        for name in ("clip_norm", "clip_value", "max_norm"):
            if getattr(self, name) is not None:
                checks.within(self, name, 0, open_below=True)
        if isinstance(decay_kinds, str):
            raise TypeError(f"decay_kinds expects a tuple of names, got {decay_kinds!r}")
        self._layout: list[tuple[str, int, int, Shape]] | None = None
        self._model: weakref.ref[Network] | None = None
        self.reset()

    # what a subclass says

    def update(self, p: Array, g: Array, *arrays: Any, **_: Any) -> None:
        """Change `p` in place, given its gradient `g` (read only).

        `arrays` are first the `scalars`, then the `states`, then as many as `scratch` to work
        in: all of the dtype of `p`, and in a shape that broadcasts with it.
        """
        raise NotImplementedError

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        """The numbers that `update` gets at step t = 1, 2, ...; by default the rate."""
        return (rate,)

    def make_state(self, params: Array) -> dict[str, Array]:
        """The rule's arrays before the first step: zeros."""
        return {name: np.zeros_like(params) for name in self.states}

    @classmethod
    def example(cls) -> Self:
        """An optimizer with options worth a test, for tests that go through every class."""
        return cls(0.01)

    # use

    def step(self, params: Array, grads: Array) -> None:
        """Change `params` in place, given their gradient.

        Parameters
        ----------
        params, grads : array (P,) or (E, P)
            C-contiguous and of one floating dtype. Their shape may change only after `reset`.
        """
        self.advance(params, grads)
        self.apply(self._prepared)

    def advance(self, params: Array, grads: Array) -> None:
        """Count a step and write its rate and other numbers where `apply` finds them."""
        if params is not self._params or grads is not self._grads:
            self.prepare(params, grads)
        rate: Any = self._learning_rate
        rate = rate * self.learning_rate_scale if type(rate) is float else self._rate(self.steps)
        self.steps += 1
        for array, value in zip(self._scalars, self.scalars(rate, self.steps)):  # noqa: B905
            array[()] = value
        if self.weight_decay:
            self._prepared.kept[()] = 1 - rate * self.weight_decay

    def apply(self, arrays: Prepared) -> None:
        """Clip, decay, update and bound: NumPy calls alone, which can be recorded."""
        if arrays.clipped is not None:
            self._clip(arrays.grads, arrays.clipped)
        if self.weight_decay:
            for decayed in arrays.decayed:
                np.multiply(decayed, arrays.kept, decayed)
        for block in arrays.blocks:
            self.update(*block)
        for weights in arrays.bounded:
            vectors.bound_columns(weights, self.max_norm)

    def scalars_of(self, steps: Sequence[int]) -> list[tuple[Any, ...]]:
        """The numbers of several steps at once, each as `scalars` gives them.

        Parameters
        ----------
        steps : sequence of int
            t = 1, 2, ... of each step.
        """
        return [self.scalars(self._rate(t - 1), t) for t in steps]

    def attach(self, model: Network) -> None:
        """Learn which parameters are weights; `fit` calls it.

        Attaching to the same model again continues with the state. A used optimizer refuses
        another model: it would apply the one's momentum to the other.
        """
        layout = [(slot.kind, slot.start, slot.stop, slot.shape) for slot in model.parameters]
        other = self._model is not None and self._model() is not model
        changed = self._layout is not None and self._layout != layout
        if self.steps and (other or changed):
            raise ValueError(
                f"{type(self).__name__} expects the model that it has made {self.steps} steps "
                f"with, got another; make a new optimizer, or call reset() to start anew"
            )
        self._layout, self._model = layout, weakref.ref(model)
        self._forget_views()

    def share(self, networks: slice) -> Self:
        """This optimizer for some networks of an ensemble, on the same state.

        It counts by itself: whoever steps with it sets `steps` of this one.
        """
        part = copy.copy(self)
        part.state = {name: array[networks] for name, array in self.state.items()}
        rate: Any = self._learning_rate
        if callable(rate):
            part._learning_rate = lambda steps: _of(networks, rate(steps))
        else:
            part._learning_rate = _of(networks, rate)
        return part

    def reset(self) -> None:
        """Forget the state and the count of steps, as if newly made; the options stay."""
        self.steps = 0
        self.state = {}

    @property
    def learning_rate(self) -> Rate:
        """A number, a schedule, or one number for each network; may be assigned."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if callable(rate):
            self._check_schedule(rate)
        else:
            rate = unchangeable(rate) if isinstance(rate, np.ndarray) else rate
            rate = tuple(rate) if isinstance(rate, list) else rate
            values = np.asarray(rate)
            if values.dtype.kind not in "iuf" or values.ndim > 1:
                raise TypeError(
                    f"learning_rate expects a number, a schedule (steps -> number) or a number "
                    f"for each network of an ensemble, got {rate!r}"
                )
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"learning_rate expects finite numbers >= 0, got {rate!r}")
        self._learning_rate: Rate = rate
        self._forget_views()

    def _check_schedule(self, rate: Any) -> None:
        """Raise an error where the rule cannot follow a schedule."""

    @property
    def current_learning_rate(self) -> Any:
        """The rate of the last step (of the first, before it): a number, or an array (E,)."""
        rate = self._rate(max(self.steps - 1, 0))
        return rate[:, 0] if isinstance(rate, np.ndarray) and rate.ndim else float(rate)

    def _rate(self, steps: int) -> Any:
        """The rate after so many steps: a number, or (E, 1)."""
        rate: Any = self._learning_rate
        if type(rate) is not float:  # the usual one, first
            rate = rate(steps) if callable(rate) else rate
            rate = np.asarray(rate, np.float64)[:, None] if np.ndim(rate) else rate
        return rate * self.learning_rate_scale

    # views, made once and used as long as the arrays are the same

    def _option_changed(self) -> None:
        self._conform = True
        self._forget_views()

    def follow_state(self) -> None:
        """Notice arrays that have been put into `state` in the place of others."""
        if any(self.state.get(name) is not array for name, array in self._used.items()):
            self._forget_views()

    def _arrays(self, params: Array) -> list[Array]:
        """The state's arrays in the order that `update` takes them; made where there are none."""
        if not self.state or self._conform or any(name not in self.state for name in self.states):
            made = self.make_state(params)
            self.state = {name: self.state.get(name, array) for name, array in made.items()}
            self._conform = False
        self._used.clear()
        self._used.update(self.state)
        named = set(self.state) == set(self.states)
        return [self.state[name] for name in (self.states if named else self.state)]

    def _forget_views(self) -> None:
        self._used: dict[str, Array] = {}
        self._params: Array | None = None
        self._grads: Array | None = None
        self._scalars: list[Array] = []
        self._prepared = Prepared()

    def prepare(self, params: Array, grads: Array) -> None:
        """Make the state at the first step, and views of everything in blocks; `step` calls it."""
        self._check(params, grads)
        states = self._arrays(params)
        clips = self.clip_norm is not None or self.clip_value is not None
        clipped = np.empty_like(grads) if clips else None
        rate = self._rate(self.steps)
        values = self.scalars(rate, self.steps + 1)
        self._scalars = [np.zeros(np.shape(value), params.dtype) for value in values]
        flats = [params, grads if clipped is None else clipped, *states]
        size = min(vectors.BLOCK, params.size)
        shared = [np.empty(size, params.dtype) for _ in range(self.scratch)]
        blocks = []
        for part in vectors.blocks_of(params.shape, whole=np.ndim(rate) == 0):
            p, g, *cut = (vectors.cut(flat, part) for flat in flats)
            scalars = [s[part[0]] if s.ndim else s for s in self._scalars]
            scratch = [s[: p.size].reshape(p.shape) for s in shared]
            blocks.append([p, g, *scalars, *cut, *scratch])
        kept = np.zeros(np.shape(rate), params.dtype)
        self._prepared = Prepared(grads, clipped, kept, blocks, *self._slots(params))
        self._params, self._grads = params, grads

    def _check(self, params: Array, grads: Array) -> None:
        """Refuse arrays that cannot be stepped, or that the state is not for."""
        name = type(self).__name__
        for label, array in (("params", params), ("grads", grads)):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                found = getattr(array, "dtype", type(array).__name__)
                raise TypeError(f"{name}.step expects {label} as a floating array, got {found}")
            if array.ndim not in (1, 2) or not array.flags.c_contiguous:
                raise ValueError(
                    f"{name}.step expects {label} C-contiguous of shape (P,) or (E, P), got "
                    f"shape {array.shape}, strides {array.strides}; use numpy.ascontiguousarray"
                )
        if params.shape != grads.shape or params.dtype != grads.dtype:
            raise ValueError(
                f"{name}.step expects params and grads alike, got {params.shape} {params.dtype} "
                f"and {grads.shape} {grads.dtype}"
            )
        for label, state in self.state.items():
            if state.shape != params.shape or state.dtype != params.dtype:
                raise ValueError(
                    f"{name} holds {label} of shape {state.shape} {state.dtype}, got params of "
                    f"{params.shape} {params.dtype}; call reset() to start anew"
                )
        rates = np.shape(self._rate(self.steps))
        if rates and (params.ndim != 2 or rates[0] != len(params)):
            networks = f"{len(params)} networks" if params.ndim == 2 else "one network"
            raise ValueError(
                f"learning_rate expects one number, or one for each network; got {rates[0]} for "
                f"{networks} (params of shape {params.shape})"
            )

    def _slots(self, params: Array) -> tuple[list[Array], list[Array]]:
        """Views of what decays, and of each weights matrix under `max_norm`."""
        if self._layout is None:
            if self.max_norm is not None:
                raise ValueError(
                    "max_norm needs to know which parameters are weights; call attach(model) "
                    "before step, as fit does"
                )
            return [params], []
        slots = [(k, params[..., a:b], shape) for k, a, b, shape in self._layout]
        decayed = [view for kind, view, _ in slots if kind in self.decay_kinds]
        bounded = [
            view.reshape(params.shape[:-1] + shape)
            for kind, view, shape in slots
            if kind == "weights" and len(shape) == 2 and self.max_norm
        ]
        return decayed, bounded

    def _clip(self, grads: Array, out: Array) -> None:
        """Write the clipped gradient."""
        if self.clip_value is not None:
            np.minimum(grads, constant(self.clip_value, grads.dtype), out=out)
            grads = np.maximum(out, constant(-self.clip_value, grads.dtype), out=out)
        if self.clip_norm is not None:
            vectors.clip_norm(grads, self.clip_norm, out)

    # copies

    def snapshot(self) -> dict[str, Any]:
        """Count, state, rate and its scale; the state of a schedule that has one."""
        taken = super().snapshot()
        rate = self._learning_rate
        if isinstance(rate, Stateful):
            taken["schedule"] = rate.snapshot()
        elif not callable(rate):
            taken["learning_rate"] = copy.deepcopy(rate)
        return taken

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` has returned."""
        taken = dict(snapshot)
        if isinstance(self._learning_rate, Stateful):
            self._learning_rate.restore(taken.pop("schedule", {}))
        elif "learning_rate" in taken:
            self.learning_rate = taken.pop("learning_rate")
        super().restore(taken)
        self._forget_views()

    def __getstate__(self) -> dict[str, Any]:
        """Options, state and layout; views are made anew, and a copy may take another model."""
        kept = self.__dict__.items()
        return {k: v for k, v in kept if k not in VIEWS and k != "_model"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._model = None
        self._forget_views()


def _of(networks: slice, rate: Any) -> Any:
    """A rate, or those of some networks."""
    return rate[networks] if np.ndim(rate) else rate
