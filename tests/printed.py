"""What printed text of documentation and of a run have in common: all but digits."""

import re


def layout(text):
    """Lines without their numbers, whose digits and widths differ between processors."""
    without = re.sub(r"[-+]?\d[\d.,]*(e[-+]\d+)?", "#", text)
    return [re.sub(r"(?<=\S) +", " ", line) for line in without.strip("\n").split("\n")]


def curves(text):
    """The numbers of the lines on a training: they say something, so they must be of today."""
    lines = [line for line in text.splitlines() if line.startswith(("History(", "{'loss'"))]
    return [float(number) for line in lines for number in re.findall(r"\d+\.\d+", line)]
