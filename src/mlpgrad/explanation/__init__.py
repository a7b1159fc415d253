"""Back-propagation made visible: each step as the lecture's formula with a network's numbers."""

from mlpgrad.explanation.explanation import Explanation, explain
from mlpgrad.explanation.quantities import Quantity, Step

__all__ = ["Explanation", "Quantity", "Step", "explain"]
