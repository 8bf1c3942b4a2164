# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of a target, as an engine describes it: the plan, and the steps that `_operations/change.py` runs."""

from __future__ import annotations

import abc
import contextlib
import typing as t
from dataclasses import dataclass, field

from .._core.clock import PhaseListener, Timings
from .._core.confirmation import ENVIRONMENTS
from .._core.errors import ErrorKind, RecoveryError
from .._core.options import BY_MODULE, FAMILY, option
from .._store.base import ObjectStore
from .layout import SetName
from .manifest import Manifest

#: Kinds of errors that are facts of the set, or that may be.
OF_THE_SET = (
    ErrorKind.RESTORE_FAILED,
    ErrorKind.NOT_EQUAL,
    ErrorKind.DAMAGED,
    ErrorKind.OBJECT_MISSING,
    ErrorKind.UNSUPPORTED_MANIFEST,
    ErrorKind.QUERY_FAILED,
    ErrorKind.UNEXPECTED,
)


@dataclass(frozen=True)
class Limits:
    """The most rows that a change may write or delete; None sets no limit."""

    max_rows: t.Optional[int] = None
    max_deletes: t.Optional[int] = field(default=None, metadata=option(default=1000))

    def require(self, writes: int, deletes: int) -> None:
        """Raise RecoveryError(limit_exceeded) if the change exceeds a limit."""
        for name, limit, number, verb in (
            ("max_rows", self.max_rows, writes, "insert or update"),
            ("max_deletes", self.max_deletes, deletes, "delete"),
        ):
            if limit is not None and number > limit:
                raise RecoveryError(
                    ErrorKind.LIMIT_EXCEEDED,
                    f"The restore would {verb} {number} rows, `{name}` allows {limit}.",
                    next_step=f"Read the rows with --check --diff; if they are correct, set `{name}` to {number}.",
                )


@dataclass(frozen=True)
class Safeguards:
    """The options that stand between an operator and a target.

    confirm: the name of the target or the digest of the plan. plan_only: judge everything, the confirmation too, and
    change nothing; check_mode does not need the confirmation.
    """

    environment: str = field(default="production", metadata=option("recovery_environment", choices=ENVIRONMENTS))
    confirm: t.Optional[str] = field(default=None, metadata=option("recovery_confirm"))
    check_mode: bool = False
    plan_only: bool = field(default=False, metadata=BY_MODULE)
    limits: Limits = field(default=Limits(), metadata={**FAMILY, **BY_MODULE})

    @property
    def acts(self) -> bool:
        """Whether anything is stored or changed."""
        return not (self.check_mode or self.plan_only)


@dataclass(frozen=True)
class ChangePlan:
    """A change before anything is written.

    facts: what the digest is taken of. target: the name that confirms the change. does: the verb phrase of the
    confirmation, up to that name. destroys: whether data of the target is replaced or deleted, which production has to
    confirm. elsewhere: why the name does not identify the target. writes, deletes: rows, for the limits.
    undo_set: whether a set of the tier undo is stored first.
    """

    facts: t.Mapping[str, t.Any]
    target: str
    destroys: bool
    does: str = "replaces"
    changes: bool = True
    elsewhere: t.Optional[str] = None
    writes: int = 0
    deletes: int = 0
    undo_set: bool = False


@dataclass(frozen=True)
class Unchanged:
    """Why a change left the target unchanged, and the next step of the operator.

    earlier_set and earlier_tier: the next older set of the source, if it may have what this set lacks.
    """

    reason: str
    next_step: str
    earlier_set: t.Optional[str] = None
    earlier_tier: t.Optional[str] = None

    @classmethod
    def for_lack_of(cls, older: t.Optional[SetName], reason: str, check: str = "") -> Unchanged:
        """For a set that lacks what is restored. check: what to check before an older set is tried."""
        named = f"; the next older set is {older.set_id} ({older.tier})" if older else ""
        next_step = " ".join(filter(None, [check, f"Choose an earlier set with `before` or `set`{named}."]))
        return cls(reason, next_step, older.set_id if older else None, older.tier if older else None)


@dataclass(frozen=True)
class Outcome:
    """The fields of every result of a change. undo: the options that take the change back; empty where nothing does.

    unchanged: why nothing was changed; None if something was. confirmation: the recovery_confirm that a run with the
    same options must have; empty if the run needs no other.
    """

    changed: bool
    plan_digest: str
    confirmation: str
    undo: t.Mapping[str, t.Any]
    unchanged: t.Optional[Unchanged]


Result_co = t.TypeVar("Result_co", covariant=True)


class Change(abc.ABC, t.Generic[Result_co]):
    """One change. The steps run in the order in which they stand here; a step that raises is the last one.

    store and source: where the audit record goes; without either there is none. details: the facts of the audit record,
    also of a change that failed. restores: the set that is restored as a whole, whose restore record is written.
    equal: whether all of the set is in the target; None if that was not compared. unequal: names of what is not.
    """

    #: The verb of the audit record, which is the verb of the playbook.
    operation: str = "restore"
    #: Kinds of errors that mean that the set cannot be restored.
    faults_of_set: t.Tuple[str, ...] = OF_THE_SET
    #: Whether the audit log gets a record of a change that was not necessary.
    records_unchanged: bool = True

    def __init__(
        self,
        safeguards: Safeguards,
        store: t.Optional[ObjectStore],
        source: t.Optional[str],
        listener: t.Optional[PhaseListener] = None,
    ) -> None:
        self.safeguards, self.store, self.source = safeguards, store, source
        self.timings = Timings(listener)
        self.details: t.Dict[str, t.Any] = {}
        self.restores: t.Optional[Manifest] = None
        self.equal: t.Optional[bool] = None
        self.unequal: t.Sequence[str] = ()
        #: Closed at the end: sessions, folders, locks.
        self.resources = contextlib.ExitStack()

    @abc.abstractmethod
    def plan(self) -> ChangePlan:
        """Compare and judge. Raises RecoveryError for everything that would stop the change."""

    def prepare(self) -> None:
        """Bring what the next steps need, after the confirmation. Nothing that is there is changed."""
        return

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        """Store what takes the change back; returns the options that do so."""
        return {}

    @abc.abstractmethod
    def act(self) -> None:
        """Make the change."""

    def verify(self) -> None:
        """Compare the target with the source of the change; set `equal`."""
        return

    def settle(self) -> t.Mapping[str, t.Any]:
        """Make the verified change permanent: commit a transaction, give a database its name.

        Returns the options that take the change back, if they exist only now.
        """
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        """After a failure of prepare or a later step: restore what can be restored; the error with what was left."""
        return error

    def has_changed(self) -> bool:
        """After the last step: whether anything was changed."""
        return True

    def why_unchanged(self) -> Unchanged:
        return Unchanged("The target is as asked for.", "Nothing is left to do.")

    @abc.abstractmethod
    def result(self, outcome: Outcome) -> Result_co: ...
