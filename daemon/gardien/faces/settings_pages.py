"""The pages of the house's settings: each change is shown first, then made; the last one can be taken back."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from gardien.errors import GardienError
from gardien.faces import settings_forms as forms
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.settings_forms import LETTERS, Section
from gardien.model.fault import Fault, Faults
from gardien.model.settings import Settings

GO, BACK = "go", "back"  # the buttons below what was shown
SECTION = r"/settings/{section:letters|schedules|updates|language}"
PASSWORD = "password"  # noqa: S105  (the field's name)


@dataclass(frozen=True, slots=True)
class Stand:
    """A section and what holds of it."""

    section: Section
    rows: Sequence[forms.Change]  # `before` is what holds


async def settings_page(request: web.Request) -> web.Response:
    """All settings, as they are."""
    return await _index(request)


async def _index(request: web.Request, wrong: GardienError | None = None) -> web.Response:
    house = request.app[HOUSE]
    settings = house.preferences.now
    former = await house.preferences.former()
    return request.app[SCREEN].page(
        request,
        "house_settings.html",
        400 if wrong else 200,
        stands=[_stand(each, house.preferences.now) for each in forms.sections(settings)],
        letters_on=settings.mail is not None,
        targets=await house.upkeep.views(),
        way_back=former is not None and former.after != former.before,
        said=next((each for each in ("saved", "sent", "removed") if each in request.query), None),
        wrong=wrong,
    )


def _stand(section: Section, settings: Settings) -> Stand:
    holds = forms.values(section, settings)
    rows = []
    for ask in section.asks:
        said = forms.said(ask, holds[ask.name])
        rows.append(forms.Change(ask.says, said, said))
    return Stand(section, rows)


def _section(request: web.Request) -> Section:
    found = forms.section(request.match_info["section"], request.app[HOUSE].preferences.now)
    if found is None:
        raise web.HTTPNotFound
    return found


async def section_page(request: web.Request) -> web.Response:
    """One section, as a form."""
    section, settings = _section(request), request.app[HOUSE].preferences.now
    return await _form(request, section, forms.as_form(section, forms.values(section, settings)))


async def _form(
    request: web.Request, section: Section, form: Mapping[str, str], wrong: GardienError | None = None
) -> web.Response:
    house = request.app[HOUSE]
    return request.app[SCREEN].page(
        request,
        "house_form.html",
        400 if wrong else 200,
        section=section,
        form=form,
        error=wrong,
        faults=_beside(section, wrong),
        days=forms.DAYS,
        on=house.preferences.now.mail is not None,
        has_password=section is LETTERS and await house.preferences.has_password(),
    )


def _beside(section: Section, wrong: GardienError | None) -> Mapping[str, Fault]:
    """By a question's name, what is wrong with its answer."""
    faults = wrong.faults if isinstance(wrong, Faults) else ()
    return {ask.name: each for ask in section.asks for each in faults if f"{each.path}[".startswith(f"{ask.name}[")}


async def change(request: web.Request) -> web.Response:
    """Say what changes, then change it."""
    section, house = _section(request), request.app[HOUSE]
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    password = form.pop(PASSWORD, None)
    if BACK in form:
        return await _form(request, section, form)
    with_password = section is LETTERS and "off" not in form
    try:
        if with_password and GO not in form:
            await house.preferences.hold_password(password or None)
        changed = forms.changes(section, form, house.preferences.now)
        if GO in form:
            await house.preferences.apply(changed, password=with_password)
            raise web.HTTPSeeOther("/first-run" if house.first_run.open else "/settings?saved")
        held = with_password and await house.preferences.holds_password()
        edit = await house.preferences.draft(changed) if changed or not held else None
    except GardienError as error:
        return await _form(request, section, form, error)
    return request.app[SCREEN].page(
        request,
        "house_changes.html",
        section=section,
        form=form,
        differences=forms.differences(section, changed, house.preferences.now),
        new_password=held,
        lines=_lines(edit.before, edit.after) if edit is not None else "",
    )


def _lines(before: str, after: str) -> str:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), "gardien.yaml", "gardien.yaml", "", "", 1, "")
    return "\n".join(found)


async def way_back_page(request: web.Request) -> web.Response:
    """What taking the last change back will do."""
    edit = await request.app[HOUSE].preferences.former()
    if edit is None or edit.after == edit.before:
        raise web.HTTPSeeOther("/settings")
    return request.app[SCREEN].page(request, "house_back.html", lines=_lines(edit.before, edit.after))


async def way_back(request: web.Request) -> web.Response:
    """Take it back."""
    try:
        await request.app[HOUSE].preferences.take_back()
    except GardienError as error:
        return await _index(request, error)
    raise web.HTTPSeeOther("/settings?saved")


async def test_letter(request: web.Request) -> web.Response:
    """Send a letter that says that letters arrive."""
    try:
        await request.app[HOUSE].letters.test()
    except GardienError as error:
        return await _index(request, error)
    raise web.HTTPSeeOther("/settings?sent")


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/settings", settings_page),
        web.get("/settings/back", way_back_page),
        web.post("/settings/back", way_back),
        web.post("/settings/letters/test", test_letter),
        web.get(SECTION, section_page),
        web.post(SECTION, change),
    ]
