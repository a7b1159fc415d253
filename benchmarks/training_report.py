"""The training benchmark as tables and a picture, with the targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COMMAND = "python -m benchmarks.training"
WORKLOADS = ["xor", "moons", "digits", "mnist", "wide"]

# targets: the peer's figure over mlpgrad's, in the order of the workloads
TARGETS = {
    "step": {
        "PyTorch eager": (12, 10, 5, 1.3, 1.5),
        "torch.compile": (11, 12, 7, 1.3, 1.4),
        "scikit-learn": (11, 7, 4.5, 2.2, 1.3),
        "JAX jitted step": (1.8, 3, 2, 1.0, 1.4),
        "JAX scanned epoch": (0.2, 0.4, 0.4, 1.1, 1.4),
    },
    "seconds": {
        "PyTorch eager": (12, 14, 14, 1.3, 1.4),
        "JAX scanned epoch": (7, 7, 7, 1.2, 1.4),
        "scikit-learn": (6, 6, 6, 2.2, 1.3),
    },
    "peak MB": {
        "PyTorch eager": (6, 6, 6),
        "JAX scanned epoch": (5, 5, 5),
        "scikit-learn": (2.5, 2.5, 2.5),
    },
    "ensemble": {"member alone": (15, 3, 2)},
}
COMPILED = "mlpgrad compiled"
# the same for the compiled step
COMPILED_TARGETS = {
    "step": {
        "JAX scanned epoch": (10, 2.7, 2.2, 1.05, 1.0),
        "PyTorch eager": (500,),
    },
    "ensemble": {"JAX vmap + scan": (1.0, 2.5, 2.2)},
}
COLD_COMPILED = ["compiled, cold", "compiled, cached", "extra installed"]
COLD_MEGABYTES = {"compiled, cold": 120, "compiled, cached": 100}  # at most, for digits
FIT_SHARE, FIT_MICROSECONDS = 0.10, 3.0  # `fit` may add the larger of the two to a bare step
PRODUCTS_SHARE = 0.90  # of the time of a step, for `wide`
PREDICT_BASE, PREDICT_LAYER = 15.0, 3.0  # microseconds of `predict` on one sample

SECTIONS = {
    "step": ("time of a step inside `fit`", "us"),
    "seconds": ("process start to a trained model, 20 epochs", "s"),
    "peak MB": ("peak memory of that process", "MB"),
    "ensemble": ("ensemble of 64, time of a step and member", "us"),
}


def figures(results: dict[str, Any], section: str) -> dict[str, Any]:
    """The measured peers of one section, by workload."""
    found = {}
    for workload, parts in results["workloads"].items():
        if section == "step" and "step" in parts:
            found[workload] = parts["step"]["microseconds"]
        elif section == "ensemble" and "ensemble" in parts:
            found[workload] = parts["ensemble"]
        elif section in parts.get("start", {}):
            found[workload] = parts["start"][section]
    return found


def target(section: str, peer: str, workload: str) -> float | None:
    """The target, or None."""
    aims = TARGETS[section].get(peer, ())
    place = WORKLOADS.index(workload)
    return aims[place] if place < len(aims) else None


def verdict(met: bool, goal: str, short: str) -> str:
    """A tick, or the distance from the target."""
    return f"aim {goal} ✓" if met else f"aim {goal}, short by {short}"


def plain(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cell(measured: dict[str, Any], section: str, peer: str, workload: str) -> str:
    """One ratio with its spread and target."""
    if peer not in measured:
        return ""
    if peer == "mlpgrad":
        return f"{plain(measured[peer]['median'])} {SECTIONS[section][1]}"
    r = measured[peer]["ratio"]
    text = f"**{r['median']:.3g}** ({r['min']:.3g} to {r['max']:.3g})"
    aim = target(section, peer, workload)
    if aim is None:
        return text
    short = f"{100 * (1 - r['median'] / aim):.0f} %"
    return f"{text}; {verdict(r['median'] >= aim, f'{aim:g}', short)}"


def table(results: dict[str, Any], section: str) -> list[str]:
    """One section in Markdown: peer over mlpgrad."""
    found = figures(results, section)
    if not found:
        return []
    lines = [f"| {SECTIONS[section][0]} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for peer in dict.fromkeys(p for measured in found.values() for p in measured):
        cells = [cell(measured, section, peer, w) for w, measured in found.items()]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    return [*lines, ""]


def compiled(results: dict[str, Any]) -> list[str]:
    """Each peer over the compiled step: the ratio of the medians, and the target."""
    lines = []
    for section in COMPILED_TARGETS:
        found = {w: m for w, m in figures(results, section).items() if COMPILED in m}
        if not found:
            continue
        head = f"over {COMPILED}: {SECTIONS[section][0]}"
        lines += [f"| {head} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
        for peer in dict.fromkeys(p for m in found.values() for p in m if p != COMPILED):
            cells = [over_compiled(measured, section, peer, w) for w, measured in found.items()]
            lines.append(f"| {peer} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def cold(results: dict[str, Any]) -> list[str]:
    """Runs from process start, compiled and not, in seconds and megabytes."""
    lines = []
    for section in ("seconds", "peak MB"):
        found = {w: m for w, m in figures(results, section).items() if COLD_COMPILED[0] in m}
        if not found:
            continue
        name, unit = SECTIONS[section]
        lines += [f"| {name} | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
        for peer in ("mlpgrad", *COLD_COMPILED):
            cells = [cold_cell(m, section, peer, w) + f" {unit}" for w, m in found.items()]
            lines.append(f"| {peer} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def cold_cell(measured: dict[str, Any], section: str, peer: str, workload: str) -> str:
    """One figure and its target: no slower than without the extra, or little memory."""
    own, plainly = measured[peer]["median"], measured["mlpgrad"]["median"]
    if section == "seconds" and peer == COLD_COMPILED[-1]:
        goal = verdict(own <= plainly, f"at most {plain(plainly)}", plain(own - plainly))
        return f"{plain(own)}; {goal}"
    aim = COLD_MEGABYTES.get(peer)
    if section == "seconds" or workload != "digits" or aim is None:
        return plain(own)
    return f"{plain(own)}; {verdict(own <= aim, f'at most {aim}', plain(own - aim))}"


def over_compiled(measured: dict[str, Any], section: str, peer: str, workload: str) -> str:
    """One ratio and its target."""
    if peer not in measured:
        return ""
    ratio = measured[peer]["median"] / measured[COMPILED]["median"]
    aims, place = COMPILED_TARGETS[section].get(peer, ()), WORKLOADS.index(workload)
    if place >= len(aims):
        return f"**{ratio:.3g}**"
    short = f"{100 * (1 - ratio / aims[place]):.0f} %"
    return f"**{ratio:.3g}**; {verdict(ratio >= aims[place], f'{aims[place]:g}', short)}"


def glance(results: dict[str, Any]) -> list[str]:
    """The medians of all sections in one table: peer over mlpgrad."""
    present = [w for w in WORKLOADS if w in results["workloads"]]
    lines = []
    for section, (name, _) in SECTIONS.items():
        found = figures(results, section)
        for peer in peers(results, section):
            measured = [found.get(w, {}).get(peer) for w in present]
            cells = [f"{m['ratio']['median']:.2g}" if m else "" for m in measured]
            lines.append(f"| {name.replace('`', '')}: {peer} | {' | '.join(cells)} |")
    return [f"| at a glance | {' | '.join(present)} |", "|---|" + "---|" * len(present), *lines, ""]


def overheads(results: dict[str, Any]) -> list[str]:
    """The time that `fit` adds to a bare step, and the share of matrix products in a step."""
    found = figures(results, "step")
    found = {w: m for w, m in found.items() if {"bare step", "matrix products"} <= m.keys()}
    if not found:
        return []
    added, shares = [], []
    for workload, measured in found.items():
        bare, ours = measured["bare step"]["median"], measured["mlpgrad"]["median"]
        more, allowed = ours - bare, max(FIT_SHARE * bare, FIT_MICROSECONDS)
        goal = verdict(more <= allowed, f"at most {plain(allowed)}", f"{plain(more - allowed)} us")
        added.append(f"{plain(more)} us, {100 * more / bare:.0f} %; {goal}")
        share = measured["matrix products"]["median"] / ours
        short = f"{100 * (PRODUCTS_SHARE - share):.0f} %"
        aim = f"; {verdict(share >= PRODUCTS_SHARE, f'{100 * PRODUCTS_SHARE:.0f} %', short)}"
        shares.append(f"{100 * share:.0f} %{aim if workload == 'wide' else ''}")
    return [
        f"| inside a step | {' | '.join(found)} |",
        "|---|" + "---|" * len(found),
        f"| `fit` adds to the bare step | {' | '.join(added)} |",
        f"| share of matrix products | {' | '.join(shares)} |",
        "",
    ]


def predictions(results: dict[str, Any]) -> list[str]:
    """The time of `predict` on one sample."""
    found = results.get("predict", {})
    if not found:
        return []
    cells = []
    for layers, times in found.items():
        aim = PREDICT_BASE + PREDICT_LAYER * int(layers)
        short = f"{times['min'] - aim:.3g} us"
        goal = verdict(times["min"] <= aim, f"at most {aim:g}", short)
        cells.append(f"{times['min']:.3g} us; {goal}")
    return [
        f"| layers | {' | '.join(found)} |",
        "|---|" + "---|" * len(found),
        f"| `predict` on one sample, fastest of the repeats | {' | '.join(cells)} |",
        "",
    ]


def conditions(results: dict[str, Any]) -> list[str]:
    """The versions, kernels and machine."""
    facts = results["environment"]
    kernels = {
        f"{pool.get('internal_api')} {pool.get('version') or ''} "
        f"{pool.get('architecture') or ''} ({pool.get('num_threads')} threads)"
        for pools in facts["thread pools"].values()
        for pool in pools
        if "internal_api" in pool
    }
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return [
        f"{facts['cpu']}, {facts['threads']} threads, Python {facts['python']}; {versions}.",
        f"Libraries that ran: {'; '.join(sorted(kernels)) or 'unknown'}. mnist: {facts['mnist']}.",
        "",
    ]


def text(results: dict[str, Any]) -> str:
    """Everything in Markdown."""
    lines = [
        "# Training, beside other libraries",
        "",
        f"`{COMMAND}` makes this page. Ratios are the other library's figure over mlpgrad's: above",
        "1, mlpgrad is faster or smaller. Cells have the **ratio of medians** (smallest to largest",
        "ratio of a turn) and the target. All train in float32, on the same data, initial weights",
        "and batch order.",
        "",
        *conditions(results),
        *glance(results),
    ]
    for section in SECTIONS:
        lines += table(results, section)
    return "\n".join(
        [*lines, *compiled(results), *cold(results), *overheads(results), *predictions(results)]
    )


COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#000000"]  # colour-blind safe
MARKERS = ["o", "s", "^", "D", "v"]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the ratios on a logarithmic scale, with their spread and target, as a PNG."""
    from matplotlib.figure import Figure

    sections = [s for s in ("step", "seconds", "peak MB") if len(peers(results, s))]
    if not sections:
        return
    rows = [len(peers(results, s)) for s in sections]
    figure = Figure(figsize=(8, 1.6 + 0.62 * sum(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    for ax, section in zip(axes, sections, strict=True):
        panel(ax, results, section)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    axes[-1].set_xlabel(
        "the other library's figure divided by mlpgrad's (logarithmic)\n"
        "left of 1 the other is better; right of 1 mlpgrad is"
    )
    figure.savefig(path, dpi=200, metadata={"Software": None})


def peers(results: dict[str, Any], section: str) -> list[str]:
    """The other libraries measured in a section, in order."""
    ours = {"mlpgrad", "bare step", "matrix products", "member alone", *COLD_COMPILED}
    found = dict.fromkeys(p for m in figures(results, section).values() for p in m)
    return [peer for peer in found if peer not in ours]


def panel(ax: Any, results: dict[str, Any], section: str) -> None:
    """Draw one section: a row for each peer, with a mark for each workload."""
    names, found = peers(results, section), figures(results, section)
    offsets = np.linspace(-0.32, 0.32, len(WORKLOADS))
    for workload, offset, colour, marker in zip(WORKLOADS, offsets, COLOURS, MARKERS, strict=True):
        measured = found.get(workload, {})
        rows = [i for i, peer in enumerate(names) if peer in measured]
        ratios = [measured[names[i]]["ratio"] for i in rows]
        places = [i + offset for i in rows]
        lows, highs = [r["min"] for r in ratios], [r["max"] for r in ratios]
        ax.hlines(places, lows, highs, colors=colour, linewidth=1.5)
        medians = [r["median"] for r in ratios]
        ax.plot(medians, places, marker, color=colour, markersize=5, label=workload)
        aims = [(target(section, names[i], workload), y) for i, y in zip(rows, places, strict=True)]
        aims = [(aim, y) for aim, y in aims if aim is not None]
        label = "aimed at" if workload == WORKLOADS[-1] else None
        ax.plot(
            *zip(*aims, strict=True) if aims else ((), ()),
            "|",
            color="0.45",
            markersize=9,
            markeredgewidth=2,
            label=label,
            zorder=1,
        )
    ax.axvline(1, color="0.3", linewidth=1)
    ax.set_xscale("log")
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), names)
    ax.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    ax.tick_params(axis="y", length=0, which="both")
    ax.grid(axis="y", which="minor", color="0.85")
    ax.grid(axis="x", which="major", color="0.9")
    ticks = [
        tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if tick >= ax.get_xlim()[0]
    ]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_title(SECTIONS[section][0].replace("`", ""), loc="left", fontsize=10)
