"""Threat 1, by what is said: no name of a file reaches a helper or a token that may only look, whatever went wrong."""

import re
from collections.abc import AsyncIterator, Mapping

from aiohttp.test_utils import TestClient, TestServer

from gardien.errors import CommandFailed
from gardien.faces.server import make_app
from tests.coming_back import HOME, Practice, practice
from tests.live_routes import FILL, walk
from tests.signed_in import Client, post

NAMES = ("attente", "Séance", "Comptes rendus", "Factures", "mars.ods")  # files that speak of people
STREAMS = ("/live", "/live?backups", "/live?stack=nextcloud", "/live?first-run", "/live?recovery", "/live?job={job}")


async def went_wrong(made: Practice) -> list[int]:
    """Jobs at which files were at stake: one could not be read, one was put back, one could not be."""
    quiet, house = made.quiet, made.quiet.house
    home = house.settings.folders.data / "nextcloud" / HOME
    newest = (await house.backups.list("nextcloud"))[0]
    [hit] = await house.browse.search(newest, "attente")
    jobs = [await house.put_backs.create(newest, hit.entry.id)]
    await house.runner.wait(jobs[0])
    quiet.restic.unreachable.add("box")
    jobs.append(await house.put_backs.create(newest, hit.entry.id))
    await house.runner.wait(jobs[1])
    quiet.restic.unreachable.clear()
    quiet.restic.unreadable.add(home / "Liste d’attente.txt")
    jobs.append(await house.backups.create("nextcloud"))
    await house.runner.wait(jobs[2])
    quiet.restic.fails = CommandFailed("a program failed", detail="open /x/Liste d’attente.txt: input/output error")
    jobs.append(await house.backups.create("nextcloud"))
    await house.runner.wait(jobs[3])
    quiet.restic.fails = None
    assert [(await house.runner.job(each)).state for each in jobs] == ["done", "failed", "failed", "failed"]
    assert "attente" in (await house.runner.job(jobs[3])).detail
    snapshot = next(each for each in await house.backups.list("nextcloud") if each.missed)
    assert not snapshot.good and any("attente" in each for each in snapshot.missed)
    await house.watch.look()
    return [job.id for job in await house.runner.jobs()]


def paths(client: Client, jobs: list[int]) -> list[str]:
    """Every page and every answer that is only looked at."""
    assert client.app is not None
    found = []
    for route in walk(client.app):
        if route.method == "GET" and route.pattern != "/live":
            for job in jobs if "{job}" in route.pattern else [0]:
                fill = {**FILL, "job": str(job), "name": "nextcloud", "target": "box"}
                path = re.sub(r"\{(\w+)\}", lambda hole: fill[hole[1]], route.pattern)  # noqa: B023
                found.append(path)
    return found


async def heard(client: Client, jobs: list[int], headers: Mapping[str, str]) -> AsyncIterator[tuple[str, str]]:
    """All that is said to whoever sends this."""
    for path in paths(client, jobs):
        async with client.get(path, headers=headers, allow_redirects=False) as response:
            yield path, await response.text(errors="replace")
    for path in [each.format(job=job) for each in STREAMS for job in (jobs if "{job}" in each else [0])]:
        async with client.get(path, headers=headers) as response:
            if response.status == 200:
                yield path, (await response.content.readuntil(b"\n\n")).decode()


async def test_threat_1_no_name_of_a_file_reaches_who_may_only_look() -> None:
    async with practice() as made, TestClient(TestServer(make_app(made.quiet.house))) as tested:
        client: Client = tested
        house = made.quiet.house
        jobs = await went_wrong(made)
        await house.people.add("anna", "helper", ["backup", "update"])
        token = await house.people.add_token("program", ["read", "backup", "update"])
        bearer = {"Authorization": f"Bearer {token}"}
        for who, headers, least in (("a token", bearer, 15), ("anna", {}, 40)):
            if who == "anna":
                assert (await post(client, f"/login/{await house.people.link('anna')}")).status == 303
            said = 0
            async for path, text in heard(client, jobs, headers):
                assert not [name for name in NAMES if name in text], (who, path)
                said += "nextcloud" in text.lower()
            assert said >= least, f"{who} saw too little for this to mean anything: {said}"
        # An owner is told: the names were there to be found.
        client.session.cookie_jar.clear()
        assert (await post(client, f"/login/{await house.people.link()}")).status == 303
        snapshot = next(each for each in await house.backups.list("nextcloud") if each.missed)
        for path in (f"/api/v1/snapshots/{snapshot.id}", f"/jobs/{jobs[0]}", f"/api/v1/jobs/{jobs[0]}"):
            async with client.get(path) as response:
                assert "attente" in await response.text(), path
