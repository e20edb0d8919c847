"""The composition root: the only place that makes neighbours and use cases, and ties them together."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gardien import __version__
from gardien.adapters import process
from gardien.adapters.btrfs import Btrfs
from gardien.adapters.compose import ComposeCli
from gardien.adapters.engine import DockerEngine
from gardien.adapters.files import LocalFiles, OnlyOne
from gardien.adapters.files_beneath import FilesBeneath
from gardien.adapters.host import LinuxHost
from gardien.adapters.hosts import load_hosts
from gardien.adapters.listings import SqliteListings
from gardien.adapters.mailer import SmtpMailer
from gardien.adapters.moves import under_way
from gardien.adapters.notify import Systemd
from gardien.adapters.own_certificates import OwnCertificates
from gardien.adapters.pinger import HttpPinger
from gardien.adapters.probes import RealProbes
from gardien.adapters.registry import HttpRegistries
from gardien.adapters.restic import ResticCli
from gardien.adapters.second_way import SecondWay
from gardien.adapters.sensors import LinuxSensors
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.adapters.ssh_keys import SshKeys
from gardien.adapters.store import SqliteStore
from gardien.errors import GardienError, unexpected
from gardien.faces.doorstep import Doorstep
from gardien.faces.letter import LetterWriter
from gardien.faces.server import serve
from gardien.model.settings import Settings
from gardien.services import clock, disk
from gardien.services.agenda import Agenda
from gardien.services.alerts import Alerts
from gardien.services.backup import Backups
from gardien.services.beacon import Beacon
from gardien.services.browse import Browse
from gardien.services.calendar import Calendar
from gardien.services.clock import HouseClock
from gardien.services.door import Doorkeeper
from gardien.services.drill import Drills
from gardien.services.feed import Feed
from gardien.services.first_run import FirstRun
from gardien.services.house import House
from gardien.services.kit import Kits
from gardien.services.letters import Letters
from gardien.services.life import Life
from gardien.services.overview import Overviews
from gardien.services.page_tls import PageTls
from gardien.services.people import People
from gardien.services.ports import Store, World
from gardien.services.preferences import Preferences
from gardien.services.put_back import PutBacks
from gardien.services.readings import Readings
from gardien.services.recover import Recover
from gardien.services.releases import Releases
from gardien.services.reports import Reports
from gardien.services.rescue import Rescues
from gardien.services.restore import Restores
from gardien.services.runner import Held, Moment, OnPoint, Runner
from gardien.services.setup import Setup
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.services.update import Updates
from gardien.services.upkeep import Upkeep
from gardien.services.watch import BEGUN_ANEW, Watch
from gardien.services.witness import Witness
from gardien.words import N_, Words

log = logging.getLogger("gardien")

SETTLED = 15.0  # seconds after which all is loaded that stays
GARBAGE = 5_000  # new objects between two searches for garbage

DATABASE = "gardien.db"
TEMPLATES = "templates"  # compiled ones of the page, for the next start
# "backup/dump/ran", or several with commas: a test's way to kill it there, and to hold it there until told to go on.
DIE_AT, HOLD_AT = "GARDIEN_DIE_AT", "GARDIEN_HOLD_AT"
PLUGS = {DIE_AT: signal.SIGKILL, HOLD_AT: signal.SIGSTOP}


def shipped(what: str) -> Path:
    """A folder that comes with the package: `compose`, `hosts` or `webui`; beside the sources in a checkout."""
    installed = Path(__file__).parent / "shipped" / what
    return installed if installed.is_dir() else Path(__file__).parents[2] / what


@contextlib.asynccontextmanager
async def neighbours(
    settings: Settings, database: Path | None = None, config: Path | None = None
) -> AsyncIterator[World]:
    """Open everything gardien talks to, and close it again. `database`: another one than this house's.

    `config`: the settings file, where it may have to be written.
    """
    hosts = await asyncio.to_thread(load_hosts, shipped("hosts"), settings.folders.owner / "hosts")
    files = LocalFiles()
    compose = ComposeCli(settings)
    store = await SqliteStore.open(database or settings.folders.state / DATABASE)
    noted = await store.noted(clock.NOTE)
    if store.opened_fresh_after_corruption:
        await store.note(BEGUN_ANEW, datetime.now(UTC).isoformat())
    probes = RealProbes(compose)
    engine = DockerEngine(settings.docker.socket)
    try:
        yield World(
            settings=settings,
            clock=HouseClock(datetime.fromisoformat(noted) if noted else None),
            store=store,
            restic=ResticCli(settings),
            compose=compose,
            engine=engine,
            probes=probes,
            host=LinuxHost(),
            files=files,
            moments=Btrfs(files),
            shelf=FileShelf(shipped("compose"), settings.folders.owner, files, config),
            ssh=SshKeys(settings.folders.run / "children"),
            hosts=hosts,
            mailer=SmtpMailer(settings),
            second_way=SecondWay(settings),
            pinger=HttpPinger(settings),
            sensors=LinuxSensors(),
            registries=HttpRegistries(settings),
            certificates=OwnCertificates(settings.folders.run),
            beneath=FilesBeneath(settings.folders.run / "children"),
            listings=SqliteListings(settings.folders.state / "listings"),
        )
    finally:
        await probes.close()
        engine.close()
        await store.close()


def household(
    world: World,
    on_point: OnPoint | None = None,
    begin_anew: Callable[[], None] = lambda: None,
    held: Held | None = None,
) -> House:
    """All use cases over these neighbours. `begin_anew`: to be called when the settings file was written anew."""
    feed = Feed()
    runner = Runner(world.store, world.clock, feed, on_point, held)
    stacks = Stacks(world)
    targets = Targets(world)
    browse = Browse(world)
    backups = Backups(world, runner, stacks, targets)
    door = Doorkeeper(world, stacks)
    life = Life(world, runner, stacks, backups, door)
    agenda = Agenda(world, stacks, local_zone())
    upkeep = Upkeep(world, runner, targets, agenda)
    drills = Drills(world, runner, stacks, targets)
    kits = Kits(world, runner, targets)
    readings = Readings(world, stacks)
    releases = Releases(world, stacks, feed)
    writer = LetterWriter(world.settings.language, world.settings.name)
    witness = Witness(world, writer)
    restores = Restores(world, runner, stacks, targets, backups, door)
    rescues = Rescues(world, runner, stacks, door)
    updates = Updates(world, runner, stacks, backups, restores, door, releases, feed, local_zone())
    overviews = Overviews(world, runner, stacks, agenda, upkeep, kits, readings, releases, updates, witness)
    return House(
        alerts=Alerts(world, feed),
        settings=world.settings,
        preferences=Preferences(world, begin_anew),
        first_run=FirstRun(world, runner, stacks, life, backups, feed),
        store=world.store,
        runner=runner,
        stacks=stacks,
        life=life,
        door=door,
        targets=targets,
        setup=Setup(world, targets, feed),
        upkeep=upkeep,
        backups=backups,
        restores=restores,
        reports=Reports(world, stacks, upkeep),
        kits=kits,
        recover=Recover(world, stacks, kits, restores, begin_anew, on_point),
        browse=browse,
        put_backs=PutBacks(world, runner, stacks, targets, browse),
        watch=Watch(world, stacks, life, door, rescues, readings, witness, overviews, feed),
        overviews=overviews,
        people=People(world.store, world.clock),
        drills=drills,
        beacon=Beacon(world),
        calendar=Calendar(world, agenda, backups, upkeep, drills, kits, updates, feed),
        letters=Letters(world, overviews, writer, local_zone()),
        readings=readings,
        releases=releases,
        updates=updates,
        witness=witness,
        feed=feed,
        tls=PageTls(world.settings, world.files, world.clock, world.certificates),
    )


def local_zone() -> ZoneInfo:
    """The machine's time zone; UTC if it says nothing that we know."""
    with contextlib.suppress(OSError, ZoneInfoNotFoundError, ValueError):
        name = os.environ.get("TZ") or str(Path("/etc/localtime").resolve()).split("zoneinfo/", 1)[1]
        return ZoneInfo(name)
    return ZoneInfo("UTC")


