"""Reads the places for backups that gardien knows: `hosts/`, shipped, and the owner's own beside them."""

import re
from pathlib import Path

from gardien.adapters.document import read, validate
from gardien.errors import BadInput
from gardien.model.fault import Fault, Faults
from gardien.model.preset import Abroad, Foreigner, Hosts, Preset
from gardien.model.settings import NAME
from gardien.rules import hosts
from gardien.words import N_, Words

ABROAD = "abroad"  # the file that lists operators outside Europe; any other one is a preset


def load_hosts(*folders: Path) -> Hosts:
    """Every `*.yaml` in these folders, that need not be there. A later folder's preset takes the place of its namesake.

    Raises `Faults` with every mistake in all of them, with file and line.
    """
    presets: dict[str, Preset] = {}
    abroad: list[Foreigner] = []
    faults: list[Fault] = []
    for file in [file for folder in folders for file in sorted(folder.glob("*.yaml"))]:
        try:
            if file.stem == ABROAD:
                abroad = [*validate(Abroad, read(file.read_text("utf-8"), file)).operators, *abroad]
            else:
                presets[file.stem] = _preset(file)
        except Faults as error:
            faults += error.faults
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(N_("cannot read {file}: {why}"), file=str(file), why=str(error)) from error
    if faults:
        raise Faults(faults)
    return Hosts(presets=presets, abroad=tuple(abroad))


def _preset(file: Path) -> Preset:
    if not re.fullmatch(NAME, file.stem):
        says = Words.of(N_("{name} cannot be a name here"), name=file.stem)
        remedy = Words.of(N_("Use small letters, digits and dashes, beginning with a letter, at most 31."))
        raise Faults([Fault((), says, remedy, file, 1)])
    document = read(file.read_text("utf-8"), file)
    preset = validate(Preset, document)
    if faults := list(hosts.faults_of(preset)):
        raise Faults(document.place(faults))
    return preset
