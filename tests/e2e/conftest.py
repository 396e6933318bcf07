"""The demo application, real vLLM on the CPU, shared by all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests import harness
from tests.harness import RunningApp


@pytest.fixture(scope="package")
def app() -> Iterator[RunningApp]:
    """``configs/demo.yaml`` as it is."""
    with harness.running(harness.config("demo.yaml")) as app:
        yield app
