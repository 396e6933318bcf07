from pathlib import Path

import pytest

from serve_app.gateway.spool import Spool, orphans
from serve_app.tenancy.usage import Batch
from tests.unit.control.desk import a_record


def _batch(number: int, gateway: str = "g", records: int = 2) -> Batch:
    return Batch(gateway, number, tuple(a_record(request_id=f"r{n}") for n in range(records)))


def test_batches_come_back_in_order_until_they_are_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g")
    for number in (2, 1, 10):
        spool.write(_batch(number))
    assert list(spool.batches()) == [_batch(1), _batch(2), _batch(10)]
    spool.remove(2)
    assert [batch.number for batch in spool.batches()] == [1, 10]


def test_a_living_gateways_spool_is_not_taken_over(tmp_path: Path) -> None:
    living = Spool(tmp_path, "living")
    living.write(_batch(1, "living"))
    with pytest.raises(BlockingIOError):
        Spool(tmp_path, "living")
    assert list(orphans(tmp_path, "me")) == []


def test_a_dead_gateways_spool_is(tmp_path: Path) -> None:
    dead = Spool(tmp_path, "dead")
    dead.write(_batch(3, "dead"))
    dead.close()
    (mine,) = orphans(tmp_path, "me")
    assert list(mine.batches()) == [_batch(3, "dead")]
    mine.remove(3)
    mine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_was_not_written_whole_is_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g")
    (tmp_path / "g" / "000000000001.partial").write_bytes(b'[{"request')
    assert list(spool.batches()) == []


def test_a_batch_that_cannot_be_read_keeps_no_other_from_being(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "g")
    (tmp_path / "g" / "000000000001.json").write_bytes(b"[{]")
    spool.write(_batch(2))
    assert list(spool.batches()) == [_batch(2)]
    assert (tmp_path / "g" / "000000000001.unreadable").exists()
