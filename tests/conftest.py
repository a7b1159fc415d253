"""Settings that keep results independent of the load of the machine and of the order of tests."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def fresh_random_numbers(request):
    """Let each test draw the same numbers, whichever tests ran before it."""
    if isinstance(getattr(request.module, "RNG", None), np.random.Generator):
        request.module.RNG = np.random.default_rng([0, 1])  # not the numbers of the module's data