def run(config: Path) -> int:
    """The daemon's life, until SIGTERM or SIGINT. Returns the exit code: 0, 1 on failure, 2 on bad settings."""
    _speak()
    os.umask(0o077)
    try:
        settings = load_settings(config)
    except GardienError as error:
        _complain(error)
        return 2
    try:
        asyncio.run(_live(settings, config))
    except GardienError as error:
        _complain(error)
        return 1
    return 0


def _complain(error: GardienError) -> None:
    """Why we do not start: the sentence, every mistake there is, what to do."""
    log.error("%s", "\n".join(filter(None, (str(error.says), error.detail, str(error.remedy)))))


async def _live(settings: Settings, config: Path) -> None:
    """One life after the other: a new one begins where the settings file was written anew, as by a recovery."""
    folders = settings.folders
    files = LocalFiles()
    for folder in (folders.run, folders.state, folders.owner, folders.owner / "stacks", settings.secrets):
        await files.make_folder(folder, None, 0o700)
    systemd = Systemd()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with contextlib.closing(OnlyOne(folders.state / "lock")), Doorstep() as doorstep:
        while not stop.is_set():
            await _one_life(settings, config, systemd, stop, doorstep)
            if not stop.is_set():
                log.info("beginning anew with %s", config)
                settings = await asyncio.to_thread(load_settings, config)
    log.info("stopped")


