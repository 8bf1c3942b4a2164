# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The structure of a database: every definition that pg_dump writes, by the entries of its table of contents.

No list of kinds of objects is kept here, so that what pg_dump knows is compared. PostgreSQL may print an expression
differently after one reload (an array of casts becomes a cast of an array), and another major version prints
others differently still. Where texts differ, the recorded definitions are replayed into an empty database of the
same server, and what pg_dump writes of that database decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import typing as t
from dataclasses import replace

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.process import scratch_folder
from ..server.client import ClientPrograms, find_client
from ..server.connection import ConnectionOptions, connection, fetch_all, fetch_value, quote_identifier
from .dump import TOC_NAME, client_encoding, dump_failure, read_toc, start_dump
from .load import load_archive
from .object_errors import ObjectFailure
from .selection import DumpScope, Selection, read_path, read_relations
from .toc import Toc, TocEntry, write_list
from .validated import load_section

#: Kind or property of objects to {schema and name: digest of the definition}.
Structure = t.Dict[str, t.Dict[str, str]]
Definitions = t.Mapping[str, t.Mapping[str, str]]

OWNERS, TABLESPACES = "OWNER", "TABLESPACE"
#: Categories that a restore without privileges leaves out.
PRIVILEGES = ("ACL", "DEFAULT ACL")

#: Entries that hold data or settings of the archive. Rows, large objects and sequences are compared by their content,
#: the properties of the database by their catalogs.
_NO_STRUCTURE = frozenset(
    (
        "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "TABLE DATA", "BLOBS", "BLOB",
        "BLOB METADATA", "BLOB COMMENTS", "SEQUENCE SET", "MATERIALIZED VIEW DATA", "STATISTICS DATA",
    )
)  # fmt: skip
_ELSEWHERE = ("DATABASE ", "LARGE OBJECT ")

_LOCALE = """
    SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()
"""


def structure_of(toc: Toc) -> Structure:
    """Kind to {schema and name: digest of the definition}; owners and tablespaces are categories of their own."""
    found: t.Dict[str, t.Dict[str, t.List[str]]] = {}
    for entry in toc.entries:
        if not _is_structure(entry):
            continue
        identity = f"{entry.schema}.{entry.tag}" if entry.schema else entry.tag
        text = _canonical(entry)
        found.setdefault(entry.kind, {}).setdefault(identity, []).append(text)
        for category, value in ((OWNERS, entry.owner), (TABLESPACES, entry.tablespace)):
            if value and entry.kind not in PRIVILEGES:
                found.setdefault(category, {}).setdefault(f"{entry.kind} {identity}", []).append(value)
    return {
        category: {identity: _digest(texts) for identity, texts in items.items()} for category, items in found.items()
    }


