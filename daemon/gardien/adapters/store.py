"""gardien's memory: one SQLite file, one writer, and nothing acknowledged that is not on the disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from gardien.adapters.columns import as_json, as_time, as_words, moment, said
from gardien.adapters.database import Connection, Database, Row
from gardien.adapters.store_letters import StoredLetters, as_alert
from gardien.adapters.store_proofs import StoredProofs
from gardien.adapters.store_readings import StoredReadings
from gardien.adapters.store_releases import StoredReleases
from gardien.errors import NotFound
from gardien.model.health import Alert, Disk, Severity, StackHealth
from gardien.model.job import ENDED, Job, JobState, StepRecord, StepState
from gardien.model.plan import Json, Kind, Plan, Step
from gardien.model.snapshot import Snapshot
from gardien.words import N_, Words

# One statement, so that a job and its steps are of the same moment.
_JOB = """
SELECT job.*, (
    SELECT json_group_array(json_array(name, state, began, ended))
    FROM (SELECT * FROM step WHERE step.job = job.id ORDER BY position)
) AS steps FROM job
"""

_WORSE = "alert.severity = 'notice' AND excluded.severity = 'trouble' AND alert.worse IS NULL"


def plan_to_json(plan: Plan) -> dict[str, object]:
    """For the store and the wire; `plan_from_json` is the way back."""
    return {
        "kind": plan.kind,
        "subject": plan.subject,
        "steps": [step.as_json() for step in plan.steps],
        "leases": list(plan.leases),
        "onward": plan.onward,
        "facts": dict(plan.facts),
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan that `plan_to_json` wrote."""
    return Plan(
        kind=data["kind"],
        subject=data["subject"],
        steps=tuple(Step.from_json(step) for step in data["steps"]),
        leases=tuple(data["leases"]),
        onward=data["onward"],
        facts=data["facts"],
    )


