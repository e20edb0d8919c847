"""The pages of the house's settings: each change is shown first, then made; the last one can be taken back."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from gardien.errors import GardienError
from gardien.faces import settings_asks as asks
from gardien.faces import settings_forms as asked
from gardien.faces.backup_pages import TARGET
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, look
from gardien.faces.settings_asks import Section
from gardien.model.edit import Edit
from gardien.model.fault import Fault, Faults
from gardien.model.settings import Settings
from gardien.services.upkeep import Proposal
from gardien.words import N_, Words

GO, BACK = "go", "back"  # the buttons below what was shown
SECTION = r"/settings/{section:letters|second-way|watcher|warnings|schedules|updates|language}"
PLACE, TIMES = f"{TARGET}/settings", f"{STACK}/times"
PASSWORD = "password"  # noqa: S105  (the field's name)
HELD = "held"  # in a form that is shown again: what was typed as the password is kept, though not shown


@dataclass(frozen=True, slots=True)
class Stand:
    """A section and what holds of it."""

    section: Section
    rows: Sequence[asked.Change]  # `before` is what holds
    on: bool


@dataclass(frozen=True, slots=True)
class Clearing:
    """What a change of retention would do with the backups of one stack."""

    stack: str
    there: int
    goes: int  # by and by
    before: int  # what goes as retention is now
    frozen: Words | None  # why nothing goes at present


async def settings_page(request: web.Request) -> web.Response:
    """All settings, as they are."""
    return await _index(request)


async def _index(request: web.Request, wrong: GardienError | None = None) -> web.Response:
    house = request.app[HOUSE]
    shown, settings = await look(request), house.preferences.now
    return request.app[SCREEN].page(
        request,
        "house_settings.html",
        400 if wrong else 200,
        **shown.context(),
        stands=[stand(each, settings) for each in asks.sections(settings)],
        targets=shown.overview.targets,
        kept=[each.name for each in shown.overview.stacks if each.kept],
        way_back=await house.preferences.former() is not None,
        said=next((each for each in ("saved", "sent", "told", "removed") if each in request.query), None),
        wrong=wrong,
    )


def stand(section: Section, settings: Settings) -> Stand:
    """A section as it is."""
    holds = asked.values(section, settings)
    rows = []
    if section.place is not None:
        said = asked.said_keep(settings.targets[section.place].keep)
        rows.append(asked.Change(Words.of(N_("What stays")), said, said))
    for ask in section.asks:
        if "keep" in ask.path:
            continue
        said = asked.said(ask, holds[ask.name])
        if holds[ask.name] is None and (common := asked.common(ask, settings)) is not None:
            said = Words.of(N_("{what}: {more}"), what=said, more=common)
        rows.append(asked.Change(ask.says, said, said))
    return Stand(section, rows, asked.is_on(section, settings))


async def _section(request: web.Request) -> Section:
    house = request.app[HOUSE]
    if "name" in request.match_info:
        return asks.of_stack((await house.stacks.kept(request.match_info["name"])).name)
    if "target" in request.match_info:
        name = house.targets.known(request.match_info["target"])
        return asks.place(name, house.preferences.now.targets[name])
    found = asks.section(request.match_info["section"], house.preferences.now)
    if found is None:
        raise web.HTTPNotFound
    return found


async def section_page(request: web.Request) -> web.Response:
    """One section, as a form."""
    section, settings = await _section(request), request.app[HOUSE].preferences.now
    return await _form(request, section, asked.as_form(section, asked.values(section, settings)))


async def _form(
    request: web.Request, section: Section, form: Mapping[str, str], wrong: GardienError | None = None
) -> web.Response:
    house = request.app[HOUSE]
    secret = section.secret.file(house.preferences.now) if section.secret is not None else None
    held = secret is not None and request.method == "POST" and await house.preferences.holds(secret)
    return request.app[SCREEN].page(
        request,
        "house_form.html",
        400 if wrong else 200,
        section=section,
        crumb=await _crumb(request, section),
        form=form,
        error=wrong,
        faults=_beside(section, wrong),
        days=asks.DAYS,
        on=asked.is_on(section, house.preferences.now),
        rows={ask.name: asked.rows(form, ask.name) for ask in section.asks},
        held=held,
        has_password=held or (secret is not None and await house.preferences.has(secret)),
    )


async def _crumb(request: web.Request, section: Section) -> str | None:
    """What the page is called that it belongs to; None: the settings of the house."""
    if section.stack is None:
        return section.place
    stack = await request.app[HOUSE].stacks.get(section.stack)
    return stack.manifest.title.say(request.app[SCREEN].language(request))


def _beside(section: Section, wrong: GardienError | None) -> Mapping[str, Fault]:
    """By a question's name, what is wrong with its answer."""
    faults = wrong.faults if isinstance(wrong, Faults) else ()
    return {
        ask.name: asked.beside(ask, each)
        for ask in section.asks
        for each in faults
        if each.at[: len(ask.path)] == ask.path
    }


