# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds what a restore of a set would miss, from its table of contents alone.

pg_restore decodes an archive without a look at what its entries need, so that a set without a table for its rows, or
without the rows of a table, is decoded without a complaint.
"""

from __future__ import annotations

import typing as t

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.sizes import first_of
from ...._repository.manifest import Manifest
from .copy_in import copy_target
from .toc import Toc

#: Every database has them, or the server makes them.
_ALWAYS_THERE = frozenset(("", "public", "pg_catalog", "pg_toast"))
#: Entries whose schema is that of an object which another entry creates.
_ROWS = "TABLE DATA"


def require_restorable(manifest: Manifest, toc: Toc) -> None:
    """Raise RecoveryError(damaged) when the archive lacks what its own entries need."""
    problems = missing_parts(toc, {entry.path for entry in manifest.objects if entry.role == "data"})
    if problems:
        raise RecoveryError(
            ErrorKind.DAMAGED,
            f"The set {manifest.set_id} would not restore: {first_of(problems, 5, separator='; ')}.",
            next_step="Use another set, and back the source up again.",
            details={"problems": problems},
            damaged=[manifest.object_at("toc.dat").key],
        )


def missing_parts(toc: Toc, files: t.Collection[str]) -> t.List[str]:
    """Objects that entries of the archive need and the set does not hold. files: the files with rows."""
    # An extension may make tables and schemas, which the archive does not name.
    extensions = bool(toc.of_kind("EXTENSION"))
    tables = {(entry.schema, entry.tag) for entry in toc.of_kind("TABLE")}
    schemas = {entry.tag for entry in toc.of_kind("SCHEMA")} | _ALWAYS_THERE
    found = []
    for entry in toc.of_kind(_ROWS):
        if entry.file_name not in files:
            found.append(f"it has no rows of table {entry.schema}.{entry.tag}")
        if copy_target(entry) not in tables and not extensions:
            found.append(f"the rows of {entry.schema}.{entry.tag} have no table {'.'.join(copy_target(entry))}")
    if not extensions:
        lacking = {entry.schema for entry in toc.entries} - schemas
        found += [f"nothing creates the schema {schema}" for schema in sorted(lacking)]
    known = {entry.file_name for entry in toc.of_kind(_ROWS)}
    found += [f"no entry restores the rows in {name}" for name in sorted(set(files) - known)]
    return found
