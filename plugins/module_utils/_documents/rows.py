# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of versioned documents: the statements that read and write them."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.sizes import counted
from .._engines.postgresql.server.connection import fetch_all
from .._engines.postgresql.server.names import QualifiedName
from .tables import Table


class VersionRow(t.NamedTuple):
    """A row of the table of versions, without its content. size: bytes of the content as text; None for NULL."""

    version: int
    etag: t.Optional[int]
    publisher: t.Optional[str]
    changelog: t.Optional[str]
    published_at: t.Optional[str]
    size: t.Optional[int]
    storage_path: t.Optional[str] = None


class Stored(t.NamedTuple):
    """The content of a version: its text, or the key of the object that holds it. The text of a row has priority."""

    text: t.Optional[str] = None
    path: t.Optional[str] = None


class MetadataRow(t.NamedTuple):
    """The current version of a document by the table of documents."""

    version: t.Optional[int]
    etag: t.Optional[int]
    updated_at: t.Optional[str]


class NewVersion(t.NamedTuple):
    """A version that is inserted; content is its text."""

    document: str
    version: int
    content: str
    etag: t.Optional[int]


class Known(t.NamedTuple):
    """A document that exists. version: its newest one, or None. metadata: None if there is no table of documents."""

    version: t.Optional[int]
    metadata: t.Optional[MetadataRow]

    @property
    def current(self) -> t.Optional[int]:
        """The version by the table of documents, or None."""
        return self.metadata.version if self.metadata else None

    @property
    def is_complete(self) -> bool:
        """Whether it has versions, up to its current one."""
        return self.version is not None and self.version >= (self.current or 0)


class Newest(t.NamedTuple):
    """The current state of a document by both tables. version: None if it has no version.

    rows: the number of rows of that version; more than one in a table whose versions have no unique key.
    """

    document: str
    metadata: t.Optional[MetadataRow]
    version: t.Optional[int]
    etag: t.Optional[int]
    size: int
    rows: int


