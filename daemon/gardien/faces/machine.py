"""The machine itself: what was read of it, in words and in small lines, on a page of its own and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from aiohttp import web

from gardien.errors import BadInput
from gardien.faces import asked, present, shapes
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import told
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import look
from gardien.model.health import Disk
from gardien.model.reading import UNITS, Forecast, Point, Reading, Unit
from gardien.services.house import House
from gardien.words import N_

Data = dict[str, object]

LABEL: Mapping[str, str] = MappingProxyType(
    {
        "disk-free": N_("Free room"),
        "disk-size": N_("Size"),
        "disk-files": N_("Room for more files"),
        "disk-well": N_("Works"),
        "smart-passed": N_("The disk calls itself sound"),
        "smart-wear": N_("Worn"),
        "smart-bad-sectors": N_("Spots that failed"),
        "memory-free": N_("Free memory"),
        "swap-used": N_("Memory lent out to the disk"),
        "load": N_("Work, for each processor"),
        "temperature": N_("Temperature"),
        "under-voltage": N_("Too little power"),
        "throttled": N_("Slowed down"),
        "clock-set": N_("The network sets the clock"),
        "docker-answers": N_("Docker answers"),
        "certificate": N_("Certificate"),
        "certificate-life": N_("Life left of the certificate"),
        "name-leads-here": N_("Leads to this machine"),
        "mail-answers": N_("Can be reached"),
    }
)
DRAWN = ("memory-free", "load", "temperature")  # as lines; the others say enough as they are
WORTH_IT = 4  # points; fewer are no line
DISKS = ("smart-passed", "smart-wear", "smart-bad-sectors")
OUTSIDE = ("certificate", "name-leads-here", "mail-answers")
SPANS: Mapping[int, str] = MappingProxyType({2: N_("Two days"), 30: N_("A month"), 400: N_("A year")})
WIDTH, HEIGHT, STEPS = 300, 56, 100  # of a line, in its own units; so many points at most
ROWS = 10  # of the table beside it, at most


@dataclass(frozen=True, slots=True)
class Row:
    """What was read within a tenth of the time that is shown, in words."""

    begin: datetime
    least: str
    mean: str
    most: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A line as SVG paths, its end at the right; the least and the most, in words; and the same as a table."""

    line: str
    band: str
    least: str
    most: str
    rows: tuple[Row, ...]


def value(what: str, number: float | None, language: str) -> str:
    """As people say it."""
    if number is None:
        return present.translate(N_("not known"), language)
    unit = UNITS[what]
    if unit == "bytes":
        return present.size(number, language)
    if unit == "share":
        return present.percent(number, language)
    if unit == "degrees":
        return f"{present.number(round(number), language)}{present.NBSP}°C"
    if unit == "days":
        left = N_("good for {count} more days") if number > 0 else N_("not valid")
        return present.translate(left, language, count=int(number))
    if unit == "yes":
        return present.translate(N_("yes") if number else N_("no"), language)
    return present.number(round(number, 1), language)


def trend(what: str, points: Sequence[Point], days: int, now: datetime, language: str) -> Trend | None:
    """None where too little is known."""
    began, wide = now - timedelta(days=days), timedelta(days=days) / STEPS
    groups: dict[int, list[Point]] = {}
    for each in points:
        if began <= each.at <= now:
            groups.setdefault(int((each.at - began) / wide), []).append(each)
    if len(groups) < WORTH_IT:
        return None
    least = min(each.least for each in points)
    most = max(each.most for each in points)
    low, high = (least, most) if most > least else (least - 1, most + 1)

    def place(step: int, number: float) -> str:
        return f"{(step + 0.5) * WIDTH / STEPS:.0f} {2 + (HEIGHT - 4) * (high - number) / (high - low):.1f}"

    line: list[str] = []
    bands: list[tuple[list[str], list[str]]] = []
    before: int | None = None
    for step, group in sorted(groups.items()):
        mean = sum(each.mean for each in group) / len(group)
        # Where the machine was off the line stops; a reading each day is no gap in a month of them.
        gap = before is None or (step - before) * wide > max(3 * wide, timedelta(days=2))
        line.append(("M" if gap else "L") + place(step, mean))
        if gap:
            bands.append(([], []))
        bands[-1][0].append(place(step, max(each.most for each in group)))
        bands[-1][1].insert(0, place(step, min(each.least for each in group)))
        before = step
    band = "".join("M" + "L".join([*upper, *lower]) + "Z" for upper, lower in bands)
    rows = _table(what, groups, began, wide, language)
    return Trend("".join(line), band, value(what, least, language), value(what, most, language), rows)


