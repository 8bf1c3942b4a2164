# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of a foreign script that may run: statements within the database that is restored.

The rules list what is allowed, so a statement that a later PostgreSQL adds is refused. The rules read statements, not
effects: functions, triggers and views that the script creates run with the rights of the role that calls them.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .script_lexer import Statement

RUN, SKIP, REFUSE = "run", "skip", "refuse"


def _keywords(text: str) -> t.FrozenSet[str]:
    return frozenset(text.split())


#: Objects that belong to one database.
_KINDS = _keywords(
    "ACCESS AGGREGATE CAST COLLATION CONSTRAINT CONVERSION DEFAULT DOMAIN EVENT EXTENSION FOREIGN FUNCTION "
    "GLOBAL INDEX LANGUAGE LARGE LOCAL MATERIALIZED OPERATOR OR POLICY PROCEDURAL PROCEDURE PROPERTY "
    "PUBLICATION RECURSIVE ROUTINE RULE SCHEMA SEQUENCE SERVER STATISTICS SUBSCRIPTION TABLE TEMP TEMPORARY "
    "TEXT TRANSFORM TRIGGER TRUSTED TYPE UNIQUE UNLOGGED VIEW"
)
_MODIFIERS = _keywords("OR REPLACE TRUSTED PROCEDURAL GLOBAL LOCAL TEMP TEMPORARY UNLOGGED UNIQUE")
_EXECUTING = _keywords("SELECT WITH VALUES TABLE ( INSERT UPDATE DELETE MERGE TRUNCATE COPY")
_MAINTENANCE = _keywords("ANALYZE ANALYSE VACUUM CLUSTER REINDEX REFRESH LOCK SHOW SAVEPOINT RELEASE")
_CLUSTER_OBJECTS = frozenset(["ROLE", "TABLESPACE", "PARAMETER"])
#: Catalogs that all databases of a server share, and what writes to them.
_SHARED = _keywords(
    "pg_authid pg_auth_members pg_database pg_db_role_setting pg_tablespace pg_shdepend pg_shdescription "
    "pg_shseclabel pg_replication_origin pg_subscription pg_parameter_acl pg_shadow pg_user pg_roles pg_group "
    "pg_settings pg_file_settings"
)
#: Functions that reach outside of the database, or run text as SQL.
_REACHING = re.compile(
    r"pg_(read|ls|file|terminate|cancel|reload|rotate|switch|create|drop|copy|logical|replication|wal|backup|import|log|"
    r"sync|set|advisory|try_advisory|stat_reset)_.*|pg_(stat_file|promote|start_backup|stop_backup|export_snapshot|"
    r"stat_reset|nextoid|extension_config_dump)|lo_(im|ex)port|dblink.*|set_config|(query|cursor)_to_xml.*|ts_stat|"
    r"xpath_table|crosstab.*|connectby|binary_upgrade_.*"
)
#: A subscription that creates no slot on the other server.
_UNCONNECTED = re.compile(rb"\b(?:connect|create_slot)\s*=\s*(?:false|'false'|off|0)\b", re.IGNORECASE)
#: Settings that let a session change system catalogs or load libraries.
_FORBIDDEN_SETTINGS = frozenset(
    ["allow_system_table_mods", "dynamic_library_path", "session_preload_libraries", "local_preload_libraries"]
)
#: Encodings in which every byte below 128 is an ASCII character, with PostgreSQL's other names for them.
_SAFE_ENCODING = re.compile(
    r"UTF8|UNICODE|SQLASCII|LATIN\d+|ISO8859\d+|WIN(DOWS)?(125\d|866|874)|WIN|ALT|KOI8[RU]?|EUC(JP|CN|KR|TW|JIS2004)|"
    r"MULEINTERNAL|TCVN\d*|ABC|VSCII|DEFAULT"
)
_SET_CONFIG = re.compile(rb"SELECT\s+pg_catalog\.set_config\('([a-z_.]+)',\s*'([^'\\]*)',\s*(?:false|true)\)\s*")
_RESTRICT = re.compile(rb"\\(un)?restrict ([A-Za-z0-9]+)")
_CONNECT = re.compile(rb'\\(?:connect|c)(?: -reuse-previous=on)? ([^\s"\'\\:`-][^\s"\'\\:`]*|"(?:[^"\\\n]|""|\\.)+")')


