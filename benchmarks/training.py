"""Compare training times with other libraries: `python -m benchmarks.training`.

For each workload, every peer runs in a process of its own; the processes take turns, after a
warm-up, on the same data, initial weights, batch order and number of threads. The tables show the
time of a step inside `fit`, the time from process start to a trained model (20 epochs), and the
peak memory of that process, as ratios to mlpgrad with their spread. Peers that are not installed
are left out; FANN needs Debian's `libfann2`. `--draw` makes the table and the picture from the
JSON file; `--smoke` runs everything once, briefly, to test it. A full run takes 40 minutes on two
cores.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import mlpgrad
from benchmarks import fann, training_report
from benchmarks.training_report import COLD_COMPILED, COMPILED
from benchmarks.workloads import COLD_EPOCHS, WORKLOADS, write

NEEDS = {
    "mlpgrad compiled": "llvmlite",
    "PyTorch eager": "torch",
    "torch.compile": "torch",
    "JAX jitted step": "jax",
    "JAX scanned epoch": "jax",
    "scikit-learn": "scikit-learn",
    "Keras (JAX)": "keras",
}
TOO_SLOW = {"wide": ["FANN"]}  # row by row, a step takes ten seconds
STEP_PEERS = ["mlpgrad", *NEEDS, "FANN", "bare step", "matrix products"]
COLD_PEERS = ["mlpgrad", *COLD_COMPILED, "PyTorch eager", "JAX scanned epoch", "scikit-learn"]
PARTS = ["step", "start", "ensemble", "predict"]
THREADS = 2
MEMBERS = 64
EARLY, LATE = 0.005, 0.1  # largest relative difference of losses after one epoch, and at the end
PAUSE = 0.05  # seconds between turns, in which the threads of the last peer stop spinning
RESULTS = Path(__file__).parent / "results" / "training.json"


def versions() -> dict[str, str]:
    """The versions of the installed packages."""
    found = {"mlpgrad": mlpgrad.__version__}  # an editable installation's metadata may be older
    for package in dict.fromkeys(["numpy", "scipy", "jaxlib", *NEEDS.values()]):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The name of the processor, with family and model, since generations share names."""
    if not Path("/proc/cpuinfo").exists():
        return platform.processor() or platform.machine()
    lines = [line.split(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    known = {pair[0].strip(): pair[1].strip() for pair in lines if len(pair) == 2}
    name = known.get("model name", platform.machine())
    if "cpu family" not in known:
        return name
    return f"{name} (family {known['cpu family']}, model {known['model']})"


def environment() -> dict[str, Any]:
    """The environment of the figures; each peer adds its thread pools when it starts."""
    return {
        "python": platform.python_version(),
        "cpu": processor(),
        "threads": THREADS,
        "versions": versions(),
        "thread pools": {},
    }


def installed(peers: list[str]) -> list[str]:
    """The peers that can run here."""
    there = versions()
    peers = [peer for peer in peers if peer != "FANN" or fann.library()]
    return [peer for peer in peers if peer not in NEEDS or NEEDS[peer] in there]


def child_environment() -> dict[str, str]:
    """Variables that give all peers the same number of threads; OpenBLAS chooses its kernel."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    own = dict(os.environ)
    own.pop("OPENBLAS_CORETYPE", None)
    own.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have bytecode
    return own | dict.fromkeys(names, str(THREADS)) | quiet


def share_cores() -> None:
    """Use only as many cores as threads: JAX starts a thread for each core that it sees."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:THREADS]))


class Process:
    """A Python process that answers in lines of JSON."""

    def __init__(self, module: str, *arguments: object) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  a pipe could fill
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=child_environment(),
        )

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)  # type: ignore[no-any-return]
        self.errors.seek(0)
        raise RuntimeError(f"{self.process.args} ended:\n{self.errors.read()[-2000:]}")

    def run(self, epochs: int) -> dict[str, Any]:
        """Ask a peer for one timed run."""
        time.sleep(PAUSE)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{epochs}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.communicate()
        self.errors.close()


