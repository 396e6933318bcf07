"""Settings of every unit test."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Ray builds its own config models with options that pydantic warns of; ours must not."""
    config.addinivalue_line(
        "filterwarnings",
        "ignore::pydantic.warnings.PydanticDeprecatedSince20:ray.serve._private.config",
    )
