# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one exception of the collection: a stable kind and three sentences for the person on call."""

from __future__ import annotations

import typing as t


class ErrorKind:
    """Stable names that modules return as C(error_kind); scripts and alerts may branch on them."""

    INVALID_OPTIONS = "invalid_options"
    LIBRARY_MISSING = "library_missing"
    CLIENT_MISSING = "client_missing"
    CLIENT_TOO_OLD = "client_too_old"
    UNREACHABLE = "unreachable"
    ACCESS_DENIED = "access_denied"
    UNSUPPORTED = "unsupported"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    CLOCK_WRONG = "clock_wrong"

    UNKNOWN_SOURCE = "unknown_source"
    NO_BACKUP_SET = "no_backup_set"
    UNSUPPORTED_MANIFEST = "unsupported_manifest"
    DAMAGED = "damaged"
    UNSAFE_DUMP = "unsafe_dump"
    NOT_EQUAL = "not_equal"
    INCONSISTENT = "inconsistent"
    ALREADY_EXISTS = "already_exists"
    OBJECT_MISSING = "object_missing"
    NAME_REFUSED = "name_refused"

    BACKUP_RUNNING = "backup_running"
    RLS_BLIND = "rls_blind"
    TRANSACTION_POOLER = "transaction_pooler"
    LOCKED = "locked"
    SPOOL_FULL = "spool_full"
    STORE_FULL = "store_full"
    STORE_FAILED = "store_failed"
    NO_IDENTITY = "no_identity"
    NOT_LOCKED = "not_locked"
    EXPIRING_RULE = "expiring_rule"
    ARCHIVED = "archived"
    COPY_FAILED = "copy_failed"
    DUMP_FAILED = "dump_failed"

    TARGET_EXISTS = "target_exists"
    TARGET_MISSING = "target_missing"
    TARGET_IN_USE = "target_in_use"
    ROLES_MISSING = "roles_missing"
    EXTENSIONS_MISSING = "extensions_missing"
    RESTORE_FAILED = "restore_failed"
    TABLE_MISSING = "table_missing"
    ROWS_MISSING = "rows_missing"
    SCHEMA_DRIFT = "schema_drift"
    LIMIT_EXCEEDED = "limit_exceeded"
    CONFLICT = "conflict"
    UNEXPECTED = "unexpected"
    OUTSIDE_WINDOW = "outside_window"
    OUTSIDE_ARCHIVE = "outside_archive"
    ARCHIVING_FAILED = "archiving_failed"
    WRONG_SERVER = "wrong_server"
    IDENTITY_CHANGED = "identity_changed"
    MIGRATION_REFUSED = "migration_refused"
    MIGRATION_FAILED = "migration_failed"
    CONFIRMATION_REQUIRED = "confirmation_required"
    NOT_A_SANDBOX = "not_a_sandbox"

    MANAGED = "managed"
    SPLIT_BRAIN = "split_brain"
    NOT_READY = "not_ready"
    PROMOTION_FAILED = "promotion_failed"

    CHECK_FAILED = "check_failed"
    QUERY_FAILED = "query_failed"
    SERVICE_FAILED = "service_failed"
    REPORT_FAILED = "report_failed"
    NOTIFICATION_FAILED = "notification_failed"


class Applied:
    """Whether a request that failed was applied; modules return it as C(applied).

    C(unknown): the answer was lost. C(maybe): the target changed, but another client may have changed it.
    """

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"
    UNKNOWN = "unknown"


_Value = t.TypeVar("_Value")


def guaranteed(value: t.Optional[_Value]) -> _Value:
    """A value that earlier checks guarantee. Raises AssertionError if they failed to do so."""
    if value is None:
        raise AssertionError("a value that earlier checks guarantee is missing")
    return value


class RecoveryError(Exception):
    """A failure that the operator can act on; a caller that knows more raises what `restated` returns.

    kind: one of L(ErrorKind). what: the failure. left: the things that are unchanged.
    next_step: the next action of the operator.
    damaged: keys of the objects that differ from their record. objects: names of the tables and definitions that were
    not restored. applied: one of L(Applied) if the error is of a request that changes something.
    details: further facts for the result, never secrets; they include damaged and applied. No code reads facts there.
    """

    def __init__(
        self,
        kind: str,
        what: str,
        *,
        left: str = "Nothing was changed.",
        next_step: str = "",
        details: t.Optional[t.Mapping[str, t.Any]] = None,
        damaged: t.Iterable[str] = (),
        objects: t.Iterable[str] = (),
        applied: t.Optional[str] = None,
    ) -> None:
        super().__init__(what)
        self.kind: t.Final = kind
        self.what: t.Final = what
        self.left: t.Final = left
        self.next_step: t.Final = next_step
        self.damaged: t.Final = tuple(damaged)
        self.objects: t.Final = tuple(objects)
        self.applied: t.Final = applied
        facts = {"damaged": list(self.damaged) or None, "applied": applied}
        self.details: t.Final[t.Mapping[str, t.Any]] = {
            **(details or {}),
            **{name: value for name, value in facts.items() if value is not None},
        }

    def restated(
        self,
        *,
        kind: t.Optional[str] = None,
        what: t.Optional[str] = None,
        left: t.Optional[str] = None,
        next_step: t.Optional[str] = None,
        details: t.Optional[t.Mapping[str, t.Any]] = None,
        applied: t.Optional[str] = None,
    ) -> RecoveryError:
        """A new error that describes the same failure with what the caller knows; details are added."""
        return RecoveryError(
            self.kind if kind is None else kind,
            self.what if what is None else what,
            left=self.left if left is None else left,
            next_step=self.next_step if next_step is None else next_step,
            details={**self.details, **(details or {})},
            damaged=self.damaged,
            objects=self.objects,
            applied=self.applied if applied is None else applied,
        )

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.left, self.next_step) if part)
