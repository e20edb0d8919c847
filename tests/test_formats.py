"""What a former release saved comes back with this one, on a machine that knows nothing."""

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from tests.data.make import DATABASE, STACK, former, listing
from tests.world.box import box
from tests.world.notes import lay_out

FORMATS = sorted(Path(__file__).with_name("data").glob("format-*"))


def test_there_is_one_of_the_first_release() -> None:
    assert FORMATS[0].name == "format-1"


@pytest.mark.parametrize("kept", FORMATS, ids=lambda each: each.name)
def test_it_comes_back(kept: Path, tmp_path: Path) -> None:
    snapshot = json.loads((kept / "snapshot.json").read_text())
    with former(kept, tmp_path / "repository"), box() as machine:
        shutil.move(tmp_path / "repository", machine.root)
        machine.passphrase.parent.mkdir(parents=True)
        shutil.copy(kept / "passphrase", machine.passphrase)
        lay_out(machine, STACK)
        machine.start()
        machine.gardien("target", "init", "host")
        told = machine.gardien("restore", STACK, "--new-disk", "--yes").stdout
        then = datetime.fromisoformat(snapshot["taken"]).astimezone()
        assert f"is back as of {then:%A}" in told, told
        assert "all verified" in told
        machine.until_well(STACK)
        srv = machine.data / STACK / "srv"
        assert listing(srv / "practice") == json.loads((kept / "listing.json").read_text())
        assert (srv / "database").read_text() == DATABASE
        assert machine.json("stack", "show", STACK)["settings"]["GREETING"] == "from a former release"
        machine.gardien("backup", "create", STACK)
        assert machine.json("backup", "list", STACK)[0]["good"] is True
        machine.stop()