class SqliteStore(StoredProofs, StoredLetters, StoredReadings, StoredReleases):
    """The `Store` of a real house. `await SqliteStore.open(path)`; `await store.close()`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._write = database.write

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or make the file (0600), check it, bring its tables up to date.

        Raises BadInput if a newer gardien wrote it, MemoryFull if its disk is full, MemoryFailed if it does not open.
        """
        return cls(await Database.open(path))

    @property
    def opened_fresh_after_corruption(self) -> bool:
        """The file was damaged: it was set aside under another name, and a new one begun."""
        return self._database.fresh_after_corruption

    async def close(self) -> None:
        await self._database.close()

    async def reopen(self) -> None:
        """After its disk was away. Raises MemoryFailed if it still is."""
        await self._database.reopen()

    # -- jobs

    async def add_job(self, plan: Plan, now: datetime) -> int:
        async def work(db: Connection) -> int:
            cursor = await db.execute(
                "INSERT INTO job (subject, plan, state, facts, created) VALUES (?, ?, 'queued', ?, ?)",
                (plan.subject, as_json(plan_to_json(plan)), as_json(plan.facts), as_time(now)),
            )
            job = cursor.lastrowid
            assert job is not None
            await db.executemany(
                "INSERT INTO step (job, position, name) VALUES (?, ?, ?)",
                [(job, position, step.name) for position, step in enumerate(plan.steps)],
            )
            return job

        return await self._write(work)

    async def job(self, job: int) -> Job | None:
        rows = await self._rows(f"{_JOB} WHERE id = ?", job)
        return _job(rows[0]) if rows else None

    async def jobs(
        self, *, open_only: bool = False, kind: Kind | None = None, subject: str | None = None, most: int = 50
    ) -> list[Job]:
        """Newest first; with `open_only` those that have not ended, oldest first."""
        where = "(?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR json_extract(plan, '$.kind') = ?2)"
        where += " AND ended IS NULL" if open_only else ""
        order = "ASC" if open_only else "DESC"
        rows = await self._rows(f"{_JOB} WHERE {where} ORDER BY id {order} LIMIT ?3", subject, kind, most)
        return [_job(row) for row in rows]

    async def mark_job(
        self,
        job: int,
        state: JobState,
        now: datetime,
        *,
        says: Words | None = None,
        remedy: Words | None = None,
        code: str | None = None,
        detail: str = "",
    ) -> None:
        """Change a job's state. `running` counts an attempt and forgets what was said; else what is not given stays.

        Raises NotFound.
        """
        if state == "running":
            sql = """UPDATE job SET state = ?1, attempts = attempts + 1, started = COALESCE(started, ?2), ended = NULL,
                     says = ?3, remedy = ?4, code = ?5, detail = ?6 WHERE id = ?7"""
        else:
            sql = """UPDATE job SET state = ?1, ended = IIF(?8, ?2, NULL), says = COALESCE(?3, says),
                     remedy = COALESCE(?4, remedy), code = COALESCE(?5, code), detail = IIF(?6 = '', detail, ?6)
                     WHERE id = ?7"""
        values: list[object] = [state, as_time(now), as_words(says), as_words(remedy), code, detail, job]
        if state != "running":
            values.append(state in ENDED)
        if not await self._change(sql, *values):
            raise _no_job(job)

    async def mark_step(
        self, job: int, step: str, state: StepState, now: datetime, facts: Mapping[str, Json] | None = None
    ) -> None:
        """Journal a step's state, and merge `facts` into the job's in the same transaction. Raises NotFound."""
        ended = state in {"done", "failed", "undone", "undo-failed"}

        async def work(db: Connection) -> None:
            cursor = await db.execute(
                """UPDATE step SET state = ?1, ended = IIF(?2, ?3, NULL),
                   began = IIF(?1 = 'waiting', NULL, COALESCE(began, ?3)) WHERE job = ?4 AND name = ?5""",
                (state, ended, as_time(now), job, step),
            )
            if not cursor.rowcount:
                raise NotFound(N_("job {job} has no step called {step}"), job=job, step=step)
            if facts:
                await _merge(db, job, facts)

        await self._write(work)

    async def remember(self, job: int, facts: Mapping[str, Json]) -> None:
        """Merge `facts` into the job's, key by key. Raises NotFound."""
        await self._write(lambda db: _merge(db, job, facts))

    async def take_leases(self, job: int, leases: Iterable[str]) -> bool:
        """All or none; what the job holds already does not stand in its way."""
        wanted = sorted(set(leases))

        async def work(db: Connection) -> bool:
            held = {row["name"]: row["job"] for row in await db.execute_fetchall("SELECT name, job FROM lease")}
            if any(held.get(name, job) != job for name in wanted):
                return False
            await db.executemany(
                "INSERT OR IGNORE INTO lease (name, job) VALUES (?, ?)", [(name, job) for name in wanted]
            )
            return True

        return await self._write(work)

    async def drop_leases(self, job: int) -> None:
        await self._change("DELETE FROM lease WHERE job = ?", job)

    async def leases(self) -> dict[str, int]:
        return {row["name"]: row["job"] for row in await self._rows("SELECT name, job FROM lease ORDER BY name")}

    # -- snapshots

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        """Write it down; the same snapshot again (a resumed job) replaces what was said of it."""
        await self._change(
            "INSERT OR REPLACE INTO snapshot"
            " (target, id, stack, taken, files, bytes, added, pause_seconds, good, why, version, original, missed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            snapshot.target,
            snapshot.id,
            snapshot.stack,
            as_time(snapshot.taken),
            snapshot.files,
            snapshot.bytes,
            snapshot.added,
            snapshot.pause_seconds,
            snapshot.good,
            as_words(snapshot.why),
            snapshot.version,
            snapshot.original,
            as_json(list(snapshot.missed)),
        )

    async def snapshots(
        self, stack: str | None = None, *, target: str | None = None, good_only: bool = False, most: int = 100
    ) -> list[Snapshot]:
        """Newest first."""
        rows = await self._rows(
            "SELECT * FROM snapshot WHERE (?1 IS NULL OR stack = ?1) AND (?2 IS NULL OR target = ?2)"
            " AND (good OR NOT ?3) ORDER BY taken DESC, id DESC LIMIT ?4",
            stack,
            target,
            good_only,
            most,
        )
        return [
            Snapshot(
                id=row["id"],
                stack=row["stack"],
                target=row["target"],
                taken=datetime.fromisoformat(row["taken"]),
                files=row["files"],
                bytes=row["bytes"],
                added=row["added"],
                pause_seconds=row["pause_seconds"],
                good=bool(row["good"]),
                why=said(row["why"]),
                version=row["version"],
                original=row["original"],
                missed=tuple(json.loads(row["missed"])),
            )
            for row in rows
        ]

    async def drop_snapshots(self, target: str, ids: Sequence[str]) -> None:
        """They are not there any more."""

        async def work(db: Connection) -> None:
            await db.executemany("DELETE FROM snapshot WHERE target = ? AND id = ?", [(target, id_) for id_ in ids])

        await self._write(work)

    # -- what the watchman saw

    async def set_health(self, healths: Sequence[StackHealth]) -> None:
        """Write these down; what is known of other stacks stays."""

        async def work(db: Connection) -> None:
            await db.executemany(
                "INSERT OR REPLACE INTO health (stack, health, says, since, seen) VALUES (?, ?, ?, ?, ?)",
                [
                    (each.stack, each.health, as_words(each.says), as_time(each.since), as_time(each.seen))
                    for each in healths
                ],
            )

        await self._write(work)

    async def healths(self) -> dict[str, StackHealth]:
        return {
            row["stack"]: StackHealth(
                stack=row["stack"],
                health=row["health"],
                says=Words.from_json(json.loads(row["says"])),
                since=datetime.fromisoformat(row["since"]),
                seen=datetime.fromisoformat(row["seen"]),
            )
            for row in await self._rows("SELECT * FROM health ORDER BY stack")
        }

    async def set_disks(self, disks: Sequence[Disk], now: datetime) -> None:
        """Replace all that is known of disks."""

        async def work(db: Connection) -> None:
            await db.execute("DELETE FROM disk")
            await db.executemany(
                "INSERT INTO disk (position, path, total, free, present, nodes, all_nodes, fault, seen)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (i, e.path, e.total, e.free, e.present, e.nodes, e.all_nodes, e.fault, as_time(now))
                    for i, e in enumerate(disks)
                ],
            )

        await self._write(work)

    async def disks(self) -> tuple[list[Disk], datetime | None]:
        """The disks, and when they were looked at; None if there are none."""
        rows = await self._rows("SELECT * FROM disk ORDER BY position")
        disks = [
            Disk(
                path=row["path"],
                total=row["total"],
                free=row["free"],
                present=bool(row["present"]),
                nodes=row["nodes"],
                all_nodes=row["all_nodes"],
                fault=row["fault"],
            )
            for row in rows
        ]
        return disks, datetime.fromisoformat(rows[0]["seen"]) if rows else None

    # -- alerts and notes

    async def open_alert(self, key: str, severity: Severity, says: Words, remedy: Words, now: datetime) -> None:
        """At most one open alert per key: opening it again changes its words, not its beginning.

        A notice that becomes trouble is another matter: `worse` is noted, and what a person said to it is forgotten.
        """
        await self._change(
            f"""INSERT INTO alert (key, severity, says, remedy, opened) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (key) WHERE closed IS NULL
               DO UPDATE SET severity = excluded.severity, says = excluded.says, remedy = excluded.remedy,
                   known = iif({_WORSE}, NULL, known), asleep = iif({_WORSE}, NULL, asleep),
                   worse = iif({_WORSE}, ?5, worse)""",  # noqa: S608  (no word of others)
            key,
            severity,
            as_words(says),
            as_words(remedy),
            as_time(now),
        )

    async def close_alert(self, key: str, now: datetime) -> None:
        """Nothing happens if none is open."""
        await self._change("UPDATE alert SET closed = ? WHERE key = ? AND closed IS NULL", as_time(now), key)

    async def alerts(self, *, open_only: bool = True, most: int = 100) -> list[Alert]:
        """Newest first."""
        rows = await self._rows(
            "SELECT * FROM alert WHERE closed IS NULL OR NOT ? ORDER BY id DESC LIMIT ?", open_only, most
        )
        return [as_alert(row) for row in rows]

    async def note(self, key: str, value: str) -> None:
        await self._change("INSERT OR REPLACE INTO note (key, value) VALUES (?, ?)", key, value)

    async def noted(self, key: str) -> str | None:
        rows = await self._rows("SELECT value FROM note WHERE key = ?", key)
        return rows[0]["value"] if rows else None

    async def unnote(self, key: str) -> None:
        await self._change("DELETE FROM note WHERE key = ?", key)

    # -- people

    async def set_password(self, user: str, hashed: str) -> None:
        await self._change("INSERT OR REPLACE INTO password (user, hashed) VALUES (?, ?)", user, hashed)

    async def password(self, user: str) -> str | None:
        rows = await self._rows("SELECT hashed FROM password WHERE user = ?", user)
        return rows[0]["hashed"] if rows else None

    async def add_link(self, hashed: str, user: str, until: datetime) -> None:
        await self._change(
            "INSERT OR REPLACE INTO link (hashed, user, until) VALUES (?, ?, ?)", hashed, user, as_time(until)
        )

    async def use_link(self, hashed: str, now: datetime) -> str | None:
        """The user, once, in time; else None. Takes the occasion to drop what is out of date."""

        async def work(db: Connection) -> str | None:
            await db.execute("DELETE FROM link WHERE until <= ?", (as_time(now),))
            await db.execute("DELETE FROM session WHERE until <= ?", (as_time(now),))
            rows = list(await db.execute_fetchall("DELETE FROM link WHERE hashed = ? RETURNING user", (hashed,)))
            return rows[0]["user"] if rows else None

        return await self._write(work)

    async def save_session(self, key: str, data: str, until: datetime) -> None:
        """`data` is a JSON object; its `user`, if any, is whose session `end_sessions` ends."""
        user = json.loads(data).get("user")
        await self._change(
            "INSERT OR REPLACE INTO session (key, user, data, until) VALUES (?, ?, ?, ?)",
            key,
            user,
            data,
            as_time(until),
        )

    async def session(self, key: str, now: datetime) -> str | None:
        rows = await self._rows("SELECT data FROM session WHERE key = ? AND until > ?", key, as_time(now))
        return rows[0]["data"] if rows else None

    async def end_session(self, key: str) -> None:
        await self._change("DELETE FROM session WHERE key = ?", key)

    async def end_sessions(self, user: str) -> None:
        await self._change("DELETE FROM session WHERE user = ?", user)


# -- rows and values


async def _merge(db: Connection, job: int, facts: Mapping[str, Json]) -> None:
    rows = list(await db.execute_fetchall("SELECT facts FROM job WHERE id = ?", (job,)))
    if not rows:
        raise _no_job(job)
    merged = json.loads(rows[0]["facts"]) | dict(facts)
    await db.execute("UPDATE job SET facts = ? WHERE id = ?", (as_json(merged), job))


def _no_job(job: int) -> NotFound:
    return NotFound(N_("there is no job {job}"), job=job)


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        plan=plan_from_json(json.loads(row["plan"])),
        state=row["state"],
        steps=tuple(
            StepRecord(name, state, moment(began), moment(ended))
            for name, state, began, ended in json.loads(row["steps"])
        ),
        facts=json.loads(row["facts"]),
        attempts=row["attempts"],
        created=datetime.fromisoformat(row["created"]),
        started=moment(row["started"]),
        ended=moment(row["ended"]),
        says=said(row["says"]),
        remedy=said(row["remedy"]),
        code=row["code"],
        detail=row["detail"],
    )
