# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The properties of a database that no object in the database has: locale, owner, grants, limit, comment, settings.

pg_dump writes them only for "pg_restore --create", which restores under the old name and never side by side.
The values of settings may be secrets: no message, result or log holds them.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import asdict, dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ..server.connection import Connection, fetch_all, quote_identifier, quote_literal
from .toc import Toc

#: Parameters whose value is a list of quoted names. Source: GUC_LIST_QUOTE in PostgreSQL's guc_tables.c, up to 18.
_QUOTED_LISTS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)

#: The object of a set that holds the properties.
PROPERTIES_FILE = "database.json"

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}

_DATABASE = """
    SELECT to_jsonb(d), pg_encoding_to_char(d.encoding), pg_get_userbyid(d.datdba), s.spcname,
           shobj_description(d.oid, 'pg_database')
    FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
    WHERE d.datname = %s
"""

_GRANTS = """
    SELECT CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, pg_get_userbyid(a.grantor),
           a.privilege_type, a.is_grantable
    FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = %s
    ORDER BY 1, 2, 3, 4
"""

_SETTINGS = """
    SELECT CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole) END,
           split_part(c.setting, '=', 1), substr(c.setting, strpos(c.setting, '=') + 1)
    FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN unnest(s.setconfig) c (setting)
    WHERE d.datname = %s
    ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Locale:
    """provider is libc, icu or builtin; locale and rules are those of icu and builtin."""

    encoding: str
    provider: str = "libc"
    collation: str = "C"
    ctype: str = "C"
    locale: t.Optional[str] = None
    rules: t.Optional[str] = None


@dataclass(frozen=True)
class Grant:
    """One privilege on the database. An empty grantee is PUBLIC."""

    grantee: str
    grantor: str
    privilege: str
    grantable: bool


@dataclass(frozen=True)
class Setting:
    """ALTER DATABASE ... SET, or with a role ALTER ROLE ... IN DATABASE ... SET. The value may be a secret."""

    role: str
    name: str
    value: str = field(repr=False)

    @property
    def title(self) -> str:
        return f"setting {self.name}" + (f" of role {self.role}" if self.role else "")


@dataclass(frozen=True)
class DatabaseProperties:
    """Everything about a database that is not in the database. A connection_limit of -1 is no limit."""

    locale: Locale
    owner: str
    tablespace: str
    connection_limit: int
    is_template: bool
    comment: t.Optional[str]
    grants: t.Tuple[Grant, ...]
    settings: t.Tuple[Setting, ...] = field(repr=False)

    @property
    def roles(self) -> t.FrozenSet[str]:
        """Every role that the properties name."""
        named = {self.owner, *(grant.grantee for grant in self.grants), *(grant.grantor for grant in self.grants)}
        return frozenset((named | {setting.role for setting in self.settings}) - {""})

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), sort_keys=True, indent=1) + "\n").encode()


@dataclass(frozen=True)
class PropertyDifference:
    """A property that differs, and the two sides as text; values of settings are not shown."""

    what: str
    expected: str
    actual: str


def parse_properties(data: bytes) -> DatabaseProperties:
    """The properties out of the object of a set. Raises RecoveryError(damaged)."""
    try:
        document = json.loads(data)
        document["locale"] = Locale(**document["locale"])
        document["grants"] = tuple(Grant(**item) for item in document["grants"])
        document["settings"] = tuple(Setting(**item) for item in document["settings"])
        return DatabaseProperties(**document)
    except (ValueError, KeyError, TypeError):
        raise RecoveryError(ErrorKind.DAMAGED, "The properties of the database in the set cannot be read.") from None


def recorded_properties(folder: str) -> t.Optional[DatabaseProperties]:
    """The properties of a fetched set; None for a set of a version that did not record them."""
    path = os.path.join(folder, PROPERTIES_FILE)
    if not os.path.exists(path):
        return None
    with open(path, "rb") as stream:
        return parse_properties(stream.read())


def read_properties(conn: Connection, name: str) -> DatabaseProperties:
    """The properties of a database of the server. Raises RecoveryError(target_missing)."""
    rows = fetch_all(conn, _DATABASE, (name,))
    if not rows:
        raise RecoveryError(ErrorKind.TARGET_MISSING, f"There is no database {name!r}.")
    raw, encoding, owner, tablespace, comment = rows[0]
    return DatabaseProperties(
        locale=Locale(
            encoding=encoding,
            provider=_PROVIDERS.get(raw.get("datlocprovider", "c"), "libc"),
            collation=raw["datcollate"],
            ctype=raw["datctype"],
            # The column has another name in 15 and 16 than since 17.
            locale=raw.get("datlocale") or raw.get("daticulocale"),
            rules=raw.get("daticurules"),
        ),
        owner=owner,
        tablespace=tablespace,
        connection_limit=raw["datconnlimit"],
        is_template=raw["datistemplate"],
        comment=comment,
        grants=tuple(Grant(*row) for row in fetch_all(conn, _GRANTS, (name,))),
        settings=tuple(Setting(*row) for row in fetch_all(conn, _SETTINGS, (name,))),
    )


def locale_of_archive(toc: Toc) -> t.Optional[Locale]:
    """The locale in the CREATE DATABASE statement that archives of pg_dump hold, or None without one."""
    for entry in toc.of_kind("DATABASE"):
        found = {
            match.group(1): match.group(2).replace("''", "'")
            for match in re.finditer(r" ([A-Z_]+) = (?:'((?:[^']|'')*)'|(?=\w))", entry.definition)
            if match.group(2) is not None
        }
        provider = re.search(r" LOCALE_PROVIDER = (\w+)", entry.definition)
        if "ENCODING" not in found:
            return None
        both = found.get("LOCALE", "C")
        name = provider.group(1) if provider else "libc"
        own = found.get("ICU_LOCALE") or found.get("BUILTIN_LOCALE") or (both if name != "libc" else None)
        return Locale(
            encoding=found["ENCODING"],
            provider=name,
            collation=found.get("LC_COLLATE", both),
            ctype=found.get("LC_CTYPE", both),
            locale=own,
            rules=found.get("ICU_RULES"),
        )
    return None


def apply_statements(
    wanted: DatabaseProperties, actual: DatabaseProperties, name: str, *, owner: bool, privileges: bool
) -> t.List[t.Tuple[str, str]]:
    """The statements that change properties of the database name from actual to wanted, as pairs (property, statement).

    owner and privileges: include owner and grants. Locale and tablespace cannot be changed.
    """
    database = quote_identifier(name)
    found: t.List[t.Tuple[str, str]] = []
    comment = "NULL" if wanted.comment is None else quote_literal(wanted.comment)
    found.append(("comment", f"COMMENT ON DATABASE {database} IS {comment}"))
    found += [(setting.title, _reset(setting, database)) for setting in actual.settings]
    found += [(setting.title, _set(setting, database)) for setting in wanted.settings]
    if owner:
        found.append(("owner", f"ALTER DATABASE {database} OWNER TO {quote_identifier(wanted.owner)}"))
    if privileges:
        found += _grant_statements(wanted if owner else _with_owner(wanted, actual.owner), actual, database)
    found.append(("connection limit", f"ALTER DATABASE {database} CONNECTION LIMIT {int(wanted.connection_limit)}"))
    found.append(("template flag", f"ALTER DATABASE {database} IS_TEMPLATE {str(bool(wanted.is_template)).lower()}"))
    return found


def property_differences(
    expected: DatabaseProperties, actual: DatabaseProperties, *, owner: bool = True, privileges: bool = True
) -> t.List[PropertyDifference]:
    """The properties that differ. owner and privileges: compare owner and grants too."""
    pairs: t.List[t.Tuple[str, t.Any, t.Any]] = [
        ("encoding", expected.locale.encoding, actual.locale.encoding),
        ("locale provider", expected.locale.provider, actual.locale.provider),
        ("LC_COLLATE", expected.locale.collation, actual.locale.collation),
        ("LC_CTYPE", expected.locale.ctype, actual.locale.ctype),
        ("locale", _language_tag(expected.locale.locale), _language_tag(actual.locale.locale)),
        ("ICU rules", expected.locale.rules, actual.locale.rules),
        ("tablespace", expected.tablespace, actual.tablespace),
        ("connection limit", expected.connection_limit, actual.connection_limit),
        ("template flag", expected.is_template, actual.is_template),
        ("comment", expected.comment, actual.comment),
    ]
    if owner:
        pairs.append(("owner", expected.owner, actual.owner))
    if privileges:
        before = expected if owner else _with_owner(expected, actual.owner)
        pairs.append(("grants", _rights(before), _rights(actual)))
    found = [PropertyDifference(what, _text(before), _text(after)) for what, before, after in pairs if before != after]
    before_settings, after_settings = _by_title(expected), _by_title(actual)
    for title in sorted({*before_settings, *after_settings}):
        if before_settings.get(title) != after_settings.get(title):
            sides = ("set" if title in side else "not set" for side in (before_settings, after_settings))
            text, other = sides
            found.append(PropertyDifference(title, text, "another value" if text == other else other))
    return found


def _grant_statements(
    wanted: DatabaseProperties, actual: DatabaseProperties, database: str
) -> t.Iterator[t.Tuple[str, str]]:
    """Revoke all grants; then grant the wanted ones in the name of their grantors."""
    for grantee in sorted({grant.grantee for grant in actual.grants} | {"", wanted.owner, actual.owner}):
        if grantee != wanted.owner:
            yield f"grants of {grantee or 'PUBLIC'}", f"REVOKE ALL ON DATABASE {database} FROM {_role(grantee)} CASCADE"
    yield "grants of the owner", f"REVOKE ALL ON DATABASE {database} FROM {_role(wanted.owner)}"
    # A grant option must exist before its holder can use it: the owner's grants come first.
    for grant in sorted(wanted.grants, key=lambda grant: (grant.grantor != wanted.owner, not grant.grantable)):
        option = " WITH GRANT OPTION" if grant.grantable else ""
        statement = f"GRANT {grant.privilege} ON DATABASE {database} TO {_role(grant.grantee)}{option}"
        if grant.grantor != wanted.owner:
            statement = (
                f"SET SESSION AUTHORIZATION {quote_identifier(grant.grantor)}; {statement}; RESET SESSION AUTHORIZATION"
            )
        yield f"grant of {grant.privilege} to {grant.grantee or 'PUBLIC'}", statement


def _with_owner(properties: DatabaseProperties, owner: str) -> DatabaseProperties:
    """The grants as they are when another role owns the database."""
    names = {properties.owner: owner}
    grants = {
        Grant(names.get(grant.grantee, grant.grantee), names.get(grant.grantor, grant.grantor), *_what(grant))
        for grant in properties.grants
    }
    ordered = sorted(grants, key=lambda grant: (grant.grantee, grant.grantor, grant.privilege))
    return DatabaseProperties(**{**_fields(properties), "owner": owner, "grants": tuple(ordered)})


def _what(grant: Grant) -> t.Tuple[str, bool]:
    return grant.privilege, grant.grantable


def _fields(properties: DatabaseProperties) -> t.Dict[str, t.Any]:
    return {name: getattr(properties, name) for name in DatabaseProperties.__dataclass_fields__}


def _rights(properties: DatabaseProperties) -> t.List[str]:
    return sorted(
        f"{grant.privilege} to {grant.grantee or 'PUBLIC'} by {grant.grantor}" + " (grantable)" * grant.grantable
        for grant in properties.grants
    )


def _by_title(properties: DatabaseProperties) -> t.Dict[str, str]:
    return {setting.title: setting.value for setting in properties.settings}


def _language_tag(name: t.Optional[str]) -> t.Optional[str]:
    """15 keeps the name of an ICU locale as it was written; since 16 it is a language tag."""
    return None if name is None else name.replace("_", "-").replace("C.UTF8", "C.UTF-8").lower()


def _text(value: t.Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "none" if value is None else str(value)


def _role(name: str) -> str:
    return quote_identifier(name) if name else "PUBLIC"


def _alter(setting: Setting, database: str) -> str:
    if setting.role:
        return f"ALTER ROLE {quote_identifier(setting.role)} IN DATABASE {database}"
    return f"ALTER DATABASE {database}"


def _reset(setting: Setting, database: str) -> str:
    return f"{_alter(setting, database)} RESET {quote_identifier(setting.name)}"


def _set(setting: Setting, database: str) -> str:
    values = _names(setting.value) if setting.name.lower() in _QUOTED_LISTS else [setting.value]
    value = ", ".join(quote_literal(item) for item in values) or "''"
    return f"{_alter(setting, database)} SET {quote_identifier(setting.name)} TO {value}"


def _names(text: str) -> t.List[str]:
    """The names of a list as PostgreSQL stores it: separated by commas, quoted where they must be."""
    found = re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+?))\s*(?:,|\Z)', text)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
