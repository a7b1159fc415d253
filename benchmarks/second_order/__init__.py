"""What second derivatives cost and give: `python -m benchmarks.second_order [SECTION ...]`."""
