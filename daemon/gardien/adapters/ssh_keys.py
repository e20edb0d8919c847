"""SSH keys: our own pair for a target, and what a server calls itself by."""

import asyncio
import os
from pathlib import Path

from gardien.adapters.process import run
from gardien.errors import TargetUnreachable
from gardien.model.setup import HostKey
from gardien.rules.openssh import fingerprint
from gardien.words import N_

_PATIENCE = 30.0  # seconds
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")  # the best first


class SshKeys:
    """The `Ssh` of this machine: OpenSSH's own tools."""

    def __init__(self, children: Path) -> None:
        self._children = children

    async def make(self, key: Path) -> str:
        """The public half of the pair whose secret half is the file `key`, 0600; made if it is not there."""
        if not await asyncio.to_thread(key.exists):
            fresh = key.with_name(f".{key.name}.new")
            await asyncio.to_thread(_drop, fresh)
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "gardien", "-f", str(fresh)]
            await run(argv, env={}, children=self._children, timeout=_PATIENCE)
            await asyncio.to_thread(_keep, fresh, key)
        return await self.public(key)

    async def public(self, key: Path) -> str:
        """The line to give to a server. Raises CommandFailed if `key` is no key."""
        argv = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
        outcome = await run(argv, env={}, children=self._children, timeout=_PATIENCE)
        kind, blob, *_ = outcome.stdout.split()
        return f"{kind} {blob} gardien"

    async def scan(self, host: str, port: int) -> tuple[HostKey, ...]:
        """What the server at this address shows, the best kind first. Raises TargetUnreachable."""
        name = host.strip("[]")
        argv = ["ssh-keyscan", "-T", "10", "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", name]
        outcome = await run(argv, env={}, children=self._children, timeout=_PATIENCE, ok=(0, 1))
        lines = [line.split()[1:3] for line in outcome.stdout.splitlines() if line.strip() and line[0] != "#"]
        found = {kind: f"{kind} {blob}" for kind, blob in lines if kind in _KINDS}
        if not found:
            raise TargetUnreachable(
                N_("no SSH server answers at {host}, port {port}"),
                N_("Check the name and the port, and whether SSH is switched on there."),
                detail=outcome.detail,
                host=host,
                port=port,
            )
        return tuple(HostKey(found[kind], fingerprint(found[kind])) for kind in _KINDS if kind in found)


def _drop(key: Path) -> None:
    """What a try that was killed left."""
    for file in (key, key.with_name(f"{key.name}.pub")):
        file.unlink(missing_ok=True)


def _keep(fresh: Path, key: Path) -> None:
    """Durably, and the secret half last: its name says that the pair is whole."""
    public = fresh.with_name(f"{fresh.name}.pub")
    fresh.chmod(0o600)
    for file in (public, fresh):
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(handle)
        os.close(handle)
    public.rename(key.with_name(f"{key.name}.pub"))
    fresh.rename(key)
    folder = os.open(key.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(folder)
    os.close(folder)
