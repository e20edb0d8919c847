"""The pages of a stack's life: adding it, its settings, its logs, the first login, removing it.

What changes something is shown first: a form leads to a page that says what will happen, and its button does it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web

from gardien.errors import BadInput, GardienError
from gardien.faces import asked, settings_asks, wire
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, look, to_job
from gardien.faces.settings_pages import stand
from gardien.model.fault import Fault, Faults
from gardien.model.stack import Chosen, Stack
from gardien.services.life import Life

NEW = r"/add/{name:[a-z][a-z0-9-]{0,30}}"
LINES = 300  # of a log
SEARCHED = 5000  # that are looked through
GO, BACK = "go", "back"  # the buttons below what was shown


@dataclass(frozen=True, slots=True)
class Form:
    """A stack's questions, how they are answered so far, and what is wrong with that."""

    stack: Stack
    values: Mapping[str, str]
    error: GardienError | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @classmethod
    def wrong(cls, stack: Stack, values: Mapping[str, str], error: GardienError) -> "Form":
        """The same once more, each mistake beside its question."""
        found = error.faults if isinstance(error, Faults) else ()
        return cls(stack, values, error, {fault.path: fault for fault in found})


async def _answers(request: web.Request, stack: Stack) -> dict[str, str]:
    """What was answered to its questions; a question that was not answered is none of them."""
    form = await request.post()
    given = {name: form.get(name) for name in stack.manifest.settings}
    return {name: value.strip() for name, value in given.items() if isinstance(value, str)}


# -- adding


@dataclass(frozen=True, slots=True)
class Offer:
    """A stack that can be added; `error` says why a broken one cannot."""

    name: str
    stack: Stack | None
    error: GardienError | None = None


async def offers_page(request: web.Request) -> web.Response:
    """What can be added, and what each replaces."""
    stacks = request.app[HOUSE].stacks
    added = {stack.name for stack in await stacks.all()}
    offers = []
    for name in await stacks.available():
        if name not in added:
            try:
                offers.append(Offer(name, await stacks.build(await stacks.recipe(name), Chosen())))
            except BadInput as error:
                offers.append(Offer(name, None, error))
    shown = await look(request)
    return request.app[SCREEN].page(request, "offers.html", **shown.context(), offers=offers)


async def _offered(request: web.Request) -> Stack:
    stacks = request.app[HOUSE].stacks
    return await stacks.build(await stacks.recipe(request.match_info["name"]), Chosen())


async def _doors(request: web.Request) -> list[str]:
    """The stacks that can be the house's door."""
    stacks, doors = request.app[HOUSE].stacks, []
    for name in await stacks.available():
        with suppress(BadInput):
            if (await stacks.recipe(name)).manifest.door is not None:
                doors.append(name)
    return doors


async def add_page(request: web.Request) -> web.Response:
    """A stack's questions."""
    stack = await _offered(request)
    return await _add_page(request, Form(stack, stack.settings))


async def _add_page(request: web.Request, form: Form, *, wish: bool = False) -> web.Response:
    """Where it could not be opened without the house's door, that is said first."""
    doorless = wire.doorless(form.stack)
    return request.app[SCREEN].page(
        request,
        "add.html",
        400 if form.error else 200,
        form=form,
        wish=wish,
        doorless=doorless,
        doors=await _doors(request) if doorless else [],
    )


async def add(request: web.Request) -> web.Response:
    """Say what adding it will do, then do it."""
    stack, life = await _offered(request), request.app[HOUSE].life
    values, form = await _answers(request, stack), await request.post()
    anyway = "anyway" in form
    if BACK in form:
        return await _add_page(request, Form(stack, stack.settings | values))
    try:
        plan = await life.plan_add(stack.name, values, anyway=anyway)
        if GO in form:
            raise to_job(await life.add(stack.name, values, anyway=anyway))
    except GardienError as error:
        wish = not anyway and await _could_be(life, stack, values)
        return await _add_page(request, Form.wrong(stack, stack.settings | values, error), wish=wish)
    return request.app[SCREEN].page(
        request, "add_plan.html", form=Form(stack, stack.settings | values), plan=plan, anyway=anyway
    )


async def _could_be(life: Life, stack: Stack, values: Mapping[str, str]) -> bool:
    """Whether it could be added if its owner said that the machine will do."""
    try:
        await life.plan_add(stack.name, values, anyway=True)
    except GardienError:
        return False
    return True


# -- settings


async def settings_page(request: web.Request) -> web.Response:
    """A stack's settings, as a form."""
    stacks = request.app[HOUSE].stacks
    stack = await stacks.derived(await stacks.get(request.match_info["name"]))
    return await _settings_page(request, Form(stack, stack.settings))


async def _settings_page(request: web.Request, form: Form) -> web.Response:
    shown = await look(request)
    status = 400 if form.error else 200
    house = request.app[HOUSE]
    times = settings_asks.of_stack(form.stack.name) if form.stack.recipe.kept else None
    return request.app[SCREEN].page(
        request,
        "settings.html",
        status,
        **shown.context(),
        form=form,
        stand=stand(times, house.preferences.now) if times is not None else None,
        saved="saved" in request.query and not form.error,
    )


