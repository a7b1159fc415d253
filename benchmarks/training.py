"""How long training takes, beside other libraries: `python -m benchmarks.training`.

For each workload, every peer runs in a process of its own; the processes take turns, after a
warm-up, on the same data, initial weights, batch order and number of threads. Reported are the
time of a step inside `fit`, the time from process start to a trained model (20 epochs), and the
peak memory of that process, as ratios to mlpgrad run by run, with their spread. Peers that are not
installed are left out. Run it with OPENBLAS_CORETYPE unset: the result says which kernel ran.
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

from benchmarks.workloads import WORKLOADS, write

PACKAGES = ["mlpgrad", "numpy", "scipy", "torch", "jax", "scikit-learn", "keras"]
NEEDS = {
    "PyTorch": "torch",
    "torch": "torch",
    "JAX": "jax",
    "scikit": "scikit-learn",
    "Keras": "keras",
}
STEP_PEERS = [
    "mlpgrad",
    "PyTorch eager",
    "torch.compile",
    "scikit-learn",
    "JAX jitted step",
    "JAX scanned epoch",
    "Keras (JAX)",
    "bare step",
    "matrix products",
]
COLD_PEERS = ["mlpgrad", "PyTorch eager", "JAX scanned epoch", "scikit-learn"]
THREADS = 2


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """What the figures depend on."""
    try:
        from threadpoolctl import threadpool_info

        np.ones((2, 2)) @ np.ones((2, 2))
        keys = ("internal_api", "version", "architecture", "num_threads")
        blas = [{k: info.get(k) for k in keys} for info in threadpool_info()]
    except ImportError:
        blas = [{"unknown": "threadpoolctl is not installed"}]
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((s.split(": ")[1] for s in lines if s.startswith("model name")), cpu)
    return {
        "python": platform.python_version(),
        "cpu": cpu,
        "threads": THREADS,
        "blas": blas,
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", "unset"),
        "versions": versions(),
    }


def installed(peer: str) -> bool:
    package = next((p for prefix, p in NEEDS.items() if peer.startswith(prefix)), "numpy")
    return package in versions()


def command(peer: str, workload: str, path: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peers", peer, workload, str(path), *more]


def child_environment() -> dict[str, str]:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    return dict(os.environ) | dict.fromkeys(names, str(THREADS)) | quiet


class Worker:
    """A peer in its process, run on request."""

    def __init__(self, peer: str, workload: str, path: Path, members: int = 1) -> None:
        self.process = subprocess.Popen(
            command(peer, workload, path, str(members)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(),
        )
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)  # type: ignore[no-any-return]
        raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")

    def run(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.communicate()


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    """Each peer's times, and the ratios to mlpgrad turn by turn."""
    ours = np.array(times["mlpgrad"])
    return {
        peer: {**spread(t), "ratio": spread((np.array(t) / ours).tolist())}
        for peer, t in times.items()
    }


def per_step(workload: str, path: Path, peers: list[str], repeats: int) -> dict[str, Any]:
    """Microseconds a step inside training, the peers taking turns."""
    workers = {peer: Worker(peer, workload, path) for peer in peers if installed(peer)}
    for worker in workers.values():
        worker.run()  # warm-up: compilation, caches
    times: dict[str, list[float]] = {peer: [] for peer in workers}
    losses: dict[str, float] = {}
    for _ in range(repeats):
        for peer, worker in workers.items():
            answer = worker.run()
            times[peer].append(answer["seconds"] / WORKLOADS[workload].steps * 1e6)
            losses[peer] = answer["loss"]
    for worker in workers.values():
        worker.close()
    same_work(losses)
    return {"microseconds": compared(times), "losses": losses}


def same_work(losses: dict[str, float]) -> None:
    """Nobody wins by doing less: everyone ends at the same loss.

    scikit-learn draws its own order (and has another loss in xor), so its loss is only reported.
    """
    ours = losses["mlpgrad"]
    for peer, loss in losses.items():
        if peer != "scikit-learn" and np.isfinite(loss) and abs(loss - ours) > 0.02 * abs(ours):
            raise RuntimeError(f"{peer} ends at the loss {loss}, mlpgrad at {ours}: other work")