async def change(request: web.Request) -> web.Response:
    """Say what changes, then change it."""
    section, house = await _section(request), request.app[HOUSE]
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    password, held_before = form.pop(PASSWORD, None), form.pop(HELD, None)
    if BACK in form:
        return await _form(request, section, form)
    settings = house.preferences.now
    secret = section.secret.file(settings) if section.secret is not None and "off" not in form else None
    try:
        if secret is not None and GO not in form and (password or not held_before):
            await house.preferences.hold(secret, password or None)
        changed = asked.changes(section, form, settings)
        if GO in form:
            await house.preferences.apply(changed, secret=secret)
            raise web.HTTPSeeOther("/first-run" if house.first_run.open else f"{section.home}?saved")
        held = secret is not None and await house.preferences.holds(secret)
        edit = await house.preferences.draft(changed) if changed or not held else None
        clearings = await _clearings(request, section, edit) if edit is not None else None
    except GardienError as error:
        return await _form(request, section, form, error)
    return request.app[SCREEN].page(
        request,
        "house_changes.html",
        section=section,
        crumb=await _crumb(request, section),
        form=form,
        differences=asked.differences(section, changed, settings),
        new_password=held,
        lines=_lines(edit) if edit is not None else "",
        clearings=clearings,
        keeps=clearings is not None and await _keeps(request, section, edit),
        titles=(await look(request)).titles if clearings else {},
    )


async def _clearings(request: web.Request, section: Section, edit: Edit) -> list[Clearing] | None:
    """What would be forgotten by and by, where fewer are to stay; None: that is not what changes."""
    house, name = request.app[HOUSE], section.place
    if name is None or edit.settings.targets[name].keep == house.preferences.now.targets[name].keep:
        return None
    now = {each.stack: _goes(each) for each in await house.upkeep.proposals(name)}
    return [
        Clearing(each.stack, len(each.snapshots), _goes(each), now[each.stack], each.ruling.frozen)
        for each in await house.upkeep.proposals(name, edit.settings.targets[name].keep)
    ]


async def _keeps(request: web.Request, section: Section, edit: Edit | None) -> bool:
    if section.place is None or edit is None:
        return False
    return await request.app[HOUSE].upkeep.keeps(section.place, edit.settings.targets[section.place])


def _goes(proposal: Proposal) -> int:
    return len(proposal.ruling.remove) + len(proposal.ruling.later)


def _lines(edit: Edit) -> str:
    found: list[str] = []
    for each in edit.rewrites:
        name, before, after = each.file.name, each.before.splitlines(), each.after.splitlines()
        found += difflib.unified_diff(before, after, name, name, "", "", 1, "")
    return "\n".join(found)


async def way_back_page(request: web.Request) -> web.Response:
    """What taking the last change back will do."""
    edit = await request.app[HOUSE].preferences.former()
    if edit is None:
        raise web.HTTPSeeOther("/settings")
    return request.app[SCREEN].page(request, "house_back.html", lines=_lines(edit))


async def way_back(request: web.Request) -> web.Response:
    """Take it back."""
    try:
        await request.app[HOUSE].preferences.take_back()
    except GardienError as error:
        return await _index(request, error)
    raise web.HTTPSeeOther("/settings?saved")


async def test_letter(request: web.Request) -> web.Response:
    """Send a letter that says that letters arrive."""
    return await _sent(request, second=False)


async def test_second_way(request: web.Request) -> web.Response:
    """Say on the second way that it works."""
    return await _sent(request, second=True)


async def _sent(request: web.Request, *, second: bool) -> web.Response:
    try:
        await request.app[HOUSE].letters.test(second=second)
    except GardienError as error:
        return await _index(request, error)
    raise web.HTTPSeeOther("/settings?told" if second else "/settings?sent")


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/settings", settings_page),
        web.get("/settings/back", way_back_page),
        web.post("/settings/back", way_back),
        web.post("/settings/letters/test", test_letter),
        web.post("/settings/second-way/test", test_second_way),
        web.get(SECTION, section_page),
        web.post(SECTION, change),
        web.get(PLACE, section_page),
        web.post(PLACE, change),
        web.get(TIMES, section_page),
        web.post(TIMES, change),
    ]
