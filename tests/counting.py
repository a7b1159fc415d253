"""Counts of work, which no busy machine changes."""

import sys


def lines_run(function, *args):
    """How many lines of Python one call runs."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count
