"""A network: a stack of layers with a loss, and all parameters in one flat array."""