@dataclass(frozen=True)
class Decision:
    """action: run, skip or refuse; reason: why the statement is refused.

    of_database: the statement is one of those that "pg_dump --create" writes, which an option skips.
    """

    action: str = RUN
    reason: str = ""
    of_database: bool = False


_ALLOWED, _SKIPPED = Decision(), Decision(SKIP)


class ScriptRules:
    """Decides on the statements of one script, in their order.

    backslash_quotes: C(standard_conforming_strings) is off after the statements so far. open: a transaction that the
    script began and did not end. restricted: the token of a \\restrict without its \\unrestrict; headless: vice versa.
    alone: the title of the first statement that PostgreSQL does not run within a transaction.
    """

    def __init__(self, *, skip_database_statements: bool = False) -> None:
        self.backslash_quotes = False
        self.open = False
        self.restricted, self.headless = "", False
        self.alone = ""
        self._skip = skip_database_statements
        self._database: t.Optional[str] = None
        self._begun = False

    def decide(self, statement: Statement) -> Decision:
        """Whether the statement may run."""
        if statement.trouble:
            return Decision(REFUSE, statement.trouble)
        if statement.is_command:
            return self._command(statement)
        if statement.row:
            self._begun = True
            return _refused("it writes to a catalog of the server") if statement.names & _SHARED else _ALLOWED
        name = _database_name(statement.tokens)
        if name is not None:
            return self._database_statement(statement, name)
        reason = self._reason(statement)
        if reason:
            return _refused(reason)
        if not self.alone and (runs_alone(statement) or _adds_value(statement.tokens)):
            self.alone = statement.title
        self._begun = self._begun or statement.tokens[0] not in ("SET", "RESET", "SELECT")
        return _ALLOWED

    def _command(self, statement: Statement) -> Decision:
        if self._is_cut(statement.text):
            # The script ends here: the missing \unrestrict is reported as damage.
            self.restricted = self.restricted or "?"
            return _SKIPPED
        found = _RESTRICT.fullmatch(statement.text)
        if found:
            token = found.group(2).decode("ascii")
            if found.group(1) and not self.restricted:
                self.headless = True
                return _SKIPPED
            if bool(found.group(1)) != bool(self.restricted) or (self.restricted and token != self.restricted):
                return _refused("the tokens of \\restrict and \\unrestrict do not match")
            self.restricted = "" if found.group(1) else token
            return _SKIPPED
        if re.match(rb"\\(?:connect|c)(?![A-Za-z_+])", statement.text):
            return self._connection(statement)
        return _refused("psql commands do not run from a dump")

    def _is_cut(self, text: bytes) -> bool:
        complete = b"\\unrestrict " + self.restricted.encode() if self.restricted else b"\\restrict "
        return text != complete and complete.startswith(text)

    def _connection(self, statement: Statement) -> Decision:
        found = _CONNECT.fullmatch(statement.text)
        if found is None:
            return _refused("it connects to another database")
        if not self._skip:
            return _refused("it connects to another database", of_database=True)
        # pg_dump connects again behind the settings of the database, before the first object.
        if self._begun:
            return _refused("it connects behind the first object, so objects belong to two databases")
        return self._same_database(_connected_database(found.group(1)))

    def _database_statement(self, statement: Statement, name: str) -> Decision:
        if not self._skip:
            return _refused("it creates, changes or drops a database by its name", of_database=True)
        tokens = statement.tokens
        if tokens[:2] == ["CREATE", "DATABASE"]:
            template = [_identifier(after) for after in _behind(tokens, "TEMPLATE")]
            if template not in ([], ["template0"]):
                return _refused(f"it copies the database {template[0]!r}")
        if (
            tokens[0] in ("GRANT", "REVOKE")
            and _behind(tokens, "DATABASE")
            and "," in tokens[tokens.index("DATABASE") :]
        ):
            return _refused("it grants rights on several databases")
        return self._same_database(name)

    def _same_database(self, name: str) -> Decision:
        if self._database not in (None, name):
            return _refused(f"the script is about the database {self._database!r} and about {name!r}")
        self._database = name
        return _SKIPPED

    def _reason(self, statement: Statement) -> str:
        """Why the statement is refused, or nothing."""
        tokens = statement.tokens
        first = tokens[0]
        if first in ("CREATE", "ALTER", "DROP"):
            return _object_reason(statement)
        if first in ("SET", "RESET"):
            return self._setting_statement(tokens)
        if first in ("BEGIN", "START", "COMMIT", "END"):
            self.open = first in ("BEGIN", "START")
            return "it prepares or chains transactions" if {"PREPARED", "CHAIN"} & set(tokens) else ""
        if first in ("GRANT", "REVOKE"):
            subject = _behind(tokens, "ON")
            if not subject:
                return "it changes who is a member of a role"
            return _cluster_object(subject[0])
        if first in ("COMMENT", "SECURITY"):
            return "".join(_cluster_object(subject) for subject in _behind(tokens, "ON")[:1])
        if first in _EXECUTING:
            found = _SET_CONFIG.fullmatch(statement.text)
            if found:
                return self._setting(found.group(1).decode("ascii"), found.group(2).decode("utf-8", "replace"))
            return _executing_reason(statement)
        if first in ("ROLLBACK", "ABORT"):
            return "it takes back what the script loaded"
        return "" if first in _MAINTENANCE else f"{first[:30]} is no statement that a dump needs"

    def _setting_statement(self, tokens: t.Sequence[str]) -> str:
        rest = list(tokens[1:])
        local = rest[:1] == ["LOCAL"]
        if rest[:1] in (["SESSION"], ["LOCAL"]) and rest[1:2] != ["AUTHORIZATION"]:
            rest = rest[1:]
        name = _identifier(rest[0]) if rest else ""
        value = [token for token in rest[1:] if token not in ("=", "TO")]
        if name == "names":
            name, value = "client_encoding", value or ["DEFAULT"]
        if tokens[0] == "RESET":
            value = ["DEFAULT"]
            if name == "all":
                self.backslash_quotes = False
        if local and name in ("client_encoding", "standard_conforming_strings"):
            return "it changes how text is read for one transaction"
        return self._setting(name, value[0].strip("'\"") if len(value) == 1 else " ".join(value))

    def _setting(self, name: str, value: str) -> str:
        if name in _FORBIDDEN_SETTINGS:
            return f"it sets {name}"
        if name == "client_encoding" and not is_safe_encoding(value):
            return f"the encoding {value[:20]} holds ASCII bytes in other characters; dump with --encoding=UTF8"
        if name == "standard_conforming_strings":
            if value.lower() not in ("on", "off", "default"):
                return f"it sets {name} to a value other than on and off"
            self.backslash_quotes = value.lower() == "off"
        return ""


