"""Counts of work, which do not depend on the load of the machine."""

import sys


def lines_run(function, *args):
    """The number of lines of Python that one call runs."""
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