async def _one_life(
    settings: Settings, config: Path, systemd: Systemd, stop: asyncio.Event, doorstep: Doorstep
) -> None:
    """Recover first, then answer the door, then watch and keep the calendar; until `stop`, or the settings change."""
    await process.reap(settings.folders.run / "children")
    async with neighbours(settings, config=config) as world:
        over = asyncio.Event()
        held = partial(asyncio.to_thread, under_way, settings.folders.state)
        house = household(world, _plug_puller(), over.set, held)
        # Before anybody can ask for a job: one that was just begun must not be taken for one of a former life.
        await house.runner.recover()
        await house.recover.go_on()
        async with _stopped_at_last(house), serve(house, doorstep, settings.folders.state / TEMPLATES):
            tasks = [
                asyncio.create_task(house.watch.run(), name="watch"),
                asyncio.create_task(house.door.run(house.feed), name="door"),
                asyncio.create_task(house.beacon.run(), name="beacon"),
                asyncio.create_task(house.letters.run(), name="letters"),
                asyncio.create_task(house.readings.run(), name="readings"),
                asyncio.create_task(house.releases.run(), name="releases"),
                asyncio.create_task(house.witness.run(), name="witness"),
                asyncio.create_task(house.calendar.run(), name="calendar"),
                asyncio.create_task(house.first_run.run(), name="first run"),
                asyncio.create_task(_settle(), name="settle"),
            ]
            beating = asyncio.create_task(_beat(systemd, house.overviews, world.store), name="watchdog")
            ending = [asyncio.create_task(each.wait()) for each in (stop, over)]
            systemd.ready(f"gardien {__version__} watches")
            log.info("gardien %s is up: %s/", __version__, settings.page.url)
            try:
                await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
            finally:
                log.info("stopping: what runs is undone first")
                if stop.is_set():
                    systemd.stopping()
                for task in (*tasks, *ending):
                    task.cancel()
                # Side by side: an application that is paused waits for no task that takes its time to end.
                await asyncio.gather(house.runner.stop(), *tasks, *ending, return_exceptions=True)
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)


@contextlib.asynccontextmanager
async def _stopped_at_last(house: House) -> AsyncIterator[None]:
    """What was taken up again is undone should we not come up, because the page's port is taken, say."""
    try:
        yield
    finally:
        await house.browse.stop()
        await house.runner.stop()


async def _settle() -> None:
    """What was loaded stays: the search for garbage need not walk through it again and again, a tenth of a second each
    time in which nobody is answered.
    """
    await asyncio.sleep(SETTLED)
    gc.unfreeze()  # what a former life left
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


async def _beat(systemd: Systemd, overviews: Overviews, store: Store) -> None:
    """Tell systemd that the loop turns and the store answers, and in one line how things stand."""
    said = ""
    while systemd.interval is not None:
        await store.answers()
        says = str((await overviews.now()).says)
        if says != said:
            systemd.status(says)
            said = says
        systemd.alive()
        await asyncio.sleep(systemd.interval)


def _plug_puller() -> OnPoint | None:
    """What kills or holds this very process where a test asks for it; nothing in a normal life."""
    points = {point: name for name in PLUGS for point in os.environ.get(name, "").split(",") if point}
    if not points:
        return None

    def pull(kind: str, step: str, moment: Moment) -> None:
        point = f"{kind}/{step}/{moment}"
        if (name := points.pop(point, None)) is not None:
            log.critical("%s: at %s", name, point)
            os.kill(os.getpid(), PLUGS[name])

    return pull


async def examine(config: Path) -> list[tuple[Words, GardienError | None]]:
    """For `gardien check`: every thing that was looked at, and what is wrong with it. Changes nothing.

    Raises BadInput when the settings themselves cannot be read; then nothing else can be looked at.
    """
    settings = load_settings(config)
    found: list[tuple[Words, GardienError | None]] = [(Words.of(N_("settings {file}"), file=str(config)), None)]

    async def look(label: Words, question: Awaitable[object]) -> None:
        try:
            await question
        except GardienError as error:
            found.append((label, error))
        except Exception as error:
            log.debug("check", exc_info=error)
            found.append((label, unexpected(error)))
        else:
            found.append((label, None))

    with tempfile.TemporaryDirectory(prefix="gardien-check-") as empty:
        never_ran = not (settings.folders.state / DATABASE).exists()
        async with neighbours(settings, Path(empty) / DATABASE if never_ran else None) as world:
            await _look_around(world, look)
    return found


async def _look_around(world: World, look: Callable[[Words, Awaitable[object]], Awaitable[None]]) -> None:
    settings = world.settings
    for name in await world.shelf.recipes():
        await look(Words.of(N_("stack {name}"), name=name), world.shelf.recipe(name))
    await look(Words.of(N_("choices of the owner")), world.shelf.all_chosen())
    await look(Words.of(N_("data disk {folder}"), folder=str(settings.folders.data)), disk.look(world))
    await look(Words.of(N_("Docker")), world.engine.ping())
    await look(Words.of(N_("restic")), world.restic.version())
    for target in settings.targets:
        await look(Words.of(N_("backup target {name}"), name=target), world.restic.identity(target))


def _speak() -> None:
    """To the journal with its priorities, to a terminal with times."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_Journal("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Journal(logging.Formatter):
    """`<3>text`: what systemd reads as a priority."""

    LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def format(self, record: logging.LogRecord) -> str:
        level = next((syslog for least, syslog in self.LEVELS if record.levelno >= least), 7)
        return f"<{level}>" + super().format(record).replace("\n", f"\n<{level}>")
