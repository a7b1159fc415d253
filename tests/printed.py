"""Comparison of printed text in the documentation with that of a run, except digits."""

import re


def layout(text):
    """The lines without numbers, whose digits and widths differ between processors."""
    without = re.sub(r"[-+]?\d[\d.,]*(e[-+]\d+)?", "#", text)
    return [re.sub(r"(?<=\S) +", " ", line) for line in without.strip("\n").split("\n")]


def curves(text):
    """The numbers in lines about a training, which must be up to date."""
    lines = [line for line in text.splitlines() if line.startswith(("History(", "{'loss'"))]
    return [float(number) for line in lines for number in re.findall(r"\d+\.\d+", line)]
