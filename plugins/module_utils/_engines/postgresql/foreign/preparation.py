# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creates the schemas and extensions that a dump of one schema uses and does not hold, in the new database."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ...._core.nearest import nearest
from ...._core.options import option
from ..server.catalog import available_extensions
from ..server.connection import Connection, quote_identifier
from ..server.driver import psycopg2
from ..server.refusals import refusal_reason

#: Functions, types and operators of extensions, by which the use of an extension is detected in a dump.
_PROVIDED_BY = {
    "uuid-ossp": ("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v3", "uuid_generate_v4", "uuid_generate_v5"),
    "pgcrypto": ("crypt", "digest", "gen_random_bytes", "gen_salt", "hmac", "pgp_sym_decrypt", "pgp_sym_encrypt"),
    "citext": ("citext",),
    "hstore": ("hstore",),
    "ltree": ("ltree", "lquery"),
    "pg_trgm": ("gin_trgm_ops", "gist_trgm_ops", "similarity", "word_similarity"),
    "postgis": ("geography", "geometry", "st_makepoint", "st_distance"),
    "unaccent": ("unaccent",),
    "vector": ("halfvec", "sparsevec", "vector", "vector_cosine_ops", "vector_l2_ops"),
}


#: Objects that a platform creates and dumps of the schema public use. The functions read the claims of the request
#: like those of the platform; the table of users has no rows. Source: https://supabase.com/docs/guides/database/postgres/row-level-security
_STAND_INS = {
    "supabase": (
        "CREATE SCHEMA IF NOT EXISTS auth",
        "CREATE SCHEMA IF NOT EXISTS extensions",
        "CREATE TABLE auth.users (id uuid PRIMARY KEY, email text)",
        "CREATE FUNCTION auth.jwt() RETURNS jsonb STABLE LANGUAGE sql AS "
        "$$SELECT coalesce(nullif(pg_catalog.current_setting('request.jwt.claims', true), ''), '{}')::jsonb$$",
        "CREATE FUNCTION auth.uid() RETURNS uuid STABLE LANGUAGE sql AS $$SELECT (auth.jwt() ->> 'sub')::uuid$$",
        "CREATE FUNCTION auth.role() RETURNS text STABLE LANGUAGE sql AS $$SELECT auth.jwt() ->> 'role'$$",
        "CREATE FUNCTION auth.email() RETURNS text STABLE LANGUAGE sql AS $$SELECT auth.jwt() ->> 'email'$$",
    ),
}
#: By what a dump is seen to need a stand-in.
_USES = {"supabase": re.compile(r'\bauth"?\."?(?:uid|jwt|role|email|users)\b')}


@dataclass(frozen=True)
class NewExtension:
    """An extension to create. schema is created too; if it is None, the extension chooses."""

    name: str
    schema: t.Optional[str] = None


@dataclass(frozen=True)
class Preparation:
    """The objects that are created in the new database before a dump runs in it."""

    schemas: t.Tuple[str, ...] = field(default=(), metadata=option("create_schemas"))
    extensions: t.Tuple[NewExtension, ...] = field(
        default=(), metadata=option("create_extensions", type=t.Tuple[str, ...])
    )
    stand_ins: t.Tuple[str, ...] = field(default=(), metadata=option(choices=list(_STAND_INS)))

    def __bool__(self) -> bool:
        return bool(self.schemas or self.extensions or self.stand_ins)

    def require_available(self, conn: Connection) -> None:
        """Raise RecoveryError(extensions_missing) for extensions that the server has no files of."""
        known = available_extensions(conn)
        missing = [one.name for one in self.extensions if one.name not in known]
        if missing:
            near = nearest(missing[0], sorted(known))
            raise RecoveryError(
                ErrorKind.EXTENSIONS_MISSING,
                f"`create_extensions` names {', '.join(missing)}, and the server has no such extension.",
                next_step=f"{f'Is {near} meant? ' if near else ''}Install the packages on the server.",
                details={"extensions": missing},
            )

    def complete(self, conn: Connection) -> None:
        """Create all of it. Raises RecoveryError(extensions_missing) with the reason of the server."""
        for platform in self.stand_ins:
            for sql in _STAND_INS[platform]:
                self._create(conn, sql[len("CREATE ") :], f"the stand-in of {platform}")
        placed = {one.schema for one in self.extensions if one.schema}
        for schema in sorted({*self.schemas, *placed}):
            self._create(conn, f"SCHEMA IF NOT EXISTS {quote_identifier(schema)}", f"the schema {schema}")
        for one in self.extensions:
            within = f" WITH SCHEMA {quote_identifier(one.schema)}" if one.schema else ""
            self._create(
                conn,
                f"EXTENSION IF NOT EXISTS {quote_identifier(one.name)}{within} CASCADE",
                f"the extension {one.name}",
            )

    @staticmethod
    def _create(conn: Connection, what: str, title: str) -> None:
        try:
            with conn.cursor() as cursor:
                cursor.execute(f"CREATE {what}")
        except psycopg2.Error as error:
            raise RecoveryError(
                ErrorKind.EXTENSIONS_MISSING,
                f"PostgreSQL refuses to create {title}: {refusal_reason(error)}.",
                next_step="Connect as a role that may create it, or leave it out.",
            ) from None


def new_extension(text: str) -> NewExtension:
    """From C(name) or C(schema.name)."""
    schema, _dot, name = text.rpartition(".")
    return NewExtension(name, schema or None)


def proposed(lacking: t.Iterable[str], statements: t.Sequence[str]) -> t.Dict[str, t.List[str]]:
    """Values of stand_ins, create_schemas and create_extensions that would help a dump.

    lacking: what is missing, as C(kind name). statements: those that were refused, because the server names a missing
    schema and not the function that is looked for in it.
    """
    schemas: t.Dict[str, None] = {}
    extensions: t.Dict[str, None] = {}
    stand_ins = [name for name, use in _USES.items() if any(map(use.search, statements))]
    for one in lacking:
        kind, _space, name = one.partition(" ")
        if kind == "schema":
            used = {found for text in statements for found in re.findall(rf'\b{re.escape(name)}"?\."?(\w+)', text)}
            needed = {extension for extension in map(_extension_of, used) if extension}
            extensions.update(dict.fromkeys(f"{name}.{extension}" for extension in sorted(needed)))
            if not needed and not (stand_ins and name == "auth"):
                schemas[name] = None
        else:
            schema, _dot, plain = name.partition("(")[0].rpartition(".")
            extension = _extension_of(plain.strip('"'))
            if extension:
                extensions[f"{schema}.{extension}" if schema else extension] = None
    return {"stand_ins": stand_ins, "create_schemas": list(schemas), "create_extensions": list(extensions)}


def _extension_of(name: str) -> t.Optional[str]:
    return next((extension for extension, names in _PROVIDED_BY.items() if name.lower() in names), None)
