"""The data of an explanation: what its renderers read, without the renderers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpgrad._arrays import Array
from mlpgrad.explanation.quantities import Quantity, Step
from mlpgrad.explanation.trace import Trace

if TYPE_CHECKING:
    from mlpgrad.model import Sequential


@dataclass(repr=False)
class ExplanationData:
    """The steps of one step of back-propagation, and the arrays that they are taken from."""

    model: Sequential
    """A copy of the model, with the parameters after the update."""
    steps: list[Step]
    loss: float
    new_loss: float
    grads: Array
    params: Array
    new_params: Array
    learning_rate: float
    samples: int
    limit: int
    """The number of terms of a sum, and of units of a layer, that are shown."""
    trace: Trace

    def find(self, symbol: str, layer: int | None = None) -> Quantity:
        """The quantity with this symbol: `find("delta", layer=2)`, `find("dL/dw^b")`.

        Raises
        ------
        KeyError
            With the symbols there are.
        """
        known = [q for step in self.steps for q in step.quantities]
        for quantity in known:
            if quantity.symbol == symbol and layer in (None, quantity.layer):
                return quantity
        raise KeyError(
            f"no {symbol!r}; there are {', '.join(dict.fromkeys(q.symbol for q in known))}"
        )
