"""What several tests of training need."""

import signal

import pytest


@pytest.fixture
def press_ctrl_c():
    """Send SIGINT to this process, handled as at a terminal.

    A shell that starts the tests in the background, or under nohup, has the signal ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
