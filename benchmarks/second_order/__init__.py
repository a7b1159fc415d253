"""Results of second-order methods: `python -m benchmarks.second_order [SECTION ...]`."""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before NumPy is imported
