"""Settings of every unit test."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no reason to fail.
settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


def pytest_configure(config: pytest.Config) -> None:
    """Ray builds its own config models with options that pydantic warns of; ours must not."""
    config.addinivalue_line(
        "filterwarnings",
        "ignore::pydantic.warnings.PydanticDeprecatedSince20:ray.serve._private.config",
    )
