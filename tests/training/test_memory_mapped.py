"""`fit` from memory-mapped files allocates memory that does not grow with the data.

`python -m benchmarks.memory` measures the memory of a process with ten million rows.
"""

import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg

pytestmark = pytest.mark.slow

MAPPED = 3_000_000  # rows of 32 bytes: 96 MB


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """Inputs and all kinds of targets in memory-mapped files."""
    folder = tmp_path_factory.mktemp("mapped")

    def made(name, dtype, values, width):
        array = np.memmap(folder / name, dtype, "w+", shape=(MAPPED, width))
        array.reshape(-1, *values.shape)[...] = values
        return array

    values = np.random.default_rng(0).normal(size=(1000, 8))
    classes = np.arange(1000)[:, None] % 4
    yield {
        "x": made("x", np.float32, values, 8),
        "numbers": made("numbers", np.float32, values[:, :1], 1),
        "yes or no": made("yes or no", np.float32, classes % 2, 1),
        "counts": made("counts", np.int64, classes, 1),
        "probabilities": made("probabilities", np.float32, np.eye(4)[classes[:, 0]], 4),
        "classes": made("classes", np.int32, classes, 1)[:, 0],
    }
    for file in folder.iterdir():
        file.unlink()


def mapped_fit_peak(x, y, loss, outputs, weights=None):
    """The peak of allocated bytes in `fit`, including the checks of the data."""
    model = mg.Sequential([mg.Dense(8, 8), mg.ReLU(), mg.Dense(8, outputs)], loss=loss)
    tracemalloc.start()
    try:
        model.fit(
            x, y, sample_weight=weights, optimizer=mg.Adam(), epochs=1, batch_size=2000, verbose=0
        )
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("targets", "loss", "outputs"),
    [
        ("numbers", mg.MeanSquaredError(), 1),
        ("counts", mg.Poisson(), 1),
        ("yes or no", mg.SigmoidCrossEntropy(), 1),
        ("yes or no", mg.Hinge(), 1),
        ("classes", mg.SoftmaxCrossEntropy(), 4),
        ("probabilities", mg.SoftmaxCrossEntropy(), 4),
    ],
)
def test_fit_from_a_mapped_file_keeps_a_few_batches(mapped, targets, loss, outputs):
    x, y = mapped["x"], mapped[targets]
    half = mapped_fit_peak(x[: MAPPED // 2], y[: MAPPED // 2], loss, outputs)
    whole = mapped_fit_peak(x, y, loss, outputs)
    assert whole < 8e6  # of 96 MB of inputs
    assert whole - half < MAPPED // 10  # less than a tenth of a byte per row


def test_weights_from_a_mapped_file_are_read_in_blocks_too(mapped):
    x, y, weights = mapped["x"], mapped["numbers"], mapped["yes or no"][:, 0]
    assert mapped_fit_peak(x, y, mg.MeanSquaredError(), 1, weights) < 8e6
