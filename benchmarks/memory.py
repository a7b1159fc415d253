"""Memory and time of `fit` on ten million memory-mapped rows: `python -m benchmarks.memory`.

Inputs (16 numbers a row, float32) and classes are in files, and a process trains on them for one
epoch. The table has its time and its peak memory, without and with the pages of the files, which
the system caches as long as memory is free. The benchmark takes about ten seconds, and 700 MB of
disk space.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import mlpgrad as mg

FEATURES, CLASSES, BATCH = 16, 4, 1024
RESULTS = Path(__file__).parent / "results" / "memory.json"


def write(folder: Path, rows: int) -> None:
    """Write classes that can be learnt, one block at a time."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, FEATURES))
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (rows, FEATURES))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.int32, (rows,))
    for start in range(0, rows, 1 << 18):
        part = slice(start, start + (1 << 18))
        y[part] = rng.integers(CLASSES, size=len(y[part]))
        x[part] = centres[y[part]] + rng.normal(size=x[part].shape)
    x.flush()
    y.flush()


def own_megabytes(name: str) -> float:
    """The value of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def train(folder: Path) -> dict[str, float]:
    """Train for one epoch in this process, and read its memory every hundredth of a second."""
    x, y = (np.load(folder / name, mmap_mode="r") for name in ("x.npy", "y.npy"))
    layers = [mg.Dense(FEATURES, 64), mg.ReLU(), mg.Dense(64, CLASSES)]
    model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), random_state=0)
    own, ended = [own_megabytes("RssAnon")], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            own.append(own_megabytes("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    history = model.fit(x, y, optimizer=mg.Adam(), epochs=1, batch_size=BATCH, verbose=0)
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    return {
        "rows": len(x),
        "data MB": (x.nbytes + y.nbytes) / 2**20,
        "model MB": model.params.nbytes / 2**20,
        "batch MB": BATCH * FEATURES * 4 / 2**20,
        "own before MB": own[0],
        "own at most MB": max(own),
        "with file pages at most MB": own_megabytes("VmHWM"),
        "seconds": seconds,
        "loss": history["loss"][-1],
    }


def shown(value: float) -> str:
    """Integers in full, other numbers to three digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def main() -> None:
    """Measure ten thousand, a million and ten million rows, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, help="train here, on the files in a folder")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if options.train:
        print(json.dumps(train(options.train)))
        return
    found = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), rows)
            command = [sys.executable, "-m", "benchmarks.memory", "--train", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout))
    options.output.write_text(json.dumps(found, indent=1) + "\n")
    lines = ["`python -m benchmarks.memory`: one epoch from memory-mapped files.", ""]
    lines += [f"| {' | '.join(found[0])} |", "|" + "---|" * len(found[0])]
    lines += [f"| {' | '.join(f'{shown(value)}' for value in each.values())} |" for each in found]
    text = "\n".join(lines) + "\n"
    options.output.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
