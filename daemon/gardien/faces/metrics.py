"""For Prometheus: what gardien knows, read from its store at the moment it is asked. Documented in docs/metrics.md."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gardien import __version__
from gardien.faces import metrics_machine, present
from gardien.model.health import Health, Severity
from gardien.model.letter import Letter, Way
from gardien.model.overview import Overview
from gardien.model.release import Jump
from gardien.services.house import House

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds within which the store must answer to be called alive


class _Overview(Collector):
    """The metrics of one moment."""

    def __init__(self, overview: Overview, letters: Sequence[Letter]) -> None:
        self._overview = overview
        self._letters = letters

    def collect(self) -> Iterator[Metric]:
        seen = self._overview
        yield gauge("gardien_build_info", "The version that runs; always 1.", ["version"], [([__version__], 1)])
        yield from self._stacks()
        yield from self._backups()
        yield from self._trials()
        yield from self._targets()
        for name, says, values in (
            ("gardien_disk_size_bytes", "Size of a file system.", [([disk.path], disk.total) for disk in seen.disks]),
            ("gardien_disk_free_bytes", "Room left on it.", [([disk.path], disk.free) for disk in seen.disks]),
            (
                "gardien_disk_present",
                "1 while the disk is there.",
                [([disk.path], disk.present) for disk in seen.disks],
            ),
        ):
            yield gauge(name, says, ["path"], values)
        yield from metrics_machine.families(seen)
        yield from self._updates()
        yield from self._jobs()
        yield gauge(
            "gardien_alerts_open",
            "Open alerts.",
            ["severity"],
            [([each], sum(alert.severity == each for alert in seen.alerts)) for each in get_args(Severity)],
        )
        yield from self._post()
        yield gauge(
            "gardien_watch_last_look_timestamp_seconds",
            "When the watchman last looked at everything.",
            [],
            [([], seen.seen.timestamp())] if seen.seen else [],
        )

    def _stacks(self) -> Iterator[Metric]:
        stacks = self._overview.stacks
        yield gauge(
            "gardien_stack_healthy",
            "1 if the application answers as it should, or is paused for a backup.",
            ["stack"],
            [([stack.name], stack.health.health in ("well", "paused")) for stack in stacks],
        )
        yield gauge(
            "gardien_stack_health",
            "1 for the present state of a stack, 0 for the others.",
            ["stack", "health"],
            [([stack.name, each], stack.health.health == each) for stack in stacks for each in get_args(Health)],
        )

    def _backups(self) -> Iterator[Metric]:
        stacks = self._overview.stacks
        good = [(stack.name, stack.newest_good) for stack in stacks if stack.newest_good]
        places = [(stack.name, place) for stack in stacks for place in stack.places]
        yield gauge(
            "gardien_backup_last_success_timestamp_seconds",
            "When the newest backup that counts was taken.",
            ["stack", "target"],
            [([n, place.target], s.taken.timestamp()) for n, place in places for s in [place.newest_good] if s],
        )
        yield gauge(
            "gardien_backup_missed",
            "How many times in the last two weeks brought no good backup.",
            ["stack", "target"],
            [([name, place.target], len(place.missed)) for name, place in places],
        )
        for name, says, values in (
            (
                "late",
                "1 if there is no good backup within the time the owner allows.",
                [(s.name, s.late) for s in stacks],
            ),
            ("pause_seconds", "How long the application was paused for it.", [(n, s.pause_seconds) for n, s in good]),
            ("size_bytes", "What it holds, before compression.", [(n, s.bytes) for n, s in good]),
            ("added_bytes", "What it added at the target, after compression.", [(n, s.added) for n, s in good]),
            ("files", "How many files it holds.", [(n, s.files) for n, s in good]),
        ):
            yield gauge(f"gardien_backup_{name}", says, ["stack"], [([stack], value) for stack, value in values])

    def _trials(self) -> Iterator[Metric]:
        stacks = self._overview.stacks
        proven = [(stack.name, stack.trials.proven) for stack in stacks if stack.trials.proven]
        for name, says, values in (
            (
                "last_success_timestamp_seconds",
                "When a backup was last restored for trial and the application answered from it.",
                [(name, proof.ended.timestamp()) for name, proof in proven],
            ),
            ("duration_seconds", "How long that took.", [(name, proof.seconds) for name, proof in proven]),
            (
                "ok",
                "1 if the newest trial restore succeeded, 0 if it failed; what was not tried does not count.",
                [(s.name, s.trials.failed is None) for s in stacks if s.trials.proven or s.trials.failed],
            ),
        ):
            yield gauge(f"gardien_drill_{name}", says, ["stack"], [([stack], value) for stack, value in values])

    def _updates(self) -> Iterator[Metric]:
        stacks = self._overview.stacks
        yield gauge(
            "gardien_updates_waiting",
            "Newer versions that wait for their time, or for somebody to say yes.",
            ["stack", "jump"],
            [
                ([stack.name, jump], sum(each.jump == jump for each in stack.news.offered))
                for stack in stacks
                for jump in get_args(Jump)
            ],
        )
        yield gauge(
            "gardien_updates_asked_timestamp_seconds",
            "When all registries of a stack last said what they have.",
            ["stack"],
            [([s.name], s.news.asked.done.timestamp()) for s in stacks if s.news.asked and s.news.asked.done],
        )

    def _targets(self) -> Iterator[Metric]:
        cares = [(target.name, target.care) for target in self._overview.targets]
        for name, says, moments in (
            ("check", "When it was last looked whether the backups are whole.", [(n, c.checked) for n, c in cares]),
            (
                "oldest_read",
                "Since then every byte at the target was read once.",
                [(n, c.oldest_read) for n, c in cares],
            ),
            ("retention", "When retention was last free to do its work.", [(n, c.forgot) for n, c in cares]),
        ):
            yield gauge(
                f"gardien_target_{name}_timestamp_seconds",
                says,
                ["target"],
                [([target], at.timestamp()) for target, at in moments if at is not None],
            )
        for name, says, values in (
            ("ready", "1 if it holds our repository.", [(each.name, each.ready) for each in self._overview.targets]),
            ("check_ok", "1 if the last check found nothing.", [(n, not c.problems) for n, c in cares if c.checked]),
            ("lost_backups", "Backups that were there and are not any more.", [(n, c.lost) for n, c in cares]),
        ):
            yield gauge(f"gardien_target_{name}", says, ["target"], [([target], value) for target, value in values])

    def _post(self) -> Iterator[Metric]:
        waiting = [each for each in self._letters if each.sent is None and each.next_try is not None]
        sent = [each for each in self._letters if each.sent is not None]
        for name, says, letters in (
            ("waiting", "Letters that are still to be sent.", waiting),
            ("failing", "Of those, letters that could not be sent when it was tried.", [e for e in waiting if e.error]),
        ):
            values = [([way], sum(each.way == way for each in letters)) for way in get_args(Way)]
            yield gauge(f"gardien_letters_{name}", says, ["way"], values)
        newest = {each.way: each.sent.timestamp() for each in reversed(sent) if each.sent is not None}
        yield gauge(
            "gardien_letter_last_sent_timestamp_seconds",
            "When the newest letter was sent; of the recent ones only.",
            ["way"],
            [([way], at) for way, at in newest.items()],
        )

    def _jobs(self) -> Iterator[Metric]:
        jobs = [view.job for view in self._overview.jobs]
        waiting = sum(job.state == "queued" for job in jobs)
        yield gauge("gardien_jobs_running", "Jobs under way.", [], [([], len(jobs) - waiting)])
        yield gauge("gardien_jobs_waiting", "Jobs that wait for their turn.", [], [([], waiting)])
        last = {
            (job.plan.kind, present.stack_of(job) or "", present.target_of(job) or ""): job
            for job in reversed(self._overview.recent)
        }
        yield gauge(
            "gardien_job_last_success",
            "1 if the last job of this kind was done, 0 if it failed or was cancelled; of the recent jobs only.",
            ["kind", "stack", "target"],
            [([*about], job.state == "done") for about, job in last.items()],
        )
        yield gauge(
            "gardien_job_last_end_timestamp_seconds",
            "When the last job of this kind ended; of the recent jobs only.",
            ["kind", "stack", "target"],
            [([*about], job.ended.timestamp()) for about, job in last.items() if job.ended],
        )


def gauge(name: str, says: str, labels: list[str], values: Iterable[tuple[list[str], float]]) -> Metric:
    """One metric with all its values."""
    family = GaugeMetricFamily(name, says, labels=labels)
    for label, value in values:
        family.add_metric(label, float(value))
    return family


def render(overview: Overview, letters: Sequence[Letter] = ()) -> bytes:
    """The text Prometheus reads. `letters`: the recent ones, newest first."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Overview(overview, letters))
    return generate_latest(registry)


def routes(house: House) -> list[web.RouteDef]:
    """`/metrics`, behind the login, and `/healthz`, which anyone may ask."""

    async def metrics(request: web.Request) -> web.Response:
        text = render(await house.overviews.now(), await house.store.letters())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(PATIENCE):
                await house.store.answers()
        except Exception:
            log.exception("the store does not answer")
            return web.json_response({"ok": False}, status=503)
        return web.json_response({"ok": True})

    return [web.get("/metrics", metrics), web.get("/healthz", healthz)]
