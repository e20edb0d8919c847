"""gardien's memory: one SQLite file, one writer, and nothing acknowledged that is not on the disk."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from gardien.adapters.columns import as_json, as_time, as_words, moment, said
from gardien.adapters.database import Connection, Database, Row
from gardien.adapters.store_letters import StoredLetters, as_alert
from gardien.adapters.store_people import StoredPeople
from gardien.adapters.store_proofs import StoredProofs
from gardien.adapters.store_readings import StoredReadings
from gardien.adapters.store_releases import StoredReleases
from gardien.adapters.store_stretches import StoredStretches
from gardien.errors import NotFound
from gardien.model.health import Alert, Disk, Severity
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


class SqliteStore(StoredPeople, StoredProofs, StoredLetters, StoredReadings, StoredReleases, StoredStretches):
    """The `Store` of a real house. `await SqliteStore.open(path)`; `await store.close()`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._notes: tuple[Sequence[Row], dict[str, str]] | None = None
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

    @property
    def changes(self) -> int:
        return self._database.changes

    def look(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        return self._database.look()

    async def answers(self) -> None:
        await self._database.answers()

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
        self,
        *,
        open_only: bool = False,
        kind: Kind | None = None,
        subject: str | None = None,
        before: int | None = None,
        ended: tuple[datetime, datetime] | None = None,
        most: int = 50,
    ) -> list[Job]:
        """Newest first; with `open_only` those that have not ended, oldest first. `before`: with smaller numbers."""
        begin, end = (as_time(ended[0]), as_time(ended[1])) if ended else (None, None)
        wanted: dict[str, object] = {"subject = ?": subject, "json_extract(plan, '$.kind') = ?": kind, "id < ?": before}
        wanted |= {"ended >= ?": begin, "ended < ?": end}
        wanted = {each: value for each, value in wanted.items() if value is not None}
        where = " AND ".join([*wanted, "ended IS NULL" if open_only else "true"])
        order = "ASC" if open_only else "DESC"
        sql = f"{_JOB} WHERE {where} ORDER BY id {order} LIMIT ?"
        return list(await self._database.made(_job, sql, *wanted.values(), most))

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
        self,
        stack: str | None = None,
        *,
        target: str | None = None,
        good_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        begins: str = "",
        most: int = 100,
    ) -> list[Snapshot]:
        """Newest first; of those taken from `since` on, and up to `until`, whose ids begin so."""
        wanted: dict[str, object] = {  # only what is asked for is written down, so that an index serves
            "stack = ?": stack,
            "target = ?": target,
            "taken >= ?": as_time(since) if since else None,
            "taken <= ?": as_time(until) if until else None,
            "id >= ?": begins or None,
            "id < ?": f"{begins}~" if begins else None,
        }
        wanted = {each: value for each, value in wanted.items() if value is not None}
        where = " AND ".join([*wanted, "good" if good_only else "true"])
        by = "+taken" if begins else "taken"  # found by its id, or by its time
        found = await self._database.made(
            _snapshot,
            f"SELECT * FROM snapshot WHERE {where} ORDER BY {by} DESC, id DESC LIMIT ?",  # noqa: S608  (our own words)
            *wanted.values(),
            most,
        )
        return list(found)

    async def newest_good(self, target: str, until: datetime) -> dict[str, datetime]:
        # From name to name along the index: so many rows are looked at as there are stacks, not as there are backups.
        rows = await self._rows(
            """WITH RECURSIVE name (stack) AS (
                   SELECT min(stack) FROM snapshot
                   UNION ALL
                   SELECT (SELECT min(stack) FROM snapshot WHERE stack > name.stack) FROM name WHERE stack IS NOT NULL
               )
               SELECT stack, (
                   SELECT max(taken) FROM snapshot
                   WHERE target = ? AND snapshot.stack = name.stack AND good AND taken <= ?
               ) AS taken FROM name WHERE stack IS NOT NULL""",
            target,
            as_time(until),
        )
        return {row["stack"]: datetime.fromisoformat(row["taken"]) for row in rows if row["taken"]}

    async def drop_snapshots(self, target: str, ids: Sequence[str]) -> None:
        """They are not there any more."""

        async def work(db: Connection) -> None:
            await db.executemany("DELETE FROM snapshot WHERE target = ? AND id = ?", [(target, id_) for id_ in ids])

        await self._write(work)

    # -- what the watchman saw

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

    async def alerts(self, *, open_only: bool = True, before: int | None = None, most: int = 100) -> list[Alert]:
        """Newest first; `before`: with smaller numbers."""
        rows = await self._rows(
            "SELECT * FROM alert WHERE (closed IS NULL OR NOT ?) AND id < ifnull(?, 1 << 62) ORDER BY id DESC LIMIT ?",
            open_only,
            before,
            most,
        )
        return [as_alert(row) for row in rows]

    async def note(self, key: str, value: str) -> None:
        await self._change("INSERT OR REPLACE INTO note (key, value) VALUES (?, ?)", key, value)

    async def noted(self, key: str) -> str | None:
        # All are read at once: a page asks for hundreds.
        rows = await self._rows("SELECT key, value FROM note")
        if self._notes is None or self._notes[0] is not rows:
            self._notes = (rows, {row["key"]: row["value"] for row in rows})
        return self._notes[1].get(key)

    async def unnote(self, key: str) -> None:
        await self._change("DELETE FROM note WHERE key = ?", key)


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


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(
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