def from_start(workload: str, path: Path, repeats: int) -> dict[str, Any]:
    """Seconds from process start to a trained model, and the process's peak memory."""
    peers = [peer for peer in COLD_PEERS if installed(peer)]
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    peaks: dict[str, list[float]] = {peer: [] for peer in peers}
    for turn in range(repeats + 1):  # the first fills the file caches
        for peer in peers:
            started = time.perf_counter()
            process = subprocess.Popen(
                command(peer, workload, path, "--cold"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
            )
            _, status, usage = os.wait4(process.pid, 0)
            elapsed = time.perf_counter() - started
            if status:
                raise RuntimeError(f"{peer} failed on {workload}")
            if turn:
                seconds[peer].append(elapsed)
                peaks[peer].append(usage.ru_maxrss / 1024)
    return {"seconds": compared(seconds), "peak MB": compared(peaks)}


def ensembles(workload: str, path: Path, repeats: int, members: int = 64) -> dict[str, Any]:
    """Microseconds a step and member: an ensemble, a member alone, and JAX's vmap in a scan."""
    workers = {
        "mlpgrad": Worker("mlpgrad", workload, path, members),
        "member alone": Worker("mlpgrad", workload, path),
    }
    if installed("JAX"):
        workers["JAX vmap + scan"] = Worker("JAX scanned epoch", workload, path, members)
    times: dict[str, list[float]] = {name: [] for name in workers}
    for worker in workers.values():
        worker.run()
    for _ in range(repeats):
        for name, worker in workers.items():
            share = 1 if name == "member alone" else members
            seconds = worker.run()["seconds"]
            times[name].append(seconds / share / WORKLOADS[workload].steps * 1e6)
    for worker in workers.values():
        worker.close()
    return compared(times)


def table(results: dict[str, Any]) -> str:
    """The ratios as Markdown: peer over mlpgrad, median (smallest to largest)."""
    sections = [
        ("time of a step: peer / mlpgrad", "step", "microseconds"),
        ("process start to trained model: peer / mlpgrad", "start", "seconds"),
        ("peak memory: peer / mlpgrad", "start", "peak MB"),
        ("ensemble of 64, time of a step and member: other / mlpgrad", "ensemble", None),
    ]
    lines = []
    for title, part, unit in sections:
        found = {
            w: r[part] if unit is None else r[part][unit]
            for w, r in results["workloads"].items()
            if part in r
        }
        if not found:
            continue
        lines += [f"| {title} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
        for peer in dict.fromkeys(p for r in found.values() for p in r):
            cells = []
            for measured in found.values():
                if peer not in measured:
                    cells.append("")
                elif peer == "mlpgrad":
                    cells.append(f"{measured[peer]['median']:.4g} {unit or 'us'}")
                else:
                    r = measured[peer]["ratio"]
                    cells.append(f"{r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})")
            lines.append(f"| {peer} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark, print the tables, save the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS)
    parser.add_argument("--peers", nargs="+", default=STEP_PEERS, choices=STEP_PEERS)
    parser.add_argument("--parts", nargs="+", default=["step", "start", "ensemble"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--mnist", type=Path, help="folder with MNIST's t10k files")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training.json"))
    options = parser.parse_args()
    results: dict[str, Any] = {"environment": environment(), "workloads": {}}
    print(json.dumps(results["environment"], indent=1))
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workloads:
            path = Path(folder) / f"{name}.npz"
            write(WORKLOADS[name], path, options.mnist)
            measured = results["workloads"][name] = {}
            if "step" in options.parts:
                measured["step"] = per_step(name, path, options.peers, options.repeats)
            if "start" in options.parts:
                measured["start"] = from_start(name, path, options.repeats)
            if "ensemble" in options.parts and name in ("xor", "moons", "digits"):
                measured["ensemble"] = ensembles(name, path, options.repeats)
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{name} done", flush=True)
    print(table(results))
    options.output.with_suffix(".md").write_text(table(results))


if __name__ == "__main__":
    main()
