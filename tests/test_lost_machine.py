"""What the README promises for the day the machine dies: its settings and secrets, kept elsewhere, bring all back."""

import shutil

from tests.conftest import sftp_target
from tests.world.box import box, free_port
from tests.world.practice import differences, fill, rows, tree
from tests.world.sftp import SftpHost


def test_settings_and_secrets_on_a_blank_machine_bring_everything_back(host: SftpHost) -> None:
    with box(sftp_target(host)) as old, box(sftp_target(host)) as new:
        old.start()
        old.gardien("target", "init", "host")
        old.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        old.until_well("nextcloud")
        fill(old, 60)
        old.gardien("backup", "create", "nextcloud")
        files_before, rows_before = tree(old), rows(old)
        old.stop()
        old.compose("nextcloud", "down")

        # The owner kept the settings file (both boxes have the same one but for their folders) and the secrets.
        shutil.copytree(old.root / "owner" / "secrets", new.root / "owner" / "secrets")
        new.start()
        assert new.json("stack", "list") == []
        new.gardien("target", "init", "host")
        told = new.gardien("restore", "nextcloud", "--new-disk", "--yes")
        assert "it answers" in told.stdout
        files_after = tree(new)
        for files in (files_before, files_after):
            del files["nextcloud/.gardien/compose/.env"]  # it names folders, which are others on this machine
        assert differences(files_before, files_after) == []
        assert rows(new) == rows_before
        new.until_well("nextcloud", 30)
        new.gardien("backup", "create", "nextcloud")
        assert new.json("backup", "list", "nextcloud")[0]["good"] is True
        new.stop()