def is_safe_encoding(name: str) -> bool:
    """Whether every byte below 128 of a text in this encoding is an ASCII character."""
    return bool(_SAFE_ENCODING.fullmatch(re.sub(r"[^A-Z0-9]", "", name.upper())))


def _refused(reason: str, *, of_database: bool = False) -> Decision:
    return Decision(REFUSE, reason, of_database)


def _database_name(tokens: t.Sequence[str]) -> t.Optional[str]:
    """The database that a statement is about by its name; nothing for other statements."""
    if tokens[0] in ("CREATE", "ALTER", "DROP") and tokens[1:2] == ["DATABASE"]:
        name = [token for token in tokens[2:5] if token not in ("IF", "EXISTS")]
    elif tokens[0] == "ALTER" and tokens[1:2] in (["ROLE"], ["USER"]) and tokens[3:5] == ["IN", "DATABASE"]:
        name = list(tokens[5:6])
    elif tokens[0] in ("COMMENT", "SECURITY", "GRANT", "REVOKE") and _behind(tokens, "ON")[:1] == ["DATABASE"]:
        name = list(tokens[tokens.index("ON") + 2 :][:1])
    else:
        return None
    return _identifier(name[0]) if name else ""


def _connected_database(argument: bytes) -> str:
    """The name in a \\connect of pg_dump, which is plain, quoted, or within a connection string."""
    text = argument.decode("utf-8", "replace")
    if not text.startswith('"'):
        return text
    text = text[1:-1].replace('""', '"')
    found = re.fullmatch(r"dbname='((?:[^'\\]|\\.)*)'", text)
    return text if found is None else re.sub(r"\\(.)", r"\1", found.group(1))


def _object_reason(statement: Statement) -> str:
    tokens = statement.tokens
    kind = tokens[1] if len(tokens) > 1 else ""
    if kind == "USER" and tokens[2:3] == ["MAPPING"]:
        return ""
    changed = next((token for token in tokens[1:] if token not in _MODIFIERS), "")
    if not {kind, changed} <= _KINDS:
        return "it changes the server, not only this database"
    kind = changed
    if kind == "SUBSCRIPTION":
        return _subscription_reason(statement)
    if kind == "SCHEMA" and tokens[0] == "CREATE" and "GRANT" in tokens:
        return "it hides a GRANT in a CREATE SCHEMA"
    if kind == "TABLE" and tokens[0] == "CREATE" and "AS" in tokens:
        return _executing_reason(statement)
    if kind in ("FUNCTION", "PROCEDURE") and tokens[0] == "CREATE":
        return _library_reason(tokens)
    return ""