class DocumentTables:
    """Statements over both tables, run in a session whose transaction the caller opens."""

    def __init__(self, session: t.Any, versions: Table, metadata: t.Optional[Table]) -> None:
        self.session, self.versions, self.metadata = session, versions, metadata

    def documents(self) -> t.List[str]:
        """The ids of all documents, in their order."""
        sql = f"SELECT {self.versions['document']}::text AS id FROM {self.versions.sql}"
        if self.metadata is not None:
            sql = f"{sql} UNION SELECT {self.metadata['document']}::text FROM {self.metadata.sql}"
        return [
            row[0] for row in self._all(f'SELECT id FROM (SELECT DISTINCT id FROM ({sql}) d) i ORDER BY id COLLATE "C"')
        ]

    def known(self, documents: t.Sequence[str]) -> t.Dict[str, Known]:
        """The documents that exist: those with a row in the table of documents, or with a version if there is none."""
        table = self.versions
        document, number = table.columns["document"], table.columns["version"].number
        rows = self._all(
            f"SELECT {document.sql}::text, max({number})::text FROM {table.sql} "
            f"WHERE {document.sql} = ANY (%s::{document.type}[]) GROUP BY {document.sql}",
            ([one for one in documents if table.can_hold(one)],),
        )
        newest = {row[0]: _integer(row[1]) for row in rows}
        if self.metadata is None:
            return {one: Known(newest.get(one), None) for one in documents}
        return {one: Known(newest.get(one), row) for one, row in self.metadata_of(documents).items()}

    def newest(self, documents: t.Sequence[str]) -> t.List[Newest]:
        """The newest version and the metadata of these documents."""
        table = self.versions
        document, version = table.columns["document"], table.columns["version"]
        documents = [one for one in documents if table.can_hold(one)]
        rows = self._all(
            # ORDER BY would take a name without its table for the column of the result, whose type is text.
            f"SELECT DISTINCT ON (v.{document.sql}) v.{document.sql}::text, v.{version.sql}::text, "
            f"{self._text('etag')}, octet_length({self._text('content')}), "
            f"count(*) OVER (PARTITION BY v.{document.sql}, v.{version.number}) FROM {table.sql} v "
            f"WHERE v.{document.sql} = ANY (%s::{document.type}[]) ORDER BY v.{document.sql}, v.{version.number} DESC",
            (list(documents),),
        )
        found = {row[0]: row for row in rows}
        metadata = self.metadata_of(documents)
        return [
            Newest(one, metadata.get(one), _integer(row[1]), _integer(row[2]), row[3] or 0, row[4])
            for one in documents
            for row in [found.get(one, (one, None, None, 0, 0))]
            if one in found or one in metadata
        ]

    def metadata_of(self, documents: t.Sequence[str], *, lock: bool = False) -> t.Dict[str, MetadataRow]:
        """The rows of the table of documents. lock: no other session changes them until the transaction ends."""
        table = self.metadata
        if table is None:
            return {}
        column = table.columns["document"]
        documents = [one for one in documents if table.can_hold(one)]
        parts = [f"{table[name]}::text" if name in table else "NULL" for name in ("version", "etag", "updated_at")]
        rows = self._all(
            f"SELECT {column.sql}::text, {', '.join(parts)} FROM {table.sql} "
            f"WHERE {column.sql} = ANY (%s::{column.type}[]){' FOR UPDATE' if lock else ''}",
            (list(documents),),
        )
        return {row[0]: MetadataRow(_integer(row[1]), _integer(row[2]), row[3]) for row in rows}

    def versions_of(self, document: str) -> t.List[VersionRow]:
        """The versions of a document, newest first."""
        table = self.versions
        rows = self._all(
            f"SELECT {table['version']}::text, {self._text('etag')}, {self._text('publisher')}, "
            f"{self._text('changelog')}, {self._text('published_at')}, octet_length({self._text('content')}), "
            f"{self._text('storage_path')} "
            f"FROM {table.sql} v WHERE {table['document']} = %s ORDER BY v.{table.columns['version'].number} DESC",
            (document,),
        )
        return [VersionRow(_integer(row[0]) or 0, _integer(row[1]), *row[2:]) for row in rows]

    def content(self, document: str, version: int) -> Stored:
        """The content of a version; it has neither text nor path if it is NULL or if there is no such version."""
        return self.contents([(document, version)]).get(document, Stored())

    def contents(self, wanted: t.Sequence[t.Tuple[str, int]]) -> t.Dict[str, Stored]:
        """The contents of one version of each document, in one statement."""
        table = self.versions
        document, version = table.columns["document"], table.columns["version"]
        rows = self._all(
            f"SELECT v.{document.sql}::text, {self._text('content', 'v.')}, {self._text('storage_path', 'v.')} "
            f"FROM {table.sql} v "
            f"JOIN unnest(%s::{document.type}[], %s::numeric[]) w (d, n) "
            f"ON v.{document.sql} = w.d AND v.{version.number} = w.n",
            ([one for one, _version in wanted], [number for _document, number in wanted]),
        )
        return {row[0]: Stored(*row[1:]) for row in rows}

    def copy_version(
        self, document: str, version: int, *, to: int, publisher: t.Optional[str], changelog: str, etag: t.Optional[int]
    ) -> None:
        """Insert a version that has the content of another one, and its publisher unless another one is given.

        Raises RecoveryError(conflict) if the table does not have exactly one row of the other version.
        """
        table = self.versions
        contents = [name for name in ("content", "storage_path") if name in table and not table.columns[name].unique]
        if not contents:
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The column {table['storage_path']} of {table.name} is unique, so a new version cannot have the "
                f"object of version {version}.",
                left="The document is unchanged.",
                next_step="Restore with `via: http` or `via: function`.",
            )
        values: t.Dict[str, t.Tuple[str, t.Sequence[t.Any]]] = {
            "document": (table["document"], ()),
            "version": (self._parameter("version"), (to,)),
            # Objects of versions are immutable, so that two versions can share one.
            **{name: (table[name], ()) for name in contents},
            **self._described(publisher, changelog, etag),
        }
        if publisher is None and "publisher" in table:
            values["publisher"] = (table["publisher"], ())
        values.update((name, (name, ())) for name in table.copied)
        inserted = self._insert(
            values,
            f" FROM {table.sql} WHERE {table['document']} = %s AND {table.columns['version'].number} = %s",
            (document, version),
        )
        if inserted != 1:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"{counted(inserted, 'row')} of version {version} of {document} were copied, 1 was expected.",
                left="The document is unchanged.",
                next_step="List the versions of the document with course_version_info, then run it again.",
            )

    def add_versions(
        self, versions: t.Sequence[NewVersion], *, publisher: t.Optional[str], changelog: str, only_newest: bool = False
    ) -> int:
        """Insert versions in one statement. The number of rows.

        only_newest: leave out versions of documents that have this number or a higher one.
        """
        table = self.versions
        values: t.Dict[str, t.Tuple[str, t.Sequence[t.Any]]] = {
            **{name: (f"n.{name}::{table.columns[name].type}", ()) for name in NewVersion._fields if name in table},
            **self._described(publisher, changelog, None),
        }
        given = [value for version in versions for value in version]
        rows = ", ".join(["(%s, %s, %s, %s)"] * len(versions))
        condition = (
            f" WHERE NOT EXISTS (SELECT FROM {table.sql} v "
            f"WHERE v.{table['document']} = n.document::{table.columns['document'].type} "
            f"AND v.{table.columns['version'].number} >= n.version::numeric)"
        )
        return self._insert(
            values,
            f" FROM (VALUES {rows}) n ({', '.join(NewVersion._fields)}){condition if only_newest else ''}",
            given,
        )

    def add_metadata(self, document: str, version: t.Optional[int], etag: t.Optional[int]) -> MetadataRow:
        """Insert the row of a document that has versions and no row in the table of documents."""
        table = guaranteed(self.metadata)
        given = {"document": document, "version": version, "etag": etag}
        values = {table[name]: value for name, value in given.items() if name in table and value is not None}
        names, parameters = list(values), list(values.values())
        expressions = ["%s"] * len(names)
        if "updated_at" in table and table.columns["updated_at"].required:
            names, expressions = [*names, table["updated_at"]], [*expressions, "now()"]
        with self.session.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table.sql} ({', '.join(names)}) VALUES ({', '.join(expressions)})", parameters
            )
        return self.metadata_of([document])[document]

    def set_current(self, document: str, before: MetadataRow, version: int, etag: t.Optional[int]) -> int:
        """Make a version the current one if the row still has the etag and the version of before; 0 if it has not."""
        table = guaranteed(self.metadata)
        changes, parameters = [f"{table['version']} = %s::{table.columns['version'].type}"], [version]
        conditions: t.List[t.Any] = [document, before.version]
        where = f"{table['document']} = %s AND {table['version']}::text IS NOT DISTINCT FROM %s::text"
        if "etag" in table:
            changes.append(f"{table['etag']} = %s::{table.columns['etag'].type}")
            parameters.append(t.cast(int, etag))
            where += f" AND {table['etag']}::text IS NOT DISTINCT FROM %s::text"
            conditions.append(before.etag)
        if "updated_at" in table:
            changes.append(f"{table['updated_at']} = now()")
        with self.session.cursor() as cursor:
            cursor.execute(f"UPDATE {table.sql} SET {', '.join(changes)} WHERE {where}", (*parameters, *conditions))
            return int(cursor.rowcount)

    def call(self, function: QualifiedName, document: str, version: int, changelog: str) -> None:
        """Call the application's own function of a restore."""
        self._all(f"SELECT {function.quoted.replace('%', '%%')}(%s, %s, %s)", (document, version, changelog))

    def _described(
        self, publisher: t.Optional[str], changelog: str, etag: t.Optional[int]
    ) -> t.Dict[str, t.Tuple[str, t.Sequence[t.Any]]]:
        given = {"publisher": publisher, "changelog": changelog, "etag": etag}
        values: t.Dict[str, t.Tuple[str, t.Sequence[t.Any]]] = {
            name: (self._parameter(name), (value,))
            for name, value in given.items()
            if name in self.versions and value is not None
        }
        column = self.versions.columns.get("published_at")
        if column is not None and column.required:
            values["published_at"] = ("now()", ())
        return values

    def _insert(
        self, values: t.Mapping[str, t.Tuple[str, t.Sequence[t.Any]]], rest: str, parameters: t.Sequence[t.Any]
    ) -> int:
        table = self.versions
        names = ", ".join(table.sql_of(name) for name in values)
        expressions = ", ".join(sql for sql, _parameters in values.values())
        given = [one for _sql, some in values.values() for one in some]
        with self.session.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table.sql} ({names}) SELECT {expressions}{rest}", (*given, *parameters))
            return int(cursor.rowcount)

    def _parameter(self, option: str) -> str:
        return f"%s::{self.versions.columns[option].type}"

    def _text(self, option: str, alias: str = "") -> str:
        return f"{alias}{self.versions[option]}::text" if option in self.versions else "NULL::text"

    def _all(self, sql: str, parameters: t.Any = None) -> t.List[t.Tuple[t.Any, ...]]:
        # Without parameters, psycopg2 leaves doubled percent signs as they are.
        return fetch_all(self.session, sql if parameters else sql.replace("%%", "%"), parameters)


def _integer(text: t.Optional[str]) -> t.Optional[int]:
    """The whole number of a column. Raises RecoveryError(unsupported) for a text that is none."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise RecoveryError(
            ErrorKind.UNSUPPORTED, f"A version or an etag must be a whole number, got {text[:50]!r}."
        ) from None
