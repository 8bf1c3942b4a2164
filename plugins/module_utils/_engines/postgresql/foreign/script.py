# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a plain dump: whether it is complete, which tables it creates, and whether its statements may run."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ...._core.errors import ErrorKind, RecoveryError
from ..server.names import QualifiedName
from .script_lexer import ScriptReader, Statement, cut_off
from .script_roles import role_use
from .script_rules import REFUSE, RUN, Decision, ScriptRules

_HEADER = re.compile(rb"-- PostgreSQL database (?P<cluster>cluster )?dump(?P<end> complete)?[ \t]*")


@dataclass(frozen=True)
class Refusal:
    """A statement that must not run. line: from 1. title: its beginning, without constants."""

    line: int
    title: str
    reason: str
    of_database: bool = False


@dataclass
class ScriptFacts:
    """Facts of the statements that were read so far.

    headed and ended: the first and the last lines are those of pg_dump. count: the statements CREATE TABLE.
    roles: those that must exist. owners: roles that get objects, with the first statement that gives one.
    damage: why the script is not complete, or nothing. alone: the first statement that no transaction can hold.
    """

    headed: bool = False
    ended: bool = False
    cluster: bool = False
    statements: int = 0
    count: int = 0
    tables: t.Set[QualifiedName] = field(default_factory=set)
    roles: t.Set[str] = field(default_factory=set)
    owners: t.Dict[str, str] = field(default_factory=dict)
    refusal: t.Optional[Refusal] = None
    damage: str = ""
    alone: str = ""

    @property
    def one_transaction(self) -> bool:
        """A script of unknown origin runs in one transaction; pg_dump's may hold more locks than one can take."""
        return not self.headed and not self.alone


