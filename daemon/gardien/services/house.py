"""The use cases, in one hand: what the faces are given."""

from dataclasses import dataclass

from gardien.model.settings import Settings
from gardien.services.alerts import Alerts
from gardien.services.backup import Backups
from gardien.services.beacon import Beacon
from gardien.services.browse import Browse
from gardien.services.calendar import Calendar
from gardien.services.door import Doorkeeper
from gardien.services.drill import Drills
from gardien.services.feed import Feed
from gardien.services.kit import Kits
from gardien.services.letters import Letters
from gardien.services.life import Life
from gardien.services.overview import Overviews
from gardien.services.people import People
from gardien.services.ports import Store
from gardien.services.put_back import PutBacks
from gardien.services.readings import Readings
from gardien.services.recover import Recover
from gardien.services.releases import Releases
from gardien.services.reports import Reports
from gardien.services.restore import Restores
from gardien.services.runner import Runner
from gardien.services.setup import Setup
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.services.update import Updates
from gardien.services.upkeep import Upkeep
from gardien.services.watch import Watch
from gardien.services.witness import Witness


@dataclass(frozen=True, slots=True)
class House:
    """Everything that can be asked of gardien."""

    settings: Settings
    store: Store
    alerts: Alerts
    runner: Runner
    stacks: Stacks
    life: Life
    door: Doorkeeper
    targets: Targets
    setup: Setup
    upkeep: Upkeep
    backups: Backups
    restores: Restores
    reports: Reports
    kits: Kits
    recover: Recover
    browse: Browse
    put_backs: PutBacks
    watch: Watch
    overviews: Overviews
    people: People
    drills: Drills
    beacon: Beacon
    calendar: Calendar
    letters: Letters
    readings: Readings
    releases: Releases
    updates: Updates
    witness: Witness
    feed: Feed
