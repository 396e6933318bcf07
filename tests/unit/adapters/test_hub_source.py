"""The hub's own client against a hub of this machine that speaks as much of its API as it needs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from serve_app.adapters.version import digest_of
from tests.small_hub import COMMIT, hub_application
from tests.small_models import write_adapter

FETCH = """
import sys
from pathlib import Path
from serve_app.adapters.sources import SourceRules, fetch
from serve_app.errors import ApiError
try:
    print(fetch(sys.argv[1], Path(sys.argv[2]), SourceRules(attempts=1)))
except ApiError as error:
    print(error.code)
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a hub whose one repository is ``org/name``, and whose one revision is ``v1``."""
    application = hub_application(write_adapter(tmp_path / "good"))
    async with TestServer(application, host="127.0.0.1") as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://org/name@v1", f"hf://org/name@{COMMIT}"),
        ("hf://org/name@v2", "source_not_found"),
        ("hf://org/other", "source_not_found"),
    ],
)
async def test_a_repository_is_read_at_one_commit(
    hub: str, tmp_path: Path, source: str, said: str
) -> None:
    (tmp_path / "into").mkdir()
    process = await asyncio.create_subprocess_exec(  # the client reads its endpoint at import
        sys.executable,
        *("-c", FETCH, source, str(tmp_path / "into")),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"},
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == said
    if said.startswith("hf://"):
        assert digest_of(tmp_path / "into") == digest_of(tmp_path / "good")