class GuardedScript:
    """Iterates over the statements that may run, and notes the facts. Statements to skip are left out.

    owner and privileges: if false, statements that only set an owner or grant rights are left out.
    lenient: note the first refusal and continue, for reports; nothing may be run then.
    own: the script comes from a backup set, so only what psql would take as a command is refused.
    Raises RecoveryError: unsafe_dump before a statement that must not run, damaged when the script is not complete.
    """

    def __init__(
        self,
        chunks: t.Iterable[bytes],
        *,
        skip_database_statements: bool = False,
        owner: bool = True,
        privileges: bool = True,
        lenient: bool = False,
        own: bool = False,
    ) -> None:
        self.facts = ScriptFacts()
        self.reader = ScriptReader(chunks, self._comment)
        self._rules = ScriptRules(skip_database_statements=skip_database_statements)
        self._lenient, self._own = lenient, own
        self._owner, self._privileges = owner, privileges
        self._opened, self._dump_open, self._completed = False, False, False

    def __iter__(self) -> t.Iterator[Statement]:
        facts = self.facts
        for statement in self.reader:
            decision = self._rules.decide(statement)
            if decision.action == REFUSE:
                if self._own and not statement.is_command and not statement.trouble:
                    decision = Decision()
                else:
                    self._refuse(statement, decision)
            self.reader.backslash_quotes = self._rules.backslash_quotes
            if not statement.is_command:
                facts.statements += 1
                facts.ended = False
                self._note_table(statement)
            if decision.action == RUN and (statement.row or self._own or self._keeps(statement)):
                yield statement
        facts.alone = self._rules.alone
        facts.damage = self._damage()
        if facts.damage and not self._lenient:
            raise cut_off(self.reader.line, facts.damage)

    @property
    def backslash_quotes(self) -> bool:
        """How the text behind the current statement is read; see ScriptReader."""
        return self._rules.backslash_quotes

    def rows(self) -> t.Iterator[bytes]:
        """The rows of the COPY that was just returned."""
        return self.reader.rows()

    def _refuse(self, statement: Statement, decision: Decision) -> None:
        refusal = Refusal(statement.line, statement.title, decision.reason, decision.of_database)
        self.facts.refusal = self.facts.refusal or refusal
        if not self._lenient:
            raise _unsafe(refusal, cluster=self.facts.cluster)

    def _comment(self, _line: int, text: bytes, inside: bool) -> None:
        found = _HEADER.fullmatch(text)
        if found is None or inside:
            return
        facts = self.facts
        facts.cluster = facts.cluster or bool(found.group("cluster"))
        if found.group("end"):
            facts.ended, self._completed, self._dump_open = True, True, False
        else:
            facts.headed = facts.headed or facts.statements == 0
            facts.ended, self._opened, self._dump_open = False, True, True

    def _keeps(self, statement: Statement) -> bool:
        """Whether the options leave the statement in; its roles are noted then."""
        use = role_use(statement)
        if use.mixed and not self._owner:
            self._refuse(statement, Decision(REFUSE, "it sets an owner among other changes, and `owner` is false"))
        if (use.sets_owner and not self._owner) or (use.grants and not self._privileges):
            return False
        self.facts.roles |= use.roles
        if use.owner:
            self.facts.owners.setdefault(use.owner, f"line {statement.line}, {statement.title}")
        return True

    def _note_table(self, statement: Statement) -> None:
        tokens = statement.tokens
        if tokens[:1] != ["CREATE"] or tokens[1:2] not in (["TABLE"], ["UNLOGGED"], ["FOREIGN"]):
            return
        parts = [token for token in tokens[1:8] if token not in ("UNLOGGED", "FOREIGN")]
        if parts[:1] != ["TABLE"]:
            return
        self.facts.count += 1
        name = [token for token in parts[1:] if token not in ("IF", "NOT", "EXISTS")]
        first = _plain(name[0]) if name else ""
        self.facts.tables.add(
            QualifiedName(first, _plain(name[2])) if name[1:2] == ["."] and name[2:] else QualifiedName("public", first)
        )

    def _damage(self) -> str:
        if not self.facts.statements:
            return "it holds no statement"
        if self._rules.restricted:
            return "the line \\unrestrict at the end of pg_dump's script is missing, so the script is cut off"
        if self._dump_open:
            return "the last line of pg_dump is missing, so the script is cut off"
        if self._rules.headless or (self._completed and not self._opened):
            return "it ends as a dump of pg_dump and does not begin as one, so its beginning is cut off"
        return "it begins a transaction and does not end the transaction" if self._rules.open else ""


def inspect_script(
    chunks: t.Iterable[bytes],
    *,
    skip_database_statements: bool = False,
    owner: bool = True,
    privileges: bool = True,
) -> ScriptFacts:
    """Read a script to its end without running it. Raises RecoveryError(unsafe_dump, damaged)."""
    script = GuardedScript(
        chunks, skip_database_statements=skip_database_statements, owner=owner, privileges=privileges
    )
    for _statement in script:
        pass
    return script.facts


def describe_script(chunks: t.Iterable[bytes]) -> ScriptFacts:
    """The facts of a script for a report; what is refused or missing is in the facts. Raises what the chunks raise."""
    script = GuardedScript(chunks, lenient=True)
    for _statement in script:
        pass
    return script.facts


def _unsafe(refusal: Refusal, *, cluster: bool) -> RecoveryError:
    what = "This dump of a cluster" if cluster else "The dump"
    if cluster:
        next_step = "Restore a dump of one database (pg_dump), or a backup set."
    elif refusal.of_database:
        next_step = (
            "For a dump of one database by pg_dump --create, set skip_database_statements to true. "
            "Otherwise create the dump again without --create."
        )
    else:
        next_step = "Create the dump again with pg_dump, or remove the statement from a copy of the dump."
    return RecoveryError(
        ErrorKind.UNSAFE_DUMP,
        f"{what} is refused: line {refusal.line}, {refusal.title}: {refusal.reason}.",
        next_step=next_step,
        details={"line": refusal.line, "statement": refusal.title, "reason": refusal.reason},
    )


def _plain(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token.lower()
