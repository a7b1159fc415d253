"""A network: layers in a row, their parameters in one flat array, and a loss on top."""