def read_structure(options: ConnectionOptions, selection: Selection) -> Structure:
    """The structure of a live database, as far as the selection of a dump reaches.

    Raises RecoveryError as a dump does: access_denied, locked, client_missing, client_too_old, dump_failed.
    """
    with connection(options, application="lifeline.recovery structure") as conn:
        client = find_client(conn.server_version // 10000, options.client_bin_dir)
        encoding = fetch_value(conn, "SHOW server_encoding")
    with scratch_folder("lifeline-structure-") as folder:
        return structure_of(_dump(client, options, selection, folder, encoding))


def replayed_structure(
    options: ConnectionOptions, toc: bytes, selection: Selection, *, owner: bool, privileges: bool
) -> t.Tuple[Structure, bool]:
    """Recorded definitions as this server prints them, and whether the server accepted all of them.

    toc holds the bytes of toc.dat. An empty database is created on the same server and dropped again. Only definitions
    are replayed; code of users in them runs with the rights of the owner. Raises RecoveryError if that is not
    possible.
    """
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(connection(options, application="lifeline.recovery structure"))
        client = find_client(conn.server_version // 10000, options.client_bin_dir)
        encoding = fetch_value(conn, "SHOW server_encoding")
        folder = stack.enter_context(scratch_folder("lifeline-structure-"))
        with open(os.path.join(folder, TOC_NAME), "wb") as stream:
            stream.write(toc)
        replica = options.with_database(stack.enter_context(_empty_database(conn)))
        recorded = read_toc(folder)
        # A subscription would keep its database from being dropped.
        wanted = [entry for entry in recorded.entries if _is_structure(entry) and "SUBSCRIPTION" not in entry.kind]

        def load(part: Toc, name: str, sections: t.Sequence[str]) -> t.List[ObjectFailure]:
            only = ["--schema-only", *sections, f"--use-list={write_list(part, folder, name)}"]
            return load_archive(client, replica, folder, jobs=1, owner=owner, privileges=privileges, only=only)

        definitions = replace(recorded, entries=tuple(wanted))
        failures = load_section(replica, definitions, "pre-data", load, confine=owner)
        failures += load_section(replica, definitions, "post-data", load, confine=owner)
        return structure_of(_dump(client, replica, selection, folder, encoding)), not failures


def merged(recorded: Definitions, replayed: Structure, current: Definitions, *, everything: bool) -> Structure:
    """The recorded structure; a definition that differs from the current one is taken from the replay.

    A replay may lack a part of a definition, such as a grant that the role may not make.
    Recorded objects that the replay lacks stay expected, unless everything is true: then the replay was complete and
    by another major version, which may divide definitions into other entries.
    """
    if everything:
        return replayed
    return {
        category: {
            identity: digest
            if current.get(category, {}).get(identity) == digest
            else replayed.get(category, {}).get(identity, digest)
            for identity, digest in items.items()
        }
        for category, items in recorded.items()
    }


def narrowed(structure: Definitions, keep: t.Callable[[str, str], bool]) -> Structure:
    """The objects for which keep is true, by category and name. A category without objects is left out."""
    kept = {
        category: {name: digest for name, digest in items.items() if keep(category, name)}
        for category, items in structure.items()
    }
    return {category: items for category, items in kept.items() if items}


def _is_structure(entry: TocEntry) -> bool:
    return entry.kind not in _NO_STRUCTURE and not (
        entry.kind in ("ACL", "COMMENT", "SECURITY LABEL") and entry.tag.startswith(_ELSEWHERE)
    )


def _canonical(entry: TocEntry) -> str:
    if entry.kind in PRIVILEGES:
        # The order of grants is that of their making and means nothing.
        return "\n".join(sorted(line for line in entry.definition.splitlines() if line))
    return "\n".join((entry.access_method, entry.definition))


def _digest(texts: t.Iterable[str]) -> str:
    parts = (text.encode("utf-8", "surrogateescape") for text in sorted(texts))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _dump(client: ClientPrograms, options: ConnectionOptions, selection: Selection, parent: str, encoding: str) -> Toc:
    folder = os.path.join(parent, "live")
    with connection(options, application="lifeline.recovery structure") as conn:
        scope = DumpScope(selection, read_relations(conn, read_path(conn)))
    arguments = [
        client.path("pg_dump"),
        "--format=directory",
        "--schema-only",
        "--no-password",
        "--no-sync",
        "--lock-wait-timeout=60s",
        f"--encoding={client_encoding(encoding)}",
        f"--file={folder}",
        *scope.arguments(client.major),
    ]
    with start_dump(arguments, options) as child:
        complaints = list(child.lines())
        code = child.wait()
    if code == 0:
        return read_toc(folder)
    if any("no matching schemas were found" in line for line in complaints):
        return Toc((1, 14), options.database, "", "", ())
    raise dump_failure(code, complaints, left="The structure was not compared.")


@contextlib.contextmanager
def _empty_database(conn: t.Any) -> t.Iterator[str]:
    name = f"lifeline_compare_{secrets.token_hex(4)}"
    encoding, collation, ctype = fetch_all(conn, _LOCALE)[0]
    with conn.cursor() as cursor:
        try:
            cursor.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING %s LC_COLLATE %s LC_CTYPE %s",
                (encoding, collation, ctype),
            )
        except Exception as error:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"No database could be made to replay definitions in: {str(error).strip().splitlines()[0]}.",
                next_step="Grant the role CREATEDB, so that definitions that are printed differently can be compared.",
            ) from None
        try:
            yield name
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")
