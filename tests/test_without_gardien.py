"""The page docs/without-gardien.md, word by word: plain restic and plain Compose bring everything back."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.world.box import RESTIC, box, docker, free_port
from tests.world.practice import differences, fill, rows, tree

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

        commands = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
        assert commands.count("restic restore") == 1
        (machine.root / "passphrase.txt").write_text(passphrase)
        (machine.root / "bin").mkdir()
        (machine.root / "bin" / "restic").symlink_to(shutil.which(RESTIC) or RESTIC)
        for written, here in (
            ("/mnt/usb/gardien", str(machine.root / "repository")),
            ("/srv/gardien/nextcloud", str(machine.data / "nextcloud")),
            ("passphrase.txt", str(machine.root / "passphrase.txt")),
            ("--project-name nextcloud", f"--project-name {machine.prefix}-nextcloud"),
        ):
            assert written in commands
            commands = commands.replace(written, here)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f'export PATH="{machine.root}/bin:$PATH"\n{commands}'],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert differences(files_before, tree(machine)) == []
        assert rows(machine) == rows_before
        assert "true" in docker("inspect", "--format", "{{.State.Running}}", f"{machine.prefix}-nextcloud-app-1")
