# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines as pg_waldump prints them become transactions."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.lsn import parse_lsn
from ansible_collections.lifeline.recovery.plugins.module_utils._pitr.waldump import Change, parse_waldump

HEAP = "rmgr: Heap        len (rec/tot):     54/    54, tx:        {xid}, lsn: 0/{lsn}, prev 0/0A068280, desc: {what}"
ENDED = (
    "rmgr: Transaction len (rec/tot):     34/    34, tx:        {xid}, lsn: 0/{lsn}, prev 0/0A063428, "
    "desc: {verb} 2026-11-21 14:42:14.311263 UTC{rest}"
)


def heap(xid: int, lsn: str, what: str, relation: str = "1663/5/16411") -> str:
    return HEAP.format(xid=xid, lsn=lsn, what=f"{what} , blkref #0: rel {relation} blk 0 FPW")


def ended(xid: int, lsn: str, verb: str = "COMMIT", rest: str = "") -> str:
    return ENDED.format(xid=xid, lsn=lsn, verb=verb, rest=rest)


def test_changes_of_a_transaction_are_counted_by_relation() -> None:
    reading = parse_waldump(
        [
            heap(746, "0A000010", "INSERT+INIT off 1 flags 0x00"),
            heap(747, "0A000020", "DELETE off 2 flags 0x00 KEYS_UPDATED"),
            heap(746, "0A000030", "HOT_UPDATE off 21 xmax 745 flags 0x60 ; new off 24 xmax 0"),
            heap(746, "0A000040", "DELETE off 3 flags 0x00", "1663/5/16500"),
            heap(746, "0A000050", "LOCK off 3: xid 746: flags 0x00"),
            ended(746, "0A000060"),
        ]
    )
    (transaction,) = reading.transactions
    assert transaction.changes == (Change("1663/5/16411", 1, 1, 0), Change("1663/5/16500", 0, 0, 1))
    assert transaction.ended_at == datetime(2026, 11, 21, 14, 42, 14, 311263, tzinfo=timezone.utc)
    assert (transaction.xid, transaction.position, reading.last) == (746, 0x0A000060, 0x0A000060)


def test_rows_of_several_are_counted_in_the_words_of_old_and_new_versions() -> None:
    for text in ("MULTI_INSERT 57 tuples flags 0x02", "MULTI_INSERT+INIT ntuples: 57, flags: 0x02, offsets: [1, 2]"):
        line = heap(9, "0A000010", text).replace("rmgr: Heap ", "rmgr: Heap2")
        (transaction,) = parse_waldump([line, ended(9, "0A000020")]).transactions
        assert transaction.changes == (Change("1663/5/16411", inserts=57),)


def test_subtransactions_belong_to_the_one_that_ends() -> None:
    lines = [heap(12, "0A000010", "DELETE off 1"), ended(11, "0A000020", rest="; subxacts: 12 13")]
    (transaction,) = parse_waldump(lines).transactions
    assert transaction.changes == (Change("1663/5/16411", deletes=1),)


def test_a_drop_names_its_files_and_a_rollback_is_no_commit() -> None:
    lines = [
        ended(5, "0A000010", rest="; rels: base/5/16415 base/5/16411; inval msgs: catcache 55 relcache 16411"),
        ended(6, "0A000020", "ABORT"),
    ]
    dropped, rolled_back = parse_waldump(lines).transactions
    assert dropped.dropped == ("base/5/16415", "base/5/16411")
    assert (dropped.committed, rolled_back.committed) == (True, False)


def test_a_prepared_transaction_ends_under_its_own_number() -> None:
    lines = [heap(750, "0A000010", "DELETE off 1"), ended(0, "0A000020", "COMMIT_PREPARED 750:")]
    (transaction,) = parse_waldump(lines).transactions
    assert (transaction.xid, len(transaction.changes)) == (750, 1)


def test_a_restore_point_has_its_name_and_only_the_stretch_is_read() -> None:
    point = (
        "rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/0A061E38, prev 0/0A061900, "
        "desc: RESTORE_POINT before migration"
    )
    noise = ["pg_waldump: first record is after 0/A000000, at 0/A000028, skipping over 40 bytes", "", "nonsense"]
    reading = parse_waldump([*noise, point, ended(7, "0B000010")], begin=0x0A000000, end=0x0B000000)
    assert [(found.name, found.position) for found in reading.restore_points] == [
        ("before migration", parse_lsn("0/A061E38"))
    ]
    assert reading.transactions == []


def test_changes_continue_in_the_next_range() -> None:
    pending: dict[int, dict[str, Change]] = {}
    assert parse_waldump([heap(8, "0A000010", "DELETE off 1")], pending=pending).transactions == []
    (transaction,) = parse_waldump([ended(8, "0B000010")], pending=pending).transactions
    assert transaction.changes == (Change("1663/5/16411", deletes=1),)
    assert pending == {}
