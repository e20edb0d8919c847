"""gardien's own memory is damaged: the house goes on, and says so."""

import os
import urllib.request

from tests.faults.houses import STACK, House
from tests.world.box import docker, until


def test_row_28_the_state_database_is_damaged(home: House) -> None:
    """Set aside and begun anew; the page comes up, what runs goes on, and the backups are known again."""
    machine = home.box
    home.is_well()
    known = {each["id"]: each["files"] for each in machine.json("backup", "list", STACK) if each["good"]}
    running = docker("ps", "--quiet", "--filter", f"name={machine.prefix}").split()
    machine.stop()
    database = machine.root / "state" / "gardien.db"
    with database.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(database.stat().st_size - 100))
    machine.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.page_port}/healthz", timeout=5) as page:
        assert page.status == 200
    assert docker("ps", "--quiet", "--filter", f"name={machine.prefix}").split() == running
    machine.until_well(STACK)
    until(lambda: "memory-lost" in {each["key"] for each in machine.status()["alerts"]})
    assert list(database.parent.glob("gardien.db.damaged-*")), "it may still be of use to somebody"
    assert machine.gardien("user", "link").stdout.strip()
    machine.gardien("target", "init", "host")
    again = {each["id"]: each["files"] for each in machine.json("backup", "list", STACK)}
    assert known.items() <= again.items()
    home.is_well()
