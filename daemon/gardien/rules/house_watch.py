"""Which alerts are owed over the machine itself: its disks, what was measured on it, how people come in."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from gardien.model.health import Disk, Severity
from gardien.model.reading import Forecast, Reading
from gardien.model.settings import Watched
from gardien.rules.verdict import Owed
from gardien.words import N_, Words

TIGHT_SHARE = 0.03  # of a disk; less is trouble
LARGE = 50e9  # bytes; on a large disk a tenth of it is no reason to worry
LARGE_TIGHT = 5e9
FEW_NODES, NO_NODES = 0.05, 0.01
SOON, NOT_SOON = 56.0, 70.0  # days until it is full: below, it is told; above, it is over
AGAIN = 1.2  # so much more than where it began must be free before it is over
HELD = timedelta(hours=2)  # how long readings are remembered for this
_CONSEQUENCES = ("stack:", "dies:", "drift:", "job:", "drill:", "unproven:", "backup-late:", "door")

Recent = Mapping[tuple[str, str], Sequence[Reading]]  # of the last two hours, oldest first


# -- disks


def of_disks(disks: Sequence[Disk], forecasts: Mapping[str, Forecast], watched: Watched, open_: Set[str]) -> list[Owed]:
    """One for each disk, the gravest. `open_`: keys of the alerts that are open: what is there ends later."""
    found = [_of_disk(each, forecasts.get(each.path), watched, f"disk:{each.path}" in open_) for each in disks]
    return [each for each in found if each is not None]


def _of_disk(disk: Disk, forecast: Forecast | None, watched: Watched, was: bool) -> Owed | None:
    def owe(severity: Severity, says: str, remedy: str, **values: int) -> Owed:
        return Owed(f"disk:{disk.path}", severity, Words.of(says, path=disk.path, **values), Words.of(remedy))

    if disk.fault == "broken":
        return owe(
            "trouble",
            N_("the disk at {path} answers with errors"),
            N_(
                "It may be dying. Look at its cable, restart the machine once, and if it happens again, have the disk "
                "replaced. What is on it can be brought back from the backups."
            ),
        )
    if not disk.present:
        return owe(
            "trouble",
            N_("the disk at {path} is not there"),
            N_("Look whether it is plugged in, then restart the machine."),
        )
    if disk.fault == "read-only":
        return owe(
            "trouble",
            N_("nothing can be written to the disk at {path} any more"),
            N_(
                "Disks do that to protect what is on them when something is wrong. Restart the machine once; if it "
                "happens again, have the disk replaced."
            ),
        )
    more = AGAIN if was else 1.0
    low = min(disk.total * watched.disk_low / 100, LARGE)
    tight = min(disk.total * TIGHT_SHARE, LARGE_TIGHT, low)
    if disk.total and disk.free < tight * more:
        return owe(
            "trouble",
            N_("the disk at {path} is nearly full"),
            N_("Delete what nobody needs, or get a bigger disk."),
        )
    if disk.nodes is not None and disk.all_nodes and disk.nodes < disk.all_nodes * FEW_NODES * more:
        return owe(
            "trouble" if disk.nodes < disk.all_nodes * NO_NODES * more else "notice",
            N_("the disk at {path} can hold hardly any more files, although there is room"),
            N_("Delete folders with very many small files, or ask the person who helps you."),
        )
    if forecast is not None and forecast.days < (NOT_SOON if was else SOON):
        return owe(
            "notice",
            N_("the disk at {path} will be full in about {count} weeks"),
            N_("Delete what nobody needs, or get a bigger disk, before it is full."),
            count=forecast.weeks,
        )
    if disk.total and disk.free < low * more:
        return owe(
            "notice",
            N_("the disk at {path} is getting full"),
            N_("Delete what nobody needs, or get a bigger disk."),
        )
    return None


def without_consequences(owed: Sequence[Owed], data: Disk | None, open_: Set[str]) -> list[Owed]:
    """Of a data disk that is dead one alert is owed, not one for each thing that lay on it; those that were open
    before stay, since they are not over.
    """
    if data is None or (data.present and not data.fault):
        return list(owed)
    return [each for each in owed if each.key in open_ or not each.key.startswith(_CONSEQUENCES)]


# -- readings


@dataclass(frozen=True, slots=True)
class Line:
    """What is measured is beyond `begin` for so long: an alert. It is over once all of it lies behind `end` again."""

    what: str
    beyond: Literal["above", "below"]
    begin: float
    end: float
    lasting: timedelta
    severity: Severity
    says: str
    remedy: str

    def crossed(self, readings: Sequence[Reading], was: bool) -> bool:
        """`readings`: oldest first, those without a value say nothing."""
        sign, limit = (1 if self.beyond == "above" else -1), (self.end if was else self.begin)
        known = [each for each in readings if each.value is not None]
        if not known:
            return False
        late = [each for each in known if each.at >= known[-1].at - self.lasting]
        enough = was or not self.lasting or known[-1].at - known[0].at >= self.lasting
        return enough and all(each.value is not None and sign * (each.value - limit) > 0 for each in late)


def lines(watched: Watched) -> tuple[Line, ...]:
    """The rules, with what the owner set."""
    now, ten, hour = timedelta(), timedelta(minutes=10), timedelta(hours=1)
    return (
        Line(
            "smart-passed", "below", 0.5, 0.5, now, "trouble",
            N_("the disk {subject} says that it is failing"),
            N_("See that the newest backup is good, then have the disk replaced, this week."),
        ),
        Line(
            "smart-bad-sectors", "above", 20, 20, now, "notice",
            N_("the disk {subject} has spots that cannot be used any more"),
            N_("Disks that begin with this often fail within months. Plan to have it replaced; look at the backups."),
        ),
        Line(
            "smart-wear", "above", 0.9, 0.9, now, "notice",
            N_("the disk {subject} is nearly worn out"),
            N_("It has been written to as much as it was made for. Have it replaced within the next months."),
        ),
        Line(
            "memory-free", "below", 0.04, 0.08, timedelta(minutes=30), "notice",
            N_("this machine has hardly any memory left"),
            N_("Switch off an application that nobody needs, or get a machine with more memory."),
        ),
        Line(
            "load", "above", 4.0, 2.0, hour, "notice",
            N_("this machine has had far too much to do for an hour"),
            N_("If people wait for it: look under Activity what is under way, or restart the machine."),
        ),
        Line(
            "temperature", "above", watched.hot, watched.hot - 5, ten, "notice",
            N_("this machine is too warm ({subject})"),
            N_("See that air gets to it, and that there is no dust in its fan."),
        ),
        Line(
            "under-voltage", "above", 0.5, 0.5, now, "notice",
            N_("this machine does not get enough power"),
            N_("Use the power supply that was made for it, and a short, thick cable: too little can destroy data."),
        ),
        Line(
            "throttled", "above", 0.5, 0.5, hour, "notice",
            N_("this machine has slowed itself down for an hour, to cool off or for want of power"),
            N_("See that air gets to it, and that its power supply is the right one."),
        ),
        Line(
            "certificate-life", "below", 1 / 6, 1 / 6, now, "trouble",
            N_("the certificate of {subject} runs out soon, and was not renewed"),
            N_("Browsers will warn people away from it. Ask the person who helps you."),
        ),
        Line(
            "certificate", "below", 0.0001, 0.0001, hour, "trouble",
            N_("{subject} shows no valid certificate: {why}"),
            N_("Browsers warn people away from it. Ask the person who helps you."),
        ),
        Line(
            "name-leads-here", "below", 0.5, 0.5, hour, "trouble",
            N_("{subject} does not lead to this machine: {why}"),
            N_("Correct the address of the name where you have it registered, or tell your router to update it."),
        ),
        Line(
            "mail-answers", "below", 0.5, 0.5, hour, "notice",
            N_("the mail server {subject} cannot be reached, so letters would not leave"),
            N_("Look at the internet connection; `gardien alert test` says more."),
        ),
    )  # fmt: skip


def of_readings(recent: Recent, watched: Watched, open_: Set[str]) -> list[Owed]:
    """What was measured, held against the lines; the key is what and of what."""
    found: dict[str, Owed] = {}
    for line in lines(watched):
        for (what, subject), readings in recent.items():
            key = f"{what.removesuffix('-life')}:{subject}".rstrip(":")
            if what != line.what or key in found or not line.crossed(readings, key in open_):
                continue
            why = readings[-1].says or Words.of("")
            says = Words.of(line.says, subject=subject, **({"why": why} if "{why}" in line.says else {}))
            found[key] = Owed(key, line.severity, says, Words.of(line.remedy))
    return list(found.values())


# -- how people come in


def leads_here(
    name: str, addresses: Sequence[str], ours: Sequence[str], *, public: bool, now: datetime
) -> Reading | None:
    """Whether a name leads to this machine, as far as that can be told: behind a router its address outside is unknown.

    `public`: the door is open to the internet. None: nothing can be said of the name of a house whose door is at home.
    """

    def so(value: float | None, text: str) -> Reading:
        says = Words.of(text, addresses=", ".join(addresses))
        return Reading("name-leads-here", name, value, now, says)

    if not addresses:
        return so(0.0, N_("nobody knows an address for it")) if public else None
    if set(addresses) & set(ours):
        return so(1.0, N_("it leads to {addresses}"))
    known = [ip_address(each) for each in addresses]
    outside = {each.version for each in map(ip_address, ours) if each.is_global}
    if any(each.is_global and each.version not in outside for each in known):
        return so(None, N_("it leads to {addresses}; whether that is your router cannot be told from here"))
    return so(0.0, N_("it leads to {addresses}"))
