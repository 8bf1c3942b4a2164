# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set that lacks what its own entries need is found from its table of contents."""

from __future__ import annotations

from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.archive_contents import (
    missing_parts,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.archive.toc import Toc, TocEntry


def entry(kind: str, tag: str, schema: str = "", *, file_name: str = "", copy: str = "") -> TocEntry:
    return TocEntry(1, bool(file_name), tag, kind, "", copy, schema, "app", (), file_name)


SCHEMA = entry("SCHEMA", "shop")
TABLE = entry("TABLE", "sale", "shop")
ROWS = entry("TABLE DATA", "sale", "shop", file_name="1.dat", copy="COPY shop.sale (id) FROM stdin;\n")


def missing(*entries: TocEntry, files: tuple[str, ...] = ("1.dat",)) -> list[str]:
    return missing_parts(Toc((1, 14), "app", "15.1", "15.1", entries), files)


def test_a_whole_archive_lacks_nothing() -> None:
    assert missing(SCHEMA, TABLE, ROWS) == []
    assert missing(entry("TABLE", "t", "public"), files=()) == []


def test_rows_need_their_table_and_their_file() -> None:
    assert missing(SCHEMA, ROWS) == ["the rows of shop.sale have no table shop.sale"]
    assert missing(SCHEMA, TABLE, ROWS, files=()) == ["it has no rows of table shop.sale"]
    assert missing(SCHEMA, TABLE, files=("2.dat",)) == ["no entry restores the rows in 2.dat"]


def test_rows_of_a_partition_need_the_table_that_they_are_loaded_through() -> None:
    through_root = entry(
        "TABLE DATA", "sale", "shop", file_name="1.dat", copy='COPY shop."all sales" (id) FROM stdin;\n'
    )
    assert missing(SCHEMA, TABLE, through_root) == ["the rows of shop.sale have no table shop.all sales"]
    assert missing(SCHEMA, TABLE, entry("TABLE", "all sales", "shop"), through_root) == []


def test_a_schema_is_created_by_the_archive_or_by_an_extension() -> None:
    assert missing(TABLE, ROWS) == ["nothing creates the schema shop"]
    assert missing(entry("EXTENSION", "pgmq"), ROWS) == []
