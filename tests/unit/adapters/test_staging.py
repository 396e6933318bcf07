import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serve_app.adapters.artifacts import Artifacts
from serve_app.adapters.sources import SourceRules
from serve_app.adapters.staging import Stager
from serve_app.adapters.version import FILES, digest_of
from serve_app.errors import AdapterRefused, SourceNotFound, StorageFailed
from tests.small_models import Shape, write_adapter
from tests.web_folder import WebFolder, web_folder

SHAPE = Shape()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "good")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "kept")


@pytest.fixture
def stager(artifacts: Artifacts, tmp_path: Path) -> Stager:
    return Stager(artifacts, SHAPE.base, SourceRules(roots=(tmp_path,), loopback=True), 16)


@pytest.fixture
async def folder(good: Path) -> AsyncIterator[WebFolder]:
    async with web_folder(good) as served:
        yield served


async def _emptied(artifacts: Artifacts) -> None:
    """Wait until no scratch directory is left; a cancelled thread ends by itself."""
    scratches = artifacts.path("0" * 64).parent / ".scratch"
    while list(scratches.iterdir()):  # noqa: ASYNC110 - the thread tells nobody
        await asyncio.sleep(0.01)


async def test_a_good_adapter_is_kept_under_the_digest_of_its_content(
    stager: Stager, artifacts: Artifacts, good: Path
) -> None:
    counts: list[int] = []
    checked = await stager.stage("acme", str(good), counts.append)
    assert checked.digest == digest_of(good)
    assert digest_of(artifacts.path(checked.digest)) == checked.digest
    assert counts[-1] == checked.size_bytes
    assert counts == sorted(counts)
    await _emptied(artifacts)


async def test_the_same_content_staged_many_times_at_once_is_kept_once(
    stager: Stager, artifacts: Artifacts, good: Path
) -> None:
    staged = await asyncio.gather(*(stager.stage("acme", str(good)) for _ in range(12)))
    assert {checked.digest for checked in staged} == artifacts.digests()
    await _emptied(artifacts)


async def test_content_outlives_its_source(
    stager: Stager, artifacts: Artifacts, good: Path
) -> None:
    checked = await stager.stage("acme", str(good))
    for name in FILES:
        (good / name).unlink()
    assert digest_of(artifacts.path(checked.digest)) == checked.digest
    with pytest.raises(AdapterRefused):
        await stager.stage("acme", str(good))


async def test_a_failure_leaves_nothing(stager: Stager, artifacts: Artifacts) -> None:
    with pytest.raises(SourceNotFound):
        await stager.stage("acme", "nowhere")
    assert artifacts.digests() == frozenset()
    await _emptied(artifacts)


@pytest.mark.timeout(60)
async def test_a_cancelled_staging_ends_at_once_and_leaves_nothing(
    stager: Stager, artifacts: Artifacts, folder: WebFolder
) -> None:
    folder.hold = asyncio.Event()
    staging = asyncio.create_task(stager.stage("acme", folder.url))
    await folder.halfway.wait()
    staging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await staging
    folder.hold.set()
    await _emptied(artifacts)
    assert artifacts.digests() == frozenset()


@pytest.mark.timeout(60)
async def test_the_event_loop_goes_on_while_a_slow_source_is_staged(
    stager: Stager, folder: WebFolder, good: Path
) -> None:
    folder.hold = asyncio.Event()
    staging = asyncio.create_task(stager.stage("acme", folder.url))
    await folder.halfway.wait()  # answered from this very loop
    folder.hold.set()
    assert (await staging).digest == digest_of(good)


@pytest.mark.timeout(60)
async def test_only_a_few_are_staged_at_once_and_the_others_get_their_turn(
    artifacts: Artifacts, folder: WebFolder
) -> None:
    stager = Stager(artifacts, SHAPE.base, SourceRules(loopback=True), 16, at_once=1)
    folder.hold = asyncio.Event()
    stagings = [asyncio.create_task(stager.stage("acme", folder.url)) for _ in range(3)]
    await folder.halfway.wait()
    assert len(folder.asked) == 1
    folder.hold.set()
    assert len({checked.digest for checked in await asyncio.gather(*stagings)}) == 1
    assert len(folder.asked) == 3 * len(FILES)


async def test_a_disk_that_takes_nothing_is_the_operators_trouble(
    stager: Stager, artifacts: Artifacts, good: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept" / ".scratch").rmdir()
    with pytest.raises(StorageFailed, match=r"registry\.data_dir") as refused:
        await stager.stage("acme", str(good))
    assert refused.value.status == 503
