"""Settings that are changed from the page: the file stays its owner's, with a way back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gardien.adapters.settings_file import edited
from gardien.adapters.shelf import load_settings
from gardien.errors import Busy, Refused
from gardien.model.edit import Changes
from gardien.model.fault import Faults
from gardien.model.plan import Json
from gardien.model.setup import Wish
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

MAIL: dict[str, Json] = {"to": ["owner@practice.example"], "from": "gardien@practice.example", "host": "mail.example"}


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        file = write_settings(root)
        file.write_text(
            "# The house of a practice.\n" + file.read_text() + "# Not too late.\nbackup:\n  at: hourly  # so!\n"
        )
        async with quiet_house(root) as made:
            yield made


def file(quiet: Quiet) -> str:
    return quiet.house.settings.folders.owner.with_name("gardien.yaml").read_text()


def test_one_key_is_changed_and_nothing_else() -> None:
    text = "# mine\nlanguage: 'fr'   # really\nbackup:\n  # at night\n  at: hourly\n  prove: never\n"
    assert edited(text, {("backup", "at"): "daily at 03:00"}) == text.replace("hourly", "daily at 03:00")
    assert edited(text, {("backup", "at"): None, ("backup", "prove"): None}).count("backup") == 0
    assert edited("", {("mail", "host"): "a.example"}) == "mail:\n  host: a.example\n"
    assert edited(text, {("mail", "host"): None}) == text


async def test_a_change_is_shown_then_made_and_taken_back(quiet: Quiet) -> None:
    house, former = quiet.house, file(quiet)
    changes: Changes = {("backup", "at"): "daily at 03:00", ("mail",): MAIL}
    edit = await house.preferences.draft(changes)
    [rewrite] = edit.rewrites
    assert rewrite.before == former == file(quiet) and edit.settings.mail is not None
    await house.preferences.apply(changes)
    assert file(quiet) == rewrite.after and "# so!" in rewrite.after and "# The house of a practice." in rewrite.after
    assert quiet.begun_anew == [True]
    assert load_settings(house.settings.folders.owner.with_name("gardien.yaml")).backup.at == "daily at 03:00"
    await house.preferences.take_back()
    assert file(quiet) == former
    await house.preferences.take_back()
    assert file(quiet) == rewrite.after


async def test_what_cannot_be_changes_nothing(quiet: Quiet) -> None:
    house, former = quiet.house, file(quiet)
    wrongs: tuple[Changes, ...] = (
        {("backup", "at"): "sometimes"},
        {("mail",): {**MAIL, "host": "169.254.169.254"}},
        {("mail",): {**MAIL, "to": []}},
        {("targets", "nowhere", "at"): "hourly"},
    )
    for wrong in wrongs:
        with pytest.raises(Faults):
            await house.preferences.apply(wrong)
    with pytest.raises(Refused):
        await house.preferences.draft({})
    quiet.host.names["mail.example"] = ("169.254.169.254",)
    with pytest.raises(Faults):
        await house.preferences.apply({("mail",): MAIL})
    assert file(quiet) == former and quiet.begun_anew == []


async def test_nothing_that_is_under_way_is_undone_for_it(quiet: Quiet) -> None:
    house = quiet.house
    await house.targets.init("box")
    await house.runner.wait(await house.life.add("demo", {}))
    quiet.hold.clear()
    job = await house.backups.create("demo")
    with pytest.raises(Busy):
        await house.preferences.apply({("language",): "fr"})
    quiet.hold.set()
    await house.runner.wait(job)
    await house.preferences.apply({("language",): "fr"})
    assert quiet.begun_anew == [True]


async def test_a_password_waits_for_the_settings_it_belongs_to(quiet: Quiet) -> None:
    house, secret = quiet.house, quiet.house.settings.mail_password
    await house.preferences.hold(secret, "secret")
    assert not await quiet.files.exists(secret) and await house.preferences.holds(secret)
    await house.preferences.apply({}, secret=secret)
    assert await quiet.files.read(secret) == "secret\n"
    assert not await house.preferences.holds(secret) and quiet.begun_anew == []


async def test_a_place_with_a_file_of_its_own_keeps_its_comments_and_has_a_way_back(
    quiet: Quiet, tmp_path: Path
) -> None:
    house, shelf = quiet.house, quiet.house.preferences
    await house.setup.add(Wish("usb", "disk", {"folder": str(tmp_path / "usb")}))
    own = house.settings.folders.owner / "targets/usb.yaml"
    own.write_text(own.read_text() + "# Ask Anna before this is changed.\nkeep: {daily: 7} # a week\n")
    former, main = own.read_text(), file(quiet)
    await shelf.apply({("targets", "usb", "keep", "daily"): 30, ("targets", "usb", "append_only"): True})
    assert (
        own.read_text() == former.replace("daily: 7} ", "daily: 30} ") + "append_only: true\n" and file(quiet) == main
    )
    with pytest.raises(Faults) as wrong:
        await shelf.draft({("targets", "usb", "keep", "verified"): 0})
    assert wrong.value.faults[0].at[:4] == ("targets", "usb", "keep", "verified")
    await shelf.take_back()
    assert own.read_text() == former
    await shelf.apply({("backup", "at"): "daily at 03:00", ("targets", "usb", "at"): "hourly"})
    both = own.read_text(), file(quiet)
    assert both[0] == former + "at: hourly\n" and "daily at 03:00" in both[1]
    await shelf.take_back()
    assert (own.read_text(), file(quiet)) == (former, main)
    await shelf.apply({("language",): "fr"})  # the way back leads from here now
    await shelf.take_back()
    assert (own.read_text(), file(quiet)) == (former, main)
