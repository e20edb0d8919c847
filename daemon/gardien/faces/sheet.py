"""What stands on a recovery sheet, for paper and for a terminal. It is shown once; nothing of it is kept or logged."""

from typing import Any

from markupsafe import Markup

from gardien.faces import present, shapes_places
from gardien.faces.screen import Screen
from gardien.model.kit import Sheet
from gardien.services.kit import in_one_line
from gardien.words import N_

Data = dict[str, Any]

# What a login's parts are called on paper.
_LOGIN = {
    "AWS_ACCESS_KEY_ID": N_("Access key"),
    "AWS_SECRET_ACCESS_KEY": N_("Secret key"),
    "RESTIC_REST_USERNAME": N_("User name"),
    "RESTIC_REST_PASSWORD": N_("Password"),
}
_PLACE = {"bucket": N_("Bucket"), "region": N_("Region")}


def rows(sheet: Sheet, language: str) -> list[tuple[str, str]]:
    """The same as in the code, for people: what plain restic and the host ask for."""
    kit = sheet.kit

    def row(label: str, value: object) -> tuple[str, str]:
        return present.translate(label, language), str(value)

    found = [
        row(N_("Machine"), kit.machine),
        row(N_("Place of the backups"), kit.target),
        row(N_("Address"), sheet.address),
        row(N_("Recovery key"), kit.passphrase),
    ]
    found += [row(label, kit.place[name]) for name, label in _PLACE.items() if name in kit.place]
    found += [row(_LOGIN[name], value) for name, value in kit.login.items() if name in _LOGIN]
    if sheet.fingerprint is not None:
        found.append(row(N_("The server’s fingerprint"), sheet.fingerprint))
    return found


def qr(sheet: Sheet) -> str | None:
    """An SVG of the code, as markup without a foreign reference; None if it is too long for one."""
    import segno  # noqa: PLC0415  (sheets are seldom looked at)

    try:
        made = segno.make(in_one_line(sheet), error="m", micro=False)
    except segno.DataOverflowError:
        return None
    return str(
        made.svg_inline(scale=1, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    )


def context(sheet: Sheet, language: str) -> Data:
    """What the templates read."""
    drawn = qr(sheet)
    return {
        "sheet": sheet,
        "rows": rows(sheet, language),
        "qr": Markup(drawn) if drawn is not None else None,  # noqa: S704  (drawn by us, of signs alone)
        "made_on": present.dated(sheet.made, language),
    }


def standing_alone(screen: Screen, sheet: Sheet, language: str) -> str:
    """The sheet as one file to print: it asks for nothing from anywhere."""
    style = Markup(screen.static_text("sheet.css"))  # noqa: S704  (our own file)
    return screen.text("sheet_file.html", language, **context(sheet, language), style=style)


def as_json(sheet: Sheet, language: str) -> shapes_places.SheetData:
    """For the console's terminal."""
    return {
        "machine": sheet.kit.machine,
        "target": sheet.kit.target,
        "made": sheet.made.isoformat(),
        "new_key": sheet.new_key,
        "rows": [{"label": label, "value": value} for label, value in rows(sheet, language)],
        "lines": list(sheet.lines),
        "code": in_one_line(sheet),
    }
