"""The page of an explanation, in a real browser."""

import os
import shutil

import numpy as np
import pytest

import mlpgrad as mg

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 3_600_000  # milliseconds: a busy machine may be slow
SCREENS = [({"width": 1280, "height": 800}, "light"), ({"width": 360, "height": 740}, "dark")]


def missing(reason):
    """Skip the tests; fail if MLPGRAD_BROWSER=required says that the browser must be there."""
    (pytest.fail if os.environ.get("MLPGRAD_BROWSER") == "required" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("no chromium on this machine: install the system's package")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("Playwright is missing: pip install 'mlpgrad[test]'")
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE)
        yield opened
        opened.close()


@pytest.fixture(params=SCREENS, ids=["wide-light", "narrow-dark"])
def tab(request, browser):
    size, scheme = request.param
    opened = browser.new_page(viewport=size, color_scheme=scheme)
    opened.set_default_timeout(PATIENCE)
    opened.problems = []
    opened.on("console", lambda message: opened.problems.append(message.text))
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    opened.on("requestfailed", lambda sent: opened.problems.append(f"failed: {sent.url}"))
    opened.requests = []
    opened.on("request", lambda sent: opened.requests.append(sent.url))
    yield opened
    assert opened.problems == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)
    opened.close()


def small():
    layers = [mg.Dense(2, 3), mg.Sigmoid(), mg.Dense(3, 1), mg.Sigmoid()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    return mg.explain(model, [1, 0], [1], learning_rate=2.0)


def crowded():
    """Both layers have three by three weights."""
    layers = [mg.Dense(3, 3), mg.Tanh(), mg.Dense(3, 3)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), dtype="float64", random_state=1)
    return mg.explain(model, [1, -2, 0.5], [0, 1, 2])


def wide():
    layers = [
        mg.Dense(12, 20), mg.BatchNorm(20), mg.ReLU(), mg.Dropout(0.5),
        mg.Dense(20, 5), mg.Tanh(), mg.Dense(5, 3),
    ]  # fmt: skip
    model = mg.Sequential(
        layers, loss=mg.SoftmaxCrossEntropy(), penalties=[mg.L2(0.01)], random_state=0
    )
    return mg.explain(model, np.random.default_rng(0).normal(size=(3, 12)), [0, 2, 1])


def opened(tab, e, path):
    tab.goto(e.to_html(path / "step.html").as_uri())
    return [step.title for step in e.steps]


def values_shown(tab):
    """The exact numbers of the displayed step."""
    return tab.eval_on_selector_all(
        "#quantities li", "all => all.map(i => Number(i.dataset.value))"
    )


def values_of(step, limit, sample=0):
    return [float(q.value[at]) for q in step.quantities for at in q.indices(sample, limit)]


@pytest.mark.parametrize("make", [small, wide])
def test_every_step_by_keyboard_with_the_librarys_numbers(tab, tmp_path, make):
    e = make()
    titles = opened(tab, e, tmp_path)
    seen = []
    for step in e.steps:
        seen.append(tab.inner_text("#title"))
        assert values_shown(tab) == values_of(step, e.limit)
        tab.keyboard.press("ArrowRight")
    assert seen == titles
    assert tab.inner_text("#title") == titles[-1]  # the last step stays
    assert tab.get_attribute("#next", "aria-disabled") == "true"
    for title in reversed(titles[:-1]):
        tab.keyboard.press("ArrowLeft")
        assert tab.inner_text("#title") == title
    tab.keyboard.press("End")
    assert (
        float(tab.get_attribute("#quantities li:last-child >> nth=-1", "data-value")) == e.new_loss
    )


def test_buttons_and_slider(tab, tmp_path):
    titles = opened(tab, small(), tmp_path)
    for title in titles[1:]:
        tab.click("#next")
        assert tab.inner_text("#title") == title
    tab.click("#back")
    assert tab.inner_text("#title") == titles[-2]
    tab.fill("#slider", "3")
    assert tab.inner_text("#title") == titles[3]
    assert tab.inner_text("#count") == f"Step 4 of {len(titles)}"
    assert tab.get_attribute("#slider", "aria-valuetext").endswith(titles[3])
    assert titles[3] in tab.inner_text("#live")


def test_every_neuron_and_weight_by_keyboard(tab, tmp_path):
    e = small()
    opened(tab, e, tmp_path)
    tab.keyboard.press("End")
    tab.focus("svg [tabindex='0']")
    found = {}
    for _ in range(16):
        focused = tab.evaluate("document.activeElement.id")
        found[focused] = tab.inner_text("#infoLines").replace("−", "-")
        assert tab.evaluate("document.activeElement.getAttribute('aria-label')").count("=") >= 1
        tab.keyboard.press("ArrowDown")
    neurons = {f"n{c}.{i}" for c, n in enumerate([2, 3, 1]) for i in range(n)}
    weights = {f"w1.{i}.{j}" for i in range(2) for j in range(3)} | {f"w2.{j}.0" for j in range(3)}
    assert found.keys() == neurons | weights | {"loss"}
    for j in range(3):
        for symbol, index in (("s", (0, j)), ("y", (0, j)), ("delta", (0, j))):
            assert e.find(symbol, 0 if symbol != "y" else 1).line(index).value in found[f"n1.{j}"]
        assert e.find("dL/dw^b").line((j, 0)).value in found[f"w2.{j}.0"]
        assert found[f"w2.{j}.0"].endswith(str(e.find("new w^b").line((j, 0)).value))
        old = e.find("new w^b").line((j, 0)).substitution.partition(" - ")[0]
        assert found[f"w2.{j}.0"].splitlines()[0].endswith(f"= {old}")
        assert e.find("new w^b").line((j, 0)).value in found[f"w2.{j}.0"]


