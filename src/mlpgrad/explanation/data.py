"""The data of an explanation, independent of how they are rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.explanation.quantities import Quantity, Step
from mlpgrad.explanation.trace import Trace

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


@dataclass(repr=False)
class ExplanationData:
    """One update by back-propagation as steps to read, and the arrays that they are taken from."""

    model: Network
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
    given: tuple[Any, ...]
    """The arguments of `explain`, from which a pickle makes it again."""

    def find(self, symbol: str, layer: int | None = None) -> Quantity:
        """Return the first quantity with a symbol: `find("delta", layer=2)`, `find("dL/dw^b")`.

        Parameters
        ----------
        symbol : str
            The symbol without indices, as in `Quantity.symbol`; the layer's letter may be left out.
        layer : int, optional
            The position of the layer that the quantity belongs to; by default any layer.

        Returns
        -------
        Quantity

        Raises
        ------
        KeyError
            If the quantity does not exist; the message lists the symbols that exist.
        """
        symbol = arguments.text(symbol, "symbol", "delta")
        if layer is not None:
            layer = arguments.count(layer, "layer", 0)
        known = [q for step in self.steps for q in step.quantities]
        for quantity in known:
            names = (quantity.symbol, quantity.symbol.partition("^")[0])
            if symbol in names and layer in (None, quantity.layer):
                return quantity
        where = "" if layer is None else f" of layer {layer}"
        symbols = ", ".join(dict.fromkeys(q.symbol for q in known))
        raise KeyError(f"there is no quantity {symbol!r}{where}; there are {symbols}")
