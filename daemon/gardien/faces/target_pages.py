"""The pages of places for backups: choosing one, setting it up, letting gardien in, trying it, removing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gardien.errors import BadInput, GardienError, NotFound
from gardien.faces import settings_asks as asks
from gardien.faces.backup_pages import TARGET
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import look
from gardien.faces.settings_pages import stand
from gardien.model.fault import Fault, Faults
from gardien.model.preset import LOGIN, Preset
from gardien.model.settings import SftpTarget
from gardien.model.setup import Wish
from gardien.services.setup import Credentials
from gardien.words import N_

NEW = r"/targets/new/{preset:[a-z][a-z0-9-]{0,40}}"
GO, BACK = "go", "back"
LOGIN_FIELDS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": N_("Access key"),
    "AWS_SECRET_ACCESS_KEY": N_("Secret key"),
    "RESTIC_REST_USERNAME": N_("User name"),
    "RESTIC_REST_PASSWORD": N_("Password"),
}
SECRET = frozenset({"AWS_SECRET_ACCESS_KEY", "RESTIC_REST_PASSWORD", "passphrase"})


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked of a preset, how it was answered so far, and what is wrong with that."""

    preset_name: str
    preset: Preset
    values: Mapping[str, str]
    error: GardienError | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def login(self) -> tuple[str, ...]:
        return LOGIN.get(self.preset.kind, ())

    @property
    def sited(self) -> bool:
        """Whether each region has an address of its own."""
        return any(each.endpoint for each in self.preset.regions.values())


async def choose_page(request: web.Request) -> web.Response:
    """The kinds of places, what each is, who runs it and in which country."""
    house = request.app[HOUSE]
    known = house.setup.presets
    own = [name for name, each in known.items() if each.operator is None]
    hosts = [name for name in known if name not in own]
    return request.app[SCREEN].page(
        request,
        "target_choose.html",
        presets=known,
        own=own,
        hosts=hosts,
        targets=(await look(request)).overview.targets,
    )


def _preset(request: web.Request) -> Preset:
    presets, name = request.app[HOUSE].setup.presets, request.match_info["preset"]
    if name not in presets:
        raise NotFound(N_("there is no preset called {name}"), N_("Go back and choose one."), name=name)
    return presets[name]


async def new_page(request: web.Request) -> web.Response:
    """What must be known of such a place."""
    preset, name = _preset(request), request.match_info["preset"]
    values: dict[str, str] = {
        "name": _free_name(request, name),
        **{str(key): each.default for key, each in preset.ask.items()},
    }
    return _new_page(request, Form(name, preset, values))


def _free_name(request: web.Request, preset: str) -> str:
    taken = request.app[HOUSE].settings.targets
    first = {"sftp": "nas", "s3": "store", "rest-server": "server"}.get(preset, preset)[:24]
    return next(each for each in (first, *(f"{first}-{number}" for number in range(2, 99))) if each not in taken)


def _new_page(request: web.Request, form: Form) -> web.Response:
    return request.app[SCREEN].page(
        request,
        "target_new.html",
        400 if form.error else 200,
        form=form,
        labels=LOGIN_FIELDS,
        secret=SECRET,
        sources=[name for name, each in request.app[HOUSE].settings.targets.items() if each.copy_of is None],
    )


async def new(request: web.Request) -> web.Response:
    """Show who answers there and under which law, then set it up and try it."""
    preset, name, setup = _preset(request), request.match_info["preset"], request.app[HOUSE].setup
    given = {key: value.strip() for key, value in (await request.post()).items() if isinstance(value, str)}
    form = Form(name, preset, given)
    if BACK in given:
        return _new_page(request, form)
    wish = _wish(form)
    try:
        draft = await setup.draft(wish)
        missing = [each for each in form.login if not given.get(each)]
        if GO in given and not missing:
            await setup.add(wish)
            raise to_place(wish.name)
    except GardienError as error:
        found = error.faults if isinstance(error, Faults) else ()
        return _new_page(request, Form(name, preset, given, error, {each.path: each for each in found}))
    return request.app[SCREEN].page(
        request, "target_confirm.html", form=form, draft=draft, labels=LOGIN_FIELDS, secret=SECRET
    )


