"""Checks of this library's models, layers and losses."""

from mlpgrad.gradcheck.models.checks import check_gradients, check_layer, check_loss

__all__ = ["check_gradients", "check_layer", "check_loss"]
