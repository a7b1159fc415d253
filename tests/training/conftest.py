"""Fixtures for several tests of training."""

import signal

import pytest


@pytest.fixture
def press_ctrl_c():
    """Send SIGINT to this process, with the handler that a terminal gives.

    In the background or under nohup, a shell starts the tests with SIGINT ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
