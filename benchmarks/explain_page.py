"""A picture of the explain page for the README: `python -m benchmarks.explain_page`.

Needs the extra `test` (Playwright) and the system's Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import mlpgrad as mg

OUTPUT = Path(__file__).parent / "results" / "explain-page.png"
STEP = "Backward: hidden layer"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def explanation() -> mg.Explanation:
    """The lecture's network with three hidden neurons, on one row of xor."""
    layers = [mg.Dense(2, 3), mg.Sigmoid(), mg.Dense(3, 1), mg.Sigmoid()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=1)
    return mg.explain(model, [0, 1], 1)


def picture(page: Path, output: Path) -> None:
    """The page at the step that computes the deltas of hidden neurons, with one neuron selected."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1200, "height": 808})
        tab.goto(page.as_uri())
        while not tab.inner_text("#title").startswith(STEP):
            tab.keyboard.press("ArrowRight")
        tab.focus("#n1\\.1")
        tab.screenshot(path=output)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        picture(explanation().to_html(Path(folder) / "step.html"), output)
    print(f"wrote {output}, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
