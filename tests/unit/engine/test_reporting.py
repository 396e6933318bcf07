import asyncio

from serve_app.adapters.report import Report
from serve_app.engine.reporting import Reporting
from tests.unit.fakes import until

LONG_S = 3600.0


class Told:
    """Control's ear."""

    def __init__(self) -> None:
        self.revision = 0
        self.reports: list[Report] = []
        self.attempts = 0
        self.away = False
        self.hangs = False

    def report(self) -> Report:
        return Report("r1", self.revision, ())

    async def send(self, report: Report) -> None:
        self.attempts += 1
        if self.away:
            raise ConnectionError("away")
        if self.hangs:
            await asyncio.sleep(LONG_S)
        self.reports.append(report)


async def test_a_report_is_sent_at_once_and_again_when_something_changed() -> None:
    told = Told()
    reporting = Reporting(told.report, told.send, gap_s=0, beat_s=LONG_S)
    await until(lambda: len(told.reports) == 1)
    told.revision = 7
    reporting.changed()
    await until(lambda: len(told.reports) == 2)
    assert told.reports[-1].revision == 7
    await reporting.close()


async def test_however_much_changes_one_report_tells_of_it_all() -> None:
    told = Told()
    reporting = Reporting(told.report, told.send, gap_s=0.02, beat_s=LONG_S)
    await until(lambda: len(told.reports) == 1)
    for revision in range(100):
        told.revision = revision
        reporting.changed()
    await until(lambda: len(told.reports) == 2)
    assert told.reports[-1].revision == 99
    await reporting.close()


async def test_reports_come_now_and_then_though_nothing_changed() -> None:
    told = Told()
    reporting = Reporting(told.report, told.send, gap_s=0, beat_s=0.005)
    await until(lambda: len(told.reports) > 2)
    await reporting.close()


async def test_control_may_be_away() -> None:
    told = Told()
    told.away = True
    reporting = Reporting(told.report, told.send, gap_s=0.001, beat_s=LONG_S)
    await until(lambda: told.attempts > 2)
    told.away = False
    await until(lambda: told.reports)
    await reporting.close()


async def test_control_may_hang() -> None:
    told = Told()
    told.hangs = True
    reporting = Reporting(told.report, told.send, gap_s=0.001, beat_s=0.01)
    await until(lambda: told.attempts > 1)
    told.hangs = False
    await until(lambda: told.reports)
    await reporting.close()
