"""The pages of the first run: from an empty machine to applications that run and are saved, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from gardien.errors import GardienError
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import look
from gardien.model.fault import Fault, Faults
from gardien.model.person import OWNER
from gardien.model.stack import Chosen, Stack
from gardien.services.first_run import NO_DOOR
from gardien.services.house import House
from gardien.words import N_

ROOT = "/first-run"
TITLES: Mapping[str, str] = {
    "account": N_("Your password"),
    "door": N_("At home or on the internet, and under which names"),
    "stacks": N_("Which applications"),
    "places": N_("Where the backups go"),
    "letters": N_("Who gets letters"),
    "sheet": N_("The recovery sheet"),
    "go": N_("Go"),
}
WHERE: Mapping[str, str] = {
    "account": "/account",
    "door": f"{ROOT}/door",
    "stacks": f"{ROOT}/stacks",
    "places": "/targets",
    "letters": "/settings/letters",
    "sheet": "/kit",
    "go": f"{ROOT}/go",
}
LATER = frozenset({"letters", "sheet", "places"})  # what can be done afterwards


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it stands."""

    name: str
    title: str
    address: str
    done: bool
    later: bool  # it was put off
    next: bool = False


@web.middleware
async def mark(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every page says while the house is being set up."""
    first_run = request.app[HOUSE].first_run
    if first_run.open:  # until it is over; then nothing is asked any more
        await first_run.load()
    request["first_run"] = first_run.open
    return await handler(request)


async def steps(house: House) -> list[Step]:
    """All steps; the first that is neither done nor put off is next."""
    first_run, views = house.first_run, await house.upkeep.views()
    done = {
        "account": await house.people.has_password(OWNER),
        "door": await first_run.door() is not None,
        "stacks": bool(await first_run.stacks()),
        "places": any(each.ready for each in views),
        "letters": house.preferences.now.mail is not None,
        "sheet": any(each.good for each in await house.kits.views()),
        "go": await first_run.phase() in {"going", "done"},
    }
    later = set(await first_run.later())
    next_ = next((name for name in TITLES if not done[name] and name not in later), None)
    return [
        Step(name, title, WHERE[name], done[name], not done[name] and name in later, name == next_)
        for name, title in TITLES.items()
    ]


async def overview(request: web.Request) -> web.Response:
    """Where one is, and what comes next."""
    return await _overview(request)


async def _overview(request: web.Request, wrong: GardienError | None = None) -> web.Response:
    house = request.app[HOUSE]
    every = await steps(house)
    phase = await house.first_run.phase()
    if phase in {"going", "done"} and wrong is None:
        return await _going(request)
    shown = await look(request)
    return request.app[SCREEN].page(
        request,
        "first_run.html",
        400 if wrong else 200,
        **shown.context(),
        steps=every,
        can_wait=LATER,
        fresh=not any(each.done for each in every if each.name not in ("account", "places", "letters")),
        wrong=wrong,
    )


async def look_at_it(request: web.Request) -> tuple[bool, dict[str, object]]:
    """Whether it goes on by itself, and what the templates read of it."""
    house, shown = request.app[HOUSE], await look(request)
    members = await house.first_run.members()
    phase = await house.first_run.phase()
    failed = any(each.failed for each in members)
    busy = phase == "going" and any(not each.failed and not (each.here and each.saved) for each in members)
    every = await steps(house)
    names = {
        name: (await house.stacks.recipe(name)).manifest.title.say(shown.language) for name in (m.name for m in members)
    }
    return busy, {
        **shown.context(),
        "members": members,
        "phase": phase,
        "failed": failed and not busy,
        "names": {**names, **shown.titles},
        "left": [each for each in every if not each.done],
    }


async def _going(request: web.Request) -> web.Response:
    busy, context = await look_at_it(request)
    return request.app[SCREEN].page(request, "first_run_going.html", **context, busy=busy)


# -- the door


async def door_page(request: web.Request) -> web.Response:
    """At home or on the internet, and under which names."""
    return await _door_page(request)


async def _door_page(
    request: web.Request, values: Mapping[str, str] | None = None, error: GardienError | None = None
) -> web.Response:
    house = request.app[HOUSE]
    doors = await house.first_run.doors()
    answered = await house.first_run.door()
    stack = await _door(house, doors[0], answered) if doors else None
    found = error.faults if isinstance(error, Faults) else ()
    return request.app[SCREEN].page(
        request,
        "first_run_door.html",
        400 if error else 200,
        stack=stack,
        values=values if values is not None else (stack.settings if stack else {}),
        none=answered is not None and answered[0] == NO_DOOR,
        error=error,
        faults={each.path: each for each in found},
    )


async def _door(house: House, name: str, answered: tuple[str, Mapping[str, str]] | None) -> Stack:
    settings = dict(answered[1]) if answered is not None and answered[0] == name else {}
    return await house.stacks.as_if(name, Chosen(settings=settings), None)


async def door(request: web.Request) -> web.Response:
    """Keep what was answered."""
    house, form = request.app[HOUSE], await request.post()
    doors = await house.first_run.doors()
    if "none" in form or not doors:
        await house.first_run.answer_door(NO_DOOR, {})
        raise web.HTTPSeeOther(ROOT)
    stack = await _door(house, doors[0], None)
    values = _answers(form, stack)
    try:
        await house.first_run.answer_door(stack.name, _own(stack, values))
    except GardienError as error:
        return await _door_page(request, stack.settings | values, error)
    raise web.HTTPSeeOther(ROOT)


def _answers(form: Mapping[str, object], stack: Stack, before: str = "") -> dict[str, str]:
    given = {name: form.get(before + name) for name in stack.manifest.settings}
    return {name: value.strip() for name, value in given.items() if isinstance(value, str)}


def _own(stack: Stack, values: Mapping[str, str]) -> dict[str, str]:
    """Only what was answered otherwise: what follows from the door goes on following from it."""
    return {name: value for name, value in values.items() if value != stack.settings[name]}


# -- which applications


async def stacks_page(request: web.Request) -> web.Response:
    """What there is to choose from."""
    house = request.app[HOUSE]
    offered = await house.first_run.offered()
    return await _stacks_page(
        request, offered, {each.name: each.settings for each in offered}, set(await house.first_run.stacks())
    )


async def _stacks_page(
    request: web.Request,
    offered: list[Stack],
    values: Mapping[str, Mapping[str, str]],
    chosen: set[str],
    error: GardienError | None = None,
) -> web.Response:
    found = error.faults if isinstance(error, Faults) else ()
    faults: dict[str, dict[str, Fault]] = {}
    for each in found:
        faults.setdefault(str(each.at[0]), {})[f"{each.at[0]}.{each.at[-1]}"] = each
    return request.app[SCREEN].page(
        request,
        "first_run_stacks.html",
        400 if error else 200,
        offered=offered,
        values=values,
        chosen=chosen,
        error=error,
        faults=faults,
    )


async def stacks(request: web.Request) -> web.Response:
    """Keep what was chosen."""
    house, form = request.app[HOUSE], await request.post()
    door_ = await house.first_run.door()
    offered = [await house.stacks.as_if(each.name, Chosen(), door_) for each in await house.first_run.offered()]
    chosen = {str(each) for each in form.getall("stack", [])}
    values = {each.name: _answers(form, each, f"{each.name}.") for each in offered}
    try:
        await house.first_run.answer_stacks(
            {each.name: _own(each, values[each.name]) for each in offered if each.name in chosen}
        )
    except GardienError as error:
        shown = {each.name: each.settings | values[each.name] for each in offered}
        return await _stacks_page(request, offered, shown, chosen, error)
    raise web.HTTPSeeOther(ROOT)


# -- go


async def go_page(request: web.Request) -> web.Response:
    """What will be done."""
    house = request.app[HOUSE]
    door_, chosen = await house.first_run.door(), await house.first_run.stacks()
    offered = [each for each in await house.first_run.offered() if each.name in chosen]
    every = await steps(house)
    return request.app[SCREEN].page(
        request,
        "first_run_go.html",
        door=await _door(house, door_[0], door_) if door_ is not None and door_[0] else None,
        stacks=offered,
        places=[each for each in await house.upkeep.views() if each.ready],
        left=[each for each in every if not each.done and each.name != "go"],
    )


async def go(request: web.Request) -> web.Response:
    """Do it; or once more what failed."""
    try:
        await request.app[HOUSE].first_run.go()
    except GardienError as error:
        return await _overview(request, error)
    raise web.HTTPSeeOther(ROOT)


async def later(request: web.Request) -> web.Response:
    """Put a step off."""
    step = str((await request.post()).get("step", ""))
    if step in LATER:
        await request.app[HOUSE].first_run.put_off(step)
    raise web.HTTPSeeOther(ROOT)


async def leave(request: web.Request) -> web.Response:
    """Whoever knows gardien needs no guide."""
    await request.app[HOUSE].first_run.leave()
    raise web.HTTPSeeOther("/")


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get(ROOT, overview),
        web.get(f"{ROOT}/door", door_page),
        web.post(f"{ROOT}/door", door),
        web.get(f"{ROOT}/stacks", stacks_page),
        web.post(f"{ROOT}/stacks", stacks),
        web.get(f"{ROOT}/go", go_page),
        web.post(f"{ROOT}/go", go),
        web.post(f"{ROOT}/later", later),
        web.post(f"{ROOT}/leave", leave),
    ]
