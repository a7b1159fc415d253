"""A formula in plain text, such as `delta_j = (sum_k delta_k w_jk) y_j`, as LaTeX and as HTML."""

from __future__ import annotations

import html
import re

from mlpgrad.explanation.notation import SAMPLES

HATS = {"xhat": "x̂", "yhat": "ŷ", "zhat": "ẑ"}
GREEK = {"delta": "δ", "eta": "η", "sigma": "σ", "sum": "Σ", "gamma": "γ", "beta": "β"}
RAISED = str.maketrans("0123456789abcdefghijklmnoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
TOKEN = re.compile(
    rf"(?P<samples>{SAMPLES})"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?P<square>\^2)?"
    r"|(?P<slope>dL/d)?(?P<name>[A-Za-z]+)(?P<over>\^[a-z]+\d*)?(?:_(?P<index>\w+(?:,\w+)*))?(?P<prime>')?"
    r"|(?P<power>\)\^2)|\)_(?P<behind>\w+)|(?P<dots>\.\.\.)|(?P<times>\*)|(?P<minus>-)|(?P<space>\s+)|(?P<other>.)"
)


def is_formula(text: str, documented: bool) -> bool:
    """Return whether a text uses the lecture's symbols, not words or docstring notation."""
    return "=" in text and not documented


def bracketed(text: str) -> str:
    """Return the text in parentheses if it is a sum, a difference, a quotient or negative.

    Examples
    --------
    >>> bracketed("p - t"), bracketed("sigma(x - y)")
    ('(p - t)', 'sigma(x - y)')
    """
    depth, outside = 0, ""
    for sign in re.sub(r"\|[^|]*\|", "d", text):  # |y - t| needs no parentheses
        depth += (sign == "(") - (sign == ")")
        outside += sign if depth == 0 else ""
    return f"({text})" if re.search(r"^-| [-+/] |^sum_", outside) else text


def latex(text: str) -> str:
    r"""Return a formula as LaTeX, which MathJax typesets.

    Examples
    --------
    >>> print(latex("dL/dw^b_jk = delta_k y_j"))
    \frac{\partial L}{\partial w^{b}_{jk}} = \delta_{k} y_{j}
    """
    return "".join(_latex(match) for match in TOKEN.finditer(text))


def labelled(name: str) -> str:
    """Return the name of a feature or class as LaTeX, without LaTeX's special characters."""
    return r" \quad \text{(" + re.sub(r"[\\$^~#%&_{}]", " ", name) + ")}"


def _latex(match: re.Match[str]) -> str:
    found = match.groupdict()
    if found["samples"]:
        return r"\sum_{\text{samples}}"
    if found["behind"]:
        return f")_{{{found['behind']}}}"
    if found["number"]:
        mantissa, _, exponent = found["number"].partition("e")
        power = rf" \cdot 10^{{{int(exponent)}}}" if exponent else ""
        return mantissa + power + (found["square"] or "")
    if found["name"]:
        return _latex_name(found)
    if found["power"] or found["space"] or found["other"] or found["minus"]:
        return match.group().replace("_", r"\_").replace("%", r"\%")
    return r"\dots" if found["dots"] else r"\cdot"


def _latex_name(found: dict[str, str | None]) -> str:
    name = found["name"] or ""
    if name in GREEK:
        text = "\\" + name
    elif name == "new":
        text = r"\text{new }"
    elif name in HATS:
        text = rf"\hat {name[0]}"
    else:
        text = name if len(name) == 1 else rf"\text{{{name}}}"
    text += f"^{{{found['over'][1:]}}}" if found["over"] else ""
    text += f"_{{{found['index']}}}" if found["index"] else ""
    text += found["prime"] or ""
    return rf"\frac{{\partial L}}{{\partial {text}}}" if found["slope"] else text


def as_html(text: str) -> str:
    """A formula as HTML with subscripts and Greek letters, for pages without a typesetter.

    Examples
    --------
    >>> as_html("delta_k w^b_jk")
    '<i>δ</i><sub>k</sub> <i>w</i><sup>b</sup><sub>jk</sub>'
    """
    return "".join(_html(match) for match in TOKEN.finditer(text))


def _html(match: re.Match[str]) -> str:
    found = match.groupdict()
    if found["samples"]:
        return "Σ<sub>samples</sub>"
    if found["behind"]:
        return f")<sub>{found['behind']}</sub>"
    if found["number"]:
        return found["number"].replace("-", "−") + ("<sup>2</sup>" if found["square"] else "")
    if found["name"]:
        name = found["name"]
        short = GREEK.get(name) or HATS.get(name, name)
        shown = f"<i>{short}</i>" if len(short) <= 2 else short
        shown = f"∂<i>L</i>/∂{shown}" if found["slope"] else shown
        shown += f"<sup>{found['over'][1:]}</sup>" if found["over"] else ""
        shown += f"<sub>{found['index']}</sub>" if found["index"] else ""
        return shown + ("′" if found["prime"] else "")
    if found["power"]:
        return ")<sup>2</sup>"
    signs = {"dots": "…", "times": "·", "minus": "−"}
    return next((sign for kind, sign in signs.items() if found[kind]), html.escape(match.group()))


def plain(text: str) -> str:
    """A formula for SVG texts and screen readers: Greek letters, and only letters raised.

    Examples
    --------
    >>> plain("dL/dw^b_11 = delta_1 * 2")
    '∂L/∂wᵇ11 = δ1 · 2'
    """
    raised = re.sub(
        r"<sup>([a-z]+\d*)</sup>", lambda found: raised_letters(found[1]), as_html(text)
    )
    return html.unescape(re.sub(r"<[^>]*>", "", raised))


def raised_letters(letters: str) -> str:
    """Letters and digits as superscripts, which all but q have."""
    return letters.translate(RAISED)