def test_hover_and_tap_show_formulas(tab, tmp_path):
    e = small()
    opened(tab, e, tmp_path)
    tab.keyboard.press("End")
    tab.hover("#n1\\.1")
    assert e.find("delta", 0).line((0, 1)).value in tab.inner_text("#infoLines").replace("−", "-")
    tab.click("#n2\\.0")
    assert e.find("delta", 2).line((0, 0)).value in tab.inner_text("#infoLines").replace("−", "-")


def test_weights_are_drawn_by_sign_and_size(tab, tmp_path):
    e = small()
    opened(tab, e, tmp_path)
    weights = e.trace.params(0)["weights"]
    for (i, j), value in np.ndenumerate(weights):
        classes = tab.get_attribute(f"#w1\\.{i}\\.{j}", "class")
        assert ("plus" in classes) == (value >= 0)
        assert ("minus" in classes) == (value < 0)
    drawn = {
        (i, j): float(tab.get_attribute(f"#w1\\.{i}\\.{j} .ink", "stroke-width"))
        for i, j in np.ndindex(weights.shape)
    }
    assert max(drawn, key=drawn.get) == np.unravel_index(abs(weights).argmax(), weights.shape)


@pytest.mark.parametrize("make", [small, crowded, wide])
def test_no_two_texts_of_the_drawing_overlap(tab, tmp_path, make):
    opened(tab, make(), tmp_path)
    tab.keyboard.press("End")
    overlaps = tab.evaluate(
        "(() => { const boxes = [...document.querySelectorAll('.label rect, .node circle')]"
        "  .map(e => e.getBoundingClientRect());"
        "return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>"
        "  a.left < b.right - 1 && b.left < a.right - 1 &&"
        "  a.top < b.bottom - 1 && b.top < a.bottom - 1)).length })()"
    )
    assert overlaps == 0
    too_wide = tab.evaluate(
        "[...document.querySelectorAll('.label, .node')].filter(e => {"
        "  const shape = e.querySelector('rect, circle').getBoundingClientRect();"
        "  return e.querySelector('text').getBoundingClientRect().width > shape.width;"
        "}).map(e => e.textContent)"
    )
    assert too_wide == []


def test_small_networks_show_every_weight(tab, tmp_path):
    e = small()
    opened(tab, e, tmp_path)
    shown = {float(t.replace("−", "-")) for t in tab.locator(".label text").all_text_contents()}
    weights = [slot.view(e.params) for slot in e.model.parameters if slot.kind == "weights"]
    expected = {
        float(f"{w:.{2 if abs(w) < 0.01 else 3}g}") for table in weights for w in table.flat
    }
    assert shown == expected


def test_samples_can_be_chosen(tab, tmp_path):
    e = wide()
    opened(tab, e, tmp_path)
    tab.select_option("#sample", "2")
    for step in e.steps:
        assert values_shown(tab) == values_of(step, e.limit, sample=2)
        tab.dispatch_event("#next", "click")


def test_nothing_is_wider_than_the_screen(tab, tmp_path):
    opened(tab, wide(), tmp_path)
    for _ in range(18):
        tab.keyboard.press("ArrowRight")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_and_contrast_for_everyone(tab, tmp_path):
    opened(tab, small(), tmp_path)
    unnamed = tab.evaluate(
        "[...document.querySelectorAll('button,input,select,svg,[role=img],section')].filter(e =>"
        "  !e.closest('[aria-hidden],label') && !e.getAttribute('aria-label')"
        "  && !e.textContent.trim()).length"
    )
    assert unnamed == 0
    assert tab.get_attribute("#live", "aria-live") == "polite"
    names = ("--text", "--soft", "--plus", "--minus", "--now", "--page", "--card")
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    colours = {name: tab.evaluate(f"{style}('{name}')") for name in names}
    for ink in names[:5]:
        for behind in ("--page", "--card"):
            assert contrast(colours[ink], colours[behind]) >= 4.5


def contrast(first, second):
    """The contrast ratio by WCAG 2."""

    def luminance(colour):
        digits = colour.strip().removeprefix("#")
        digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
        values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_screenshots(tab, tmp_path):
    """The page draws something; MLPGRAD_SCREENSHOTS=DIRECTORY keeps the pictures."""
    opened(tab, small(), tmp_path)
    folder = os.environ.get("MLPGRAD_SCREENSHOTS", str(tmp_path))
    dark = tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    name = f"{tab.viewport_size['width']}-{'dark' if dark else 'light'}"
    picture = tab.screenshot(path=f"{folder}/{name}.png", full_page=True)
    assert len(picture) > 10_000
    box = tab.locator("#net").bounding_box()
    assert box["width"] > 250
    assert box["height"] > 150