def spread(values: Any) -> dict[str, float]:
    """The median, the smallest and the largest value."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    """Each peer's figures, the ratio of its median to mlpgrad's, and the ratios turn by turn."""
    ours = np.array(times["mlpgrad"])
    found = {}
    for peer, own in times.items():
        turns = spread(np.array(own) / ours)
        found[peer] = spread(own) | {
            "ratio": turns | {"median": float(np.median(own) / np.median(ours))}
        }
    return found


def turns(workers: dict[str, Process], epochs: int, repeats: int) -> tuple[Any, Any]:
    """Run the workers in turns after a warm-up; return all seconds, and the last losses."""
    same_work({name: worker.run(1)["loss"] for name, worker in workers.items()}, EARLY)
    for worker in workers.values():
        worker.run(epochs)  # compiles, and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    losses = {}
    for _ in range(repeats):
        for name, worker in workers.items():
            answer = worker.run(epochs)
            seconds[name].append(answer["seconds"])
            losses[name] = answer["loss"]
    for worker in workers.values():
        worker.close()
    same_work(losses, LATE)
    return seconds, losses


def same_work(losses: dict[str, float | None], apart: float) -> None:
    """Check that all peers do the same work: they reach the same loss.

    After one epoch the losses agree closely. Later the rounding errors of float32, which differ
    between libraries, grow with each step, and Keras adds Adam's epsilon in another place.
    scikit-learn draws its own order (and has another loss in xor), so its loss is only reported.
    """
    ours = losses["mlpgrad"]
    assert ours is not None
    for peer, loss in losses.items():
        compares = peer != "scikit-learn" and loss is not None
        if compares and not abs(loss - ours) <= apart * abs(ours):  # type: ignore[operator]
            raise RuntimeError(f"the work differs: {peer} reaches the loss {loss}, mlpgrad {ours}")


def per_step(workload: str, path: Path, options: Any, pools: dict[str, Any]) -> dict[str, Any]:
    """Microseconds per step of training."""
    w = WORKLOADS[workload]
    epochs = 1 if options.smoke else w.epochs
    peers = [p for p in installed(options.peers) if p not in TOO_SLOW.get(workload, ())]
    workers = {p: Process("peers", p, workload, path, 1) for p in peers}
    for peer, worker in workers.items():
        pools[peer] = worker.answer()["threadpools"]
    seconds, losses = turns(workers, epochs, options.repeats)
    steps = epochs * w.batches
    times = {peer: [t / steps * 1e6 for t in own] for peer, own in seconds.items()}
    return {"microseconds": compared(times), "losses": losses}


def from_start(workload: str, path: Path, options: Any) -> dict[str, Any]:
    """Seconds from process start to a trained model, and the peak memory of the process."""
    wanted = [*options.peers, *(COLD_COMPILED if COMPILED in installed(options.peers) else [])]
    peers = installed([peer for peer in COLD_PEERS if peer in wanted])
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    peaks: dict[str, list[float]] = {peer: [] for peer in peers}
    losses = {}
    for turn in range(options.repeats + 1):  # the first fills the file caches
        for peer in peers:
            time.sleep(PAUSE)
            started = time.perf_counter()
            epochs = 1 if options.smoke else COLD_EPOCHS
            process = Process("peers", peer, workload, path, 1, "--cold", epochs)
            process.answer()
            elapsed = time.perf_counter() - started
            ended = process.answer()
            process.close()
            losses[peer] = ended["loss"]
            if turn:
                seconds[peer].append(elapsed)
                peaks[peer].append(ended["peak"])
    same_work(losses, LATE)
    return {"seconds": compared(seconds), "peak MB": compared(peaks), "losses": losses}


def ensembles(workload: str, path: Path, options: Any) -> dict[str, Any]:
    """Microseconds per step and member: an ensemble, one member, and JAX's vmap in a scan."""
    w = WORKLOADS[workload]
    epochs = 1 if options.smoke else w.ensemble_epochs
    workers = {
        "mlpgrad": Process("peers", "mlpgrad", workload, path, MEMBERS),
        "member alone": Process("peers", "mlpgrad", workload, path, 1),
    }
    if "JAX scanned epoch" in installed(options.peers):
        workers["JAX vmap + scan"] = Process("peers", "JAX scanned epoch", workload, path, MEMBERS)
    if "mlpgrad compiled" in installed(options.peers):
        workers["mlpgrad compiled"] = Process("peers", "mlpgrad compiled", workload, path, MEMBERS)
    for worker in workers.values():
        worker.answer()
    seconds, _ = turns(workers, epochs, options.repeats)
    runs = dict.fromkeys(workers, epochs * w.batches * MEMBERS)
    runs["member alone"] = epochs * w.batches
    return compared({n: [t / runs[n] * 1e6 for t in own] for n, own in seconds.items()})


def measure(options: Any) -> dict[str, Any]:
    """Measure all parts of all workloads, and save after each workload."""
    mnist = "10,000 test images" if options.mnist else "generated, of the same size"
    results: dict[str, Any] = {"environment": environment() | {"mnist": mnist}, "workloads": {}}
    pools = results["environment"]["thread pools"]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workloads:
            path = Path(folder) / f"{name}.npz"
            write(WORKLOADS[name], path, options.mnist)
            measured = results["workloads"][name] = {}
            if "step" in options.parts:
                measured["step"] = per_step(name, path, options, pools)
            if "start" in options.parts:
                measured["start"] = from_start(name, path, options)
            if "ensemble" in options.parts and WORKLOADS[name].ensemble_epochs:
                measured["ensemble"] = ensembles(name, path, options)
            print(f"{name} done after {time.perf_counter() - started:.0f} s", flush=True)
            options.output.write_text(json.dumps(results, indent=1) + "\n")
    if "predict" in options.parts:
        child = Process("predict")
        results["predict"] = {n: spread(times) for n, times in child.answer().items()}
        child.close()
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main() -> None:
    """Run the benchmark, print the tables, save the JSON, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS)
    parser.add_argument("--peers", nargs="+", default=STEP_PEERS, choices=STEP_PEERS)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's t10k files")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--smoke", action="store_true", help="one short run of everything")
    parser.add_argument("--draw", action="store_true", help="only draw, from the JSON file")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if options.smoke:
        options.repeats = 1
    if options.draw:
        results = json.loads(options.output.read_text())
    else:
        share_cores()
        results = measure(options)
    text = training_report.text(results)
    print(text)
    options.output.with_suffix(".md").write_text(text)
    training_report.draw(results, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