def _wish(form: Form) -> Wish:
    values, preset = form.values, form.preset
    asked = {*preset.ask, *(["region"] if form.sited else [])}
    login = {each: values[each] for each in form.login if values.get(each)}
    return Wish(
        name=values.get("name", ""),
        preset=form.preset_name,
        values={key: values[key] for key in asked if values.get(key)},
        copy_of=values.get("copy_of") or None,
        login=login,
        passphrase=values.get("passphrase") or None,
        fingerprint=values.get("fingerprint") or None,
        accept=values.get("accept") or None,
    )


# -- one that is there


async def _place_page(request: web.Request, name: str, wrong: GardienError | None = None) -> web.Response:
    """How it is with a place: how it was tried last, what a person has to do there, and what can be done here."""
    house = request.app[HOUSE]
    target = house.settings.targets[house.targets.known(name)]
    shown = await look(request)
    [view] = [each for each in shown.overview.targets if each.name == name]
    places = [(stack.name, place) for stack in shown.overview.stacks for place in stack.places]
    last = house.setup.last_try(name)
    return request.app[SCREEN].page(
        request,
        "target_place.html",
        400 if wrong is not None else 200,
        **shown.context(),
        target=view,
        sizes={stack: each.newest_good.bytes for stack, each in places if each.target == name and each.newest_good},
        keeps=await house.upkeep.keeps(name),
        listed=await house.setup.listed(name),
        alone=len(shown.overview.targets) == 1,
        copies=[each.name for each in shown.overview.targets if each.copy_of == name],
        key_file=str(house.settings.passphrase(name)),
        access=await house.setup.access(name),
        at=last[0] if last is not None else None,
        tried=last[1] if last is not None else None,
        wrong=wrong,
        ssh=isinstance(target, SftpTarget),
        stand=stand(asks.place(name, target), house.settings),
        saved="saved" in request.query and wrong is None,
        login=LOGIN.get(target.kind, ()),
        labels=LOGIN_FIELDS,
        secret=SECRET,
    )


def to_place(name: str) -> web.HTTPSeeOther:
    """On to how it went: reloading that page tries nothing again."""
    return web.HTTPSeeOther(f"/targets/{name}")


async def place_page(request: web.Request) -> web.Response:
    """One place: the key line to paste, and trying it."""
    return await _place_page(request, request.match_info["target"])


async def test(request: web.Request) -> web.Response:
    """Try it from one end to the other, with a new login, passphrase or host key if one is given."""
    name, house = request.match_info["target"], request.app[HOUSE]
    given = {key: value.strip() for key, value in (await request.post()).items() if isinstance(value, str)}
    kind = house.settings.targets[house.targets.known(name)].kind
    login = {each: given[each] for each in LOGIN.get(kind, ()) if given.get(each)}
    credentials = Credentials(
        login or None, given.get("passphrase") or None, given.get("fingerprint") or None, given.get("accept") or None
    )
    try:
        await house.setup.try_out(name, credentials)
    except GardienError as error:
        return await _place_page(request, name, error)
    raise to_place(name)


async def remove(request: web.Request) -> web.Response:
    """Take it off the list, if its name was typed."""
    name, house = request.match_info["target"], request.app[HOUSE]
    form = await request.post()
    try:
        if form.get("confirm") != house.targets.known(name):
            raise BadInput(
                N_("the target {target} is taken off the list only if its name is typed: {target}"),
                N_("Nothing was done. Type the name exactly."),
                target=name,
            )
        await house.setup.remove(name)
    except GardienError as error:
        return await _place_page(request, name, error)
    raise web.HTTPSeeOther("/settings?removed")


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/targets", choose_page),
        web.get(NEW, new_page),
        web.post(NEW, new),
        web.get(TARGET, place_page),
        web.post(TARGET + "/test", test),
        web.post(TARGET + "/remove", remove),
    ]