def _table(
    what: str, groups: Mapping[int, Sequence[Point]], began: datetime, wide: timedelta, language: str
) -> tuple[Row, ...]:
    """Newest first; times of which nothing is known are left out."""
    rows = []
    for row in reversed(range(ROWS)):
        steps = range(row * STEPS // ROWS, (row + 1) * STEPS // ROWS)
        points = [each for step in steps for each in groups.get(step, ())]
        if points:
            figures = (
                min(each.least for each in points),
                sum(each.mean for each in points) / len(points),
                max(each.most for each in points),
            )
            rows.append(Row(began + steps[0] * wide, *(value(what, each, language) for each in figures)))
    return tuple(rows)


async def page(request: web.Request) -> web.Response:
    """Every disk and sensor, with what was read of it lately."""
    shown, house = await look(request), request.app[HOUSE]
    asked_days = request.query.get("days", "")
    days = int(asked_days) if asked_days.isdecimal() and int(asked_days) in SPANS else 30
    latest, now = shown.overview.readings, shown.overview.now
    lines = {
        each.key: trend(each.what, await house.readings.history(*each.key, days), days, now, shown.language)
        for each in latest
        if each.what in DRAWN or each.what == "disk-free"
    }
    context = {
        **shown.context(),
        "days": days,
        "spans": SPANS,
        "lines": lines,
        "label": LABEL,
        "measured": [each for each in latest if each.what in DRAWN],
        "of_disks": [each for each in latest if each.what in DISKS],
        "outside": [each for each in latest if each.what in OUTSIDE],
        "rest": [
            each
            for each in latest
            if each.what not in (*DRAWN, *DISKS, *OUTSIDE, "certificate-life") and not each.what.startswith("disk-")
        ],
        "say_value": lambda each: value(each.what, each.value, shown.language),
        "say_forecast": lambda disk: present.outlook(shown.overview.forecasts.get(disk.path), shown.language),
    }
    return request.app[SCREEN].page(request, "machine.html", **context)


# -- for programs


def reading(each: Reading, language: str) -> shapes.ReadingData:
    """`value` in `unit` (a share is 0 to 1); null where it cannot be read, and `says` may tell why."""
    return {
        "what": each.what,
        "subject": each.subject,
        "label": present.translate(LABEL[each.what], language),
        "value": each.value,
        "unit": UNITS[each.what],
        "shown": value(each.what, each.value, language),
        "says": present.say(each.says, language) if each.says else None,
        "at": present.utc(each.at),
    }


def disk(each: Disk, found: Forecast | None, language: str) -> shapes.DiskOutlookData:
    """A file system; `full_in_days` where it fills steadily."""
    return {
        "path": each.path,
        "total": each.total,
        "free": each.free,
        "present": each.present,
        "fault": each.fault or None,
        "full_in_days": round(found.days, 1) if found else None,
        "forecast": present.outlook(found, language) or None,
    }


class MachineApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    @told({"disks": list[shapes.DiskOutlookData], "readings": list[shapes.ReadingData]})
    async def machine(self, request: web.Request) -> web.Response:
        """The disks and the newest readings."""
        overview, language = await self._house.overviews.now(), asked.language(request)
        disks = [disk(each, overview.forecasts.get(each.path), language) for each in overview.disks]
        return web.json_response({"disks": disks, "readings": [reading(each, language) for each in overview.readings]})

    @told({"unit": Unit, "points": list[shapes.PointData]}, query={"what": str, "subject": str, "days": int})
    async def history(self, request: web.Request) -> web.Response:
        """What was read in so many `days`, oldest first."""
        what, days = request.query.get("what", ""), request.query.get("days", "30")
        if what not in UNITS or not days.isdecimal() or not 1 <= int(days) <= 400:
            raise BadInput(
                N_("there are no such readings"),
                N_("Name one under `what`, as `gardien machine --json` lists them, and from 1 to 400 `days`."),
            )
        points = await self._house.readings.history(what, request.query.get("subject", ""), int(days))
        found = [
            {"at": present.utc(each.at), "least": each.least, "mean": each.mean, "most": each.most} for each in points
        ]
        return web.json_response({"unit": UNITS[what], "points": found})


def routes() -> list[web.RouteDef]:
    """The page."""
    return [web.get("/machine", page)]


def api_routes(house: House) -> list[web.RouteDef]:
    """What programs ask."""
    api = MachineApi(house)
    return [web.get(f"{ROOT}/machine", api.machine), web.get(f"{ROOT}/machine/history", api.history)]
