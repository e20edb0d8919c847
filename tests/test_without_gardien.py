"""The page docs/without-gardien.md, word by word: plain restic and plain Compose bring everything back."""

import shutil
from pathlib import Path

from tests.world.box import box, docker, free_port
from tests.world.practice import differences, fill, rows, tree
from tests.world.readme import follow

PAGE = Path(__file__).parents[1] / "docs" / "without-gardien.md"


def test_the_very_commands_of_the_page_bring_everything_back() -> None:
    with box() as machine:
        machine.start()
        machine.gardien("target", "init", "host")
        machine.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        machine.until_well("nextcloud")
        fill(machine, 60)
        machine.gardien("backup", "create", "nextcloud")
        files_before, rows_before = tree(machine), rows(machine)
        machine.compose("nextcloud", "down")
        machine.stop()
        passphrase = machine.passphrase.read_text()
        shutil.rmtree(machine.data)
        shutil.rmtree(machine.root / "owner")  # gardien, its settings and its secrets are gone for good
        shutil.rmtree(machine.root / "state")

        (machine.root / "passphrase.txt").write_text(passphrase)
        follow(machine, PAGE, "nextcloud", machine.root / "passphrase.txt")
        assert differences(files_before, tree(machine)) == []
        assert rows(machine) == rows_before
        assert "true" in docker("inspect", "--format", "{{.State.Running}}", f"{machine.prefix}-nextcloud-app-1")
