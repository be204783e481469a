"""A table that holds something of an episode cannot be forgotten by an erasure."""

from __future__ import annotations

from services.orchestrator.database import Row
from tests.integration.parts import Parts

# Columns that name an episode or something of one.
_NAMES_OF_EPISODES = frozenset(
    {
        "ep_id",
        "episode_uid",
        "job_id",
        "run_id",
        "task_id",
        "attempt_id",
        "filename",
        "media_uri",
        "uri",
        "person_id",
    }
)
# Tables that are emptied by a query of their own, or never hold more than random ids.
_HANDLED = {
    "outbox": "by subject, in the erasure's transaction",
    "erased_attempts": "random ids, until the attempt is closed",
}
_BELOW_EPISODES = """
WITH RECURSIVE below (relation) AS (
    SELECT 'episodes'::regclass::oid
    UNION
    SELECT c.conrelid FROM pg_constraint c JOIN below b ON c.confrelid = b.relation WHERE c.contype = 'f'
)
"""
_LINKS = (
    _BELOW_EPISODES
    + """
SELECT c.conrelid::regclass::text AS child, c.conname AS link, c.confdeltype AS on_delete,
       EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]) AS has_index
FROM pg_constraint c JOIN below b ON c.confrelid = b.relation WHERE c.contype = 'f'
"""
)
_COLUMNS = (
    _BELOW_EPISODES
    + """
SELECT a.attrelid::regclass::text AS name, array_agg(a.attname::text) AS columns,
       a.attrelid IN (SELECT relation FROM below) AS goes_with_episode
FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
WHERE t.relkind IN ('r', 'p') AND t.relnamespace = 'public'::regnamespace AND a.attnum > 0
GROUP BY a.attrelid
"""
)


async def links(parts: Parts) -> list[Row]:
    return await parts.rows(_LINKS)


async def test_whatever_refers_to_an_episode_is_deleted_with_it(parts: Parts) -> None:
    kept = [
        f"{row['child']}.{row['link']}" for row in await links(parts) if row["on_delete"] not in ("c", b"c")
    ]
    assert kept == []


async def test_every_such_reference_has_an_index_so_that_a_deletion_reads_no_whole_table(parts: Parts) -> None:
    assert [f"{row['child']}.{row['link']}" for row in await links(parts) if not row["has_index"]] == []


async def test_a_table_that_names_episodes_without_referring_to_them_is_handled_by_name(parts: Parts) -> None:
    loose = {
        row["name"]
        for row in await parts.rows(_COLUMNS)
        if not row["goes_with_episode"] and _NAMES_OF_EPISODES & set(row["columns"])
    }
    assert loose <= _HANDLED.keys()
    assert "artifacts" in {row["child"] for row in await links(parts)}
