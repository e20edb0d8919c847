"""Does what a page says, word by word: plain restic and plain Compose, nothing of gardien."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.world.box import Box
from tests.world.restic import RESTIC


def follow(box: Box, page: Path, stack: str, passphrase: Path) -> None:
    """Run the page's commands that bring `stack` back, on the box's own folders. Fails if one of them does."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    commands = "\n".join(block for block in blocks if "restic" in block or f"/srv/gardien/{stack}" in block)
    assert commands.count("restic restore") == 1
    programs = box.root / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "restic").exists():
        (programs / "restic").symlink_to(shutil.which(RESTIC) or RESTIC)
    for written, here in (
        ("/mnt/usb/gardien", str(box.root / "repository")),
        (f"/srv/gardien/{stack}", str(box.data / stack)),
        ("passphrase.txt", str(passphrase)),
        (f"--project-name {stack}", f"--project-name {box.prefix}-{stack}"),
    ):
        assert written in commands
        commands = commands.replace(written, here)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'export PATH="{programs}:$PATH"\n{commands}'],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
