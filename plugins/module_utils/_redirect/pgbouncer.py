# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database of pgbouncer whose server is changed in pgbouncer.ini.

RELOAD leads new connections to the new server, and old ones close when their clients release them. Clients that are
paused stay paused; M(lifeline.recovery.pgbouncer_pause) resumes them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import SUBOPTIONS, FilePath
from .._maintenance.means import wait_until
from .host_file import HostFile
from .pgbouncer_ini import database_pairs, keywords_of, quoted
from .pooler import Console, PoolerLogin, ask_through, console
from .way import HIDDEN, Answer, Look, State, Way

_WHERE = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.inet_server_addr()::text, pg_catalog.inet_server_port()"
#: One connection of the pool may be new while others are old: https://github.com/zalando/postgres-operator/issues/1928.
_TIMES = 3


@dataclass(frozen=True)
class PgbouncerOptions:
    """ini: the file with the line of the database. admin: login to the console. client: login to the database.

    kill_seconds: after so many seconds, connections to the server before are dropped, with all others.
    """

    ini: FilePath
    database: str
    admin: PoolerLogin = field(metadata=SUBOPTIONS)
    client: t.Optional[PoolerLogin] = field(default=None, metadata=SUBOPTIONS)
    kill_seconds: t.Optional[float] = None

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if self.kill_seconds is not None and self.kill_seconds < 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`pgbouncer.kill_seconds` must be at least 0, got {self.kill_seconds:g}."
            )
        require_database(self.database, "pgbouncer.database")


def require_database(name: str, option: str) -> None:
    """Raise RecoveryError(invalid_options) for a name that stands for several databases or the console."""
    if name in ("", "*", "pgbouncer") or not name.isprintable():
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"`{option}` must be the name of one database, got {name!r}.",
            next_step="Give the database a line of its own in pgbouncer.ini; `*` stands for all other databases.",
        )


class Pgbouncer(Way):
    kind = "pgbouncer"

    def __init__(self, options: PgbouncerOptions, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout
        self._file: t.Optional[HostFile] = None
        self._names: t.Sequence[str] = ()

    @property
    def target(self) -> str:
        return f"the database {self._options.database} in {self._options.ini}"

    def require_valid(self, expected: str, value: str) -> None:
        super().require_valid(expected, value)
        old, new = keywords_of(expected, "expected"), keywords_of(value, "value")
        if set(old) != set(new):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`expected` and `value` must have the same keywords, got {_list(old)} and {_list(new)}.",
                next_step="Write each keyword that differs between the sites in both.",
            )
        self._names = list(new)

    def is_same(self, one: str, other: str) -> bool:
        return keywords_of(one, "value") == keywords_of(other, "value") if one and other else one == other

    def shown(self, value: str) -> str:
        pairs = keywords_of(value, "value") if value else {}
        return " ".join(f"{name}={HIDDEN if name == 'password' else quoted(one)}" for name, one in pairs.items())

    def read(self) -> State:
        self._file = HostFile(self._options.ini, "pgbouncer.ini")
        pairs = database_pairs(self._file.text, self._options.database, self._options.ini)
        found = {one.keyword: one.value for one in pairs}
        return State(" ".join(f"{name}={quoted(found[name])}" for name in self._names if name in found))

    def why_pending(self, state: State, value: str) -> str:
        """The file has the value, but a run that was killed before RELOAD leaves the old one in the pooler."""
        with console(self._options.admin, self._timeout) as session:
            return self._why_not_loaded(session, value) or self._why_to_kill(session)

    def write(self, state: State, value: str) -> None:
        with console(self._options.admin, self._timeout) as session:
            if not self.is_same(state.value, value):
                self._edit(value)
            session.command("RELOAD")
            seconds = self._options.kill_seconds
            if seconds is not None and wait_until(seconds, lambda: self._why_to_kill(session)):
                was_paused = session.database(self._options.database)["paused"]
                session.command("KILL", self._options.database)
                if not was_paused:
                    session.command("RESUME", self._options.database)

    def _why_to_kill(self, session: Console) -> str:
        """The reason for which connections may be dropped; empty without the option."""
        return "" if self._options.kill_seconds is None else self._why_old(session)

    def _why_old(self, session: Console) -> str:
        old = [one for one in session.servers(self._options.database) if one.get("close_needed")]
        return f"clients still use {len(old)} connections to the server before" if old else ""

    def _edit(self, value: str) -> None:
        file, wanted = guaranteed(self._file), keywords_of(value, "value")
        text = file.text
        # From the last pair to the first one, so that positions stay right.
        for pair in reversed(database_pairs(text, self._options.database, self._options.ini)):
            if pair.keyword in wanted and pair.value != wanted[pair.keyword]:
                text = f"{text[: pair.start]}{quoted(wanted[pair.keyword])}{text[pair.end :]}"
        file.replace(text)

    def look(self, value: str) -> Look:
        options = self._options
        with console(options.admin, self._timeout) as session:
            row = session.database(options.database)
            answers = [Answer(options.admin.address, f"host={row['host']} port={row['port']}")]
            reason = self._why_not_loaded(session, value) or self._why_old(session)
        if reason or row["paused"] or options.client is None:
            return Look(tuple(answers), reason)
        found, reason = self._ask(options.client)
        return Look((*answers, *found), reason)

    def _ask(self, client: PoolerLogin) -> t.Tuple[t.List[Answer], str]:
        """The server that new clients reach, and why it is not the writer."""
        answers: t.List[Answer] = []
        for _number in range(_TIMES):
            try:
                in_recovery, address, port = ask_through(client, self._options.database, _WHERE, self._timeout)
            except RecoveryError as error:
                return answers, error.what.rstrip(".")
            answers.append(Answer(client.address, f"host={str(address).partition('/')[0]} port={port}"))
            if in_recovery:
                return answers, f"the server {answers[-1].value} behind the pooler is a standby"
        return answers, ""

    def _why_not_loaded(self, session: Console, value: str) -> str:
        row, wanted = session.database(self._options.database), keywords_of(value, "value")
        loaded = {"host": row["host"], "port": row["port"], "dbname": row["database"], "user": row["force_user"]}
        differs = [name for name in loaded if name in wanted and str(loaded[name] or "") != wanted[name]]
        if differs:
            return f"pgbouncer has not loaded the new {_list(differs)}"
        return ""


def _list(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))