def _subscription_reason(statement: Statement) -> str:
    tokens = statement.tokens
    if tokens[0] == "CREATE" and not re.search(rb"\bconnect\s*=\s*(?:false|'false')", statement.text):
        return "it subscribes to another server immediately"
    if tokens[0] == "ALTER" and "OWNER" not in tokens:
        return "it changes a subscription to another server"
    return ""


def _library_reason(tokens: t.Sequence[str]) -> str:
    """A function in C loads a library into the server; only those that are installed are allowed."""
    languages = [token.strip("'\"").lower() for token in _behind(tokens, "LANGUAGE")]
    if "c" not in languages:
        return ""
    library = (_behind(tokens, "AS") or ["'...'"])[0].strip("'")
    if re.fullmatch(r"(\$libdir/)?[A-Za-z0-9_.\-]+", library):
        return ""
    return "it loads a library into the server from outside of $libdir"


def _executing_reason(statement: Statement) -> str:
    tokens = statement.tokens
    if tokens[0] == "COPY" and not statement.takes_rows:
        return "it reads or writes a file or a program of the server"
    target = _target(tokens)
    if target[:1] in (["pg_catalog"], ["information_schema"]) or statement.names & _SHARED:
        return "it uses a catalog of the server"
    calls = sorted(name for name in statement.calls - set(target[-1:]) if _REACHING.fullmatch(name))
    return f"it calls {calls[0]}" if calls else ""


def _target(tokens: t.Sequence[str]) -> t.List[str]:
    """The parts of the name of the table that a statement writes to."""
    if tokens[0] not in ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY"):
        return []
    rest = [token for token in tokens[1:9] if token not in ("INTO", "FROM", "ONLY", "TABLE", "BINARY")]
    parts = rest[:1]
    while rest[1:2] == ["."]:
        rest = rest[2:]
        parts += rest[:1]
    return [_identifier(part) for part in parts]


def _cluster_object(kind: str) -> str:
    return f"it changes a {kind.lower()} of the server" if kind in _CLUSTER_OBJECTS else ""


def runs_alone(statement: Statement) -> bool:
    """Whether PostgreSQL refuses the statement within a transaction (PreventInTransactionBlock in its source)."""
    first, rest = statement.tokens[0], statement.tokens[1:]
    concurrently = "concurrently" in statement.names
    if first == "REINDEX":
        return concurrently or bool({"DATABASE", "SYSTEM", "SCHEMA"} & set(rest[:4]))
    if first in ("CREATE", "DROP"):
        if [first, *rest[:1]] == ["CREATE", "SUBSCRIPTION"]:
            return not _UNCONNECTED.search(statement.text)
        return (concurrently and "INDEX" in rest[:2]) or rest[:1] in (["DATABASE"], ["TABLESPACE"])
    if first == "ALTER":
        return (
            (concurrently and "DETACH" in rest)
            or rest[:1] == ["SYSTEM"]
            or (rest[:1] == ["DATABASE"] and "TABLESPACE" in rest)
        )
    return first == "VACUUM" or [first, *rest] in (["CLUSTER"], ["CLUSTER", "VERBOSE"], ["DISCARD", "ALL"])


def _adds_value(tokens: t.Sequence[str]) -> bool:
    """Whether the statement adds a value to an enum, which the same transaction cannot use."""
    return tokens[:2] == ["ALTER", "TYPE"] and "ADD" in tokens and "VALUE" in tokens


def _behind(tokens: t.Sequence[str], word: str) -> t.List[str]:
    """The tokens that stand directly behind a word; an equals sign between them is left out."""
    found = []
    for index, token in enumerate(tokens):
        if token == word:
            found += [after for after in tokens[index + 1 : index + 3] if after != "="][:1]
    return found


def _identifier(token: str) -> str:
    if token.startswith('"'):
        return token[1:-1].replace('""', '"')
    # Only ASCII letters are folded, as the server does in UTF-8.
    return token.encode("utf-8", "surrogatepass").lower().decode("utf-8", "replace")
