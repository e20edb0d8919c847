"""Who can read over the owner's shoulder: whose law reaches a target, as far as gardien knows."""

import re
from collections.abc import Iterable
from typing import TypeVar

from gardien.model.manifest import Text
from gardien.model.operator import EUROPE, Operator, country_name
from gardien.model.preset import Foreigner, Hosts, Preset
from gardien.model.settings import S3Target, Target
from gardien.rules.reach import host_of
from gardien.words import N_, Given, Value, Words

Place = TypeVar("Place", bound=Preset | Foreigner)


def judge(target: Target, hosts: Hosts) -> Operator:
    """What gardien knows of the one who runs it, and does not."""
    host = host_of(target)
    if host is None:
        return Operator(None, None, None, True, Words.of(N_("a disk of your own: nobody else runs it")))
    places: list[Preset | Foreigner] = [*hosts.presets.values(), *hosts.abroad]
    found = _longest(host, places)
    if isinstance(found, Foreigner):
        return _judged(found.name, found.country, found.data, ())
    if found is None or found.operator is None:
        says = Words.of(N_("gardien does not know who runs {host}, nor in which country"), host=host)
        return Operator(None, None, None, None, says)
    regions = [each for each in found.regions.values() if each.endpoint is None or _is_at(target, each.endpoint)]
    countries = sorted({each.country for each in regions})
    one = countries[0] if len(countries) == 1 else None
    return _judged(found.operator.name, found.operator.country, one, countries)


def recognised(target: Target, hosts: Hosts) -> Preset | None:
    """The preset that knows best how to get in there, and how to protect what is there."""
    host = host_of(target)
    known = [each for each in hosts.presets.values() if each.kind == target.kind]
    found = _longest(host, known) if host is not None else None
    return found or next((each for each in known if not each.suffixes), None)


def accepted(target: Target, operator: Operator) -> bool:
    """Whether backups may go there: no foreign law is known to reach them, or the owner accepted it in words."""
    return operator.law is None or target.law_accepted == operator.law


def sentence(law: str) -> Text:
    """What the owner types to accept a country's law."""
    name = country_name(law)
    return Text(
        en=f"I accept that the law of this country reaches my backups: {name.en}",
        fr=f"J’accepte que la loi de ce pays atteigne mes sauvegardes\N{NO-BREAK SPACE}: {name.fr}",
    )


def agrees(law: str, typed: str) -> bool:
    """Whether that is the sentence, in one of our languages; typewriter signs will do."""
    wanted = sentence(law)
    return _plain(typed) in {_plain(wanted.en), _plain(wanted.fr)}


def _plain(text: str) -> str:
    return re.sub(r"\s*:\s*", ": ", " ".join(text.replace("’", "'").split())).rstrip(".").casefold()


def _longest(host: str, places: Iterable[Place]) -> Place | None:
    """The place whose host names end as this one does, the most exact of them."""
    ends = [(len(end), place) for place in places for end in place.suffixes if f".{host}".endswith(f".{end}")]
    return max(ends, key=lambda each: each[0])[1] if ends else None


def _is_at(target: Target, endpoint: str) -> bool:
    return isinstance(target, S3Target) and target.endpoint.rstrip("/") == endpoint.rstrip("/")


def _judged(name: str, country: str, data: str | None, possible: Iterable[str]) -> Operator:
    countries = [country, *([data] if data is not None else possible)]
    european = all(each in EUROPE for each in countries)
    values: dict[str, Value] = {"operator": name, "country": country_name(country)}
    if data is not None:
        values["place"] = country_name(data)
        if data == country:
            says = N_("run by {operator} ({country}); the backups lie in the same country")
        else:
            says = N_("run by {operator} ({country}); the backups lie in another country ({place})")
    elif places := [country_name(each) for each in possible]:
        values["places"] = Given(", ".join(each.en for each in places), ", ".join(each.fr for each in places))
        says = N_("run by {operator} ({country}); the backups lie in one of these countries: {places}")
    else:
        says = N_("run by {operator} ({country}); gardien does not know in which country the backups lie")
    return Operator(name, country, data, european, Words(says, values))
