# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads a set or an archive into an empty database, object by object, and returns what PostgreSQL refused."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ...._repository.manifest import Manifest
from ...._store.base import ObjectStore
from ..archive.copy_in import load_rows
from ..archive.load import load_archive
from ..archive.object_errors import ObjectFailure
from ..archive.properties import DatabaseProperties
from ..archive.toc import Toc, write_list
from ..archive.validated import load_section
from ..foreign.archive import ForeignDump
from ..server.client import ClientPrograms
from ..server.connection import Connection, ConnectionOptions, fetch_all
from . import materialized_views
from .in_place import Loading


@dataclass(frozen=True)
class Loaded:
    """failures are objects that PostgreSQL refused; unpopulated are materialized views without rows."""

    failures: t.Tuple[ObjectFailure, ...] = ()
    unpopulated: t.Tuple[ObjectFailure, ...] = ()


def load_set(
    client: ClientPrograms,
    options: ConnectionOptions,
    folder: str,
    toc: Toc,
    manifest: Manifest,
    store: ObjectStore,
    *,
    jobs: int,
    loading: Loading,
    refresh: bool,
) -> Loaded:
    """Load a set whose rows are still in the store. Raises RecoveryError as load_archive and load_rows."""
    load = _loader(client, options, toc, loading)
    confine = loading.rows_as_owner and loading.owner

    def listed(part: Toc, name: str, sections: t.Sequence[str]) -> t.List[ObjectFailure]:
        listing = write_list(part, folder, name, without=("TABLE DATA", materialized_views.KIND))
        at_once = 1 if name.startswith("pre-data") else jobs
        return load(folder, jobs=at_once, only=[*sections, f"--use-list={listing}"])

    failures = load_section(options, toc, "pre-data", listed, confine=confine)
    failures += load_rows(
        options,
        toc,
        manifest.objects,
        store,
        jobs=jobs,
        search_path=loading.search_path,
        as_owner=loading.rows_as_owner,
    )
    failures += load_section(options, toc, "post-data", listed, confine=confine)
    return Loaded(tuple(failures), _refreshed(options, toc, loading, refresh))


def load_foreign(
    client: ClientPrograms,
    options: ConnectionOptions,
    foreign: ForeignDump,
    scratch: str,
    toc: t.Optional[Toc],
    *,
    jobs: int,
    loading: Loading,
    refresh: bool,
) -> Loaded:
    """Load an archive of another tool. Only a directory archive has a table of contents here."""
    load = _loader(client, options, toc, loading)
    if toc is None:
        return Loaded(tuple(load(foreign.path, jobs=jobs)))
    listing = write_list(toc, scratch, "without-views", without=(materialized_views.KIND,))
    failures = load(foreign.path, jobs=jobs, only=[f"--use-list={listing}"])
    return Loaded(tuple(failures), _refreshed(options, toc, loading, refresh))


def missing_tablespaces(conn: Connection, toc: t.Optional[Toc]) -> t.List[str]:
    """Tablespaces that the archive names and the server lacks."""
    named = {entry.tablespace for entry in toc.entries if entry.tablespace} if toc else set()
    return sorted(named - {row[0] for row in fetch_all(conn, "SELECT spcname FROM pg_tablespace")})


def search_path_of(properties: t.Optional[DatabaseProperties]) -> str:
    """The search_path that sessions of the database start with, unless their role has its own."""
    for setting in properties.settings if properties else ():
        if setting.name == "search_path" and not setting.role:
            return setting.value
    return Loading().search_path


def _refreshed(options: ConnectionOptions, toc: Toc, loading: Loading, refresh: bool) -> t.Tuple[ObjectFailure, ...]:
    if refresh:
        return tuple(materialized_views.refresh(options, toc, search_path=loading.search_path))
    return materialized_views.left_empty(toc)


def _loader(
    client: ClientPrograms, options: ConnectionOptions, toc: t.Optional[Toc], loading: Loading
) -> t.Callable[..., t.List[ObjectFailure]]:
    return functools.partial(
        load_archive,
        client,
        options,
        owner=loading.owner,
        privileges=loading.privileges,
        tablespaces=loading.tablespaces,
        titles={entry.dump_id: entry.title for entry in toc.entries} if toc else None,
    )