async def change(request: web.Request) -> web.Response:
    """Say what new settings change, then change them."""
    house = request.app[HOUSE]
    stack = await house.stacks.derived(await house.stacks.get(request.match_info["name"]))
    values = await _answers(request, stack)
    if BACK in await request.post():
        return await _settings_page(request, Form(stack, stack.settings | values))
    changed = {name: value for name, value in values.items() if value != stack.settings[name]}
    try:
        plan = await house.life.plan_set(stack.name, changed)
        if GO in await request.post():
            raise to_job(await house.life.set(stack.name, changed))
    except GardienError as error:
        return await _settings_page(request, Form.wrong(stack, stack.settings | values, error))
    shown = await look(request)
    return request.app[SCREEN].page(
        request,
        "changes.html",
        **shown.context(),
        form=Form(stack, stack.settings | values),
        changed=changed,
        plan=plan,
    )


# -- looking after it


async def restart_page(request: web.Request) -> web.Response:
    """What a restart will mean, before it is done."""
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(request.match_info["name"])
    plan, took = await house.life.plan_restart(stack.name), await house.runner.took("restart", stack.name)
    return request.app[SCREEN].page(request, "restart.html", **shown.context(), stack=stack, plan=plan, took=took)


async def restart(request: web.Request) -> web.Response:
    """Restart a stack."""
    raise to_job(await request.app[HOUSE].life.restart(request.match_info["name"]))


async def mend(request: web.Request) -> web.Response:
    """Bring a stack back to its settings."""
    raise to_job(await request.app[HOUSE].life.mend(request.match_info["name"]))


async def logs_page(request: web.Request) -> web.Response:
    """What a stack's services printed last, or one of them."""
    stacks = request.app[HOUSE].stacks
    stack = await stacks.get(request.match_info["name"])
    service, search = request.query.get("service") or None, request.query.get("search", "").strip()
    text = (await stacks.logs(stack.name, SEARCHED if search else LINES, service)).rstrip("\n")
    if search:
        text = "\n".join(line for line in text.splitlines() if search.casefold() in line.casefold())
    follow = "follow" in request.query
    return request.app[SCREEN].page(
        request, "logs.html", stack=stack, service=service, search=search, follow=follow, busy=follow, text=text
    )


async def first_login_page(request: web.Request) -> web.Response:
    """A button: what is shown once is shown to whoever wants to see it now."""
    stack = await request.app[HOUSE].stacks.get(request.match_info["name"])
    return request.app[SCREEN].page(request, "first_login.html", stack=stack, found=None, again=False)


async def first_login(request: web.Request) -> web.Response:
    """Show the first password, once; later say where it is."""
    stacks = request.app[HOUSE].stacks
    stack = await stacks.get(request.match_info["name"])
    found = await stacks.first_login_once(stack.name)
    return request.app[SCREEN].page(request, "first_login.html", stack=stack, found=found, again=found is None)


# -- removing


async def remove_page(request: web.Request) -> web.Response:
    """What removing it will do, with its files and without."""
    return await _remove_page(request)


async def _remove_page(request: web.Request, wrong: BadInput | None = None) -> web.Response:
    """Where no last backup can be made the page says why, and what would happen without one."""
    shown, house = await look(request), request.app[HOUSE]
    view = shown.stack(request.match_info["name"])
    no_backup: GardienError | None = None
    try:
        plan = await house.life.plan_remove(view.name)
    except GardienError as error:
        no_backup = error
        plan = await house.life.plan_remove(view.name, last_backup=False)
    stack = await house.stacks.get(view.name)
    return request.app[SCREEN].page(
        request,
        "remove.html",
        400 if wrong else 200,
        **shown.context(),
        stack=view,
        home=str(stack.home),
        plan=plan,
        took=await house.runner.took("remove", view.name),
        no_backup=no_backup,
        wrong=wrong,
    )


async def remove(request: web.Request) -> web.Response:
    """Remove a stack; its files go only if its name was typed."""
    form, house = await request.post(), request.app[HOUSE]
    stack = await house.stacks.get(request.match_info["name"])
    with_data = "with_data" in form
    if with_data:
        try:
            asked.meant(stack.name, form.get("confirm"))
        except BadInput as error:
            return await _remove_page(request, error)
    raise to_job(await house.life.remove(stack.name, with_data=with_data, last_backup="no_backup" not in form))


def routes() -> list[web.RouteDef]:
    """Everything that happens to a stack between its first day and its last."""
    return [
        web.get("/add", offers_page),
        web.get(NEW, add_page),
        web.post(NEW, add),
        web.get(STACK + "/settings", settings_page),
        web.post(STACK + "/settings", change),
        web.get(STACK + "/restart", restart_page),
        web.post(STACK + "/restart", restart),
        web.post(STACK + "/mend", mend),
        web.get(STACK + "/logs", logs_page),
        web.get(STACK + "/first-login", first_login_page),
        web.post(STACK + "/first-login", first_login),
        web.get(STACK + "/remove", remove_page),
        web.post(STACK + "/remove", remove),
    ]
