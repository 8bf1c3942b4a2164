# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of every type of check, for all engines."""

from __future__ import annotations

import abc
import time
import typing as t
from dataclasses import dataclass, field
from decimal import Decimal

from .._store.base import ObjectStore
from .options import OptionReader
from .result import Finding
from .values import plain_value

Connection = t.Any

HIDDEN = "(not shown: sample is 0)"

#: Compares the database behind a connection with a backup set; returns one dictionary per difference.
CompareFingerprint = t.Callable[[Connection], t.Sequence[t.Mapping[str, t.Any]]]


class Answer(t.Protocol):
    """The rows of one query, fetched on demand; columns are known before the first row."""

    columns: t.List[str]

    def take(self, most: int) -> t.List[t.Tuple[t.Any, ...]]:
        """At most that many further rows."""

    def __iter__(self) -> t.Iterator[t.Tuple[t.Any, ...]]:
        """The remaining rows."""

    def skip_all(self) -> int:
        """The number of the remaining rows."""


@dataclass(frozen=True)
class Value:
    """A number that later runs are compared with, and when it was found.

    accepted: the reason for which an operator last accepted a smaller number.
    """

    number: Decimal
    at: str
    accepted: t.Optional[str] = None


class History(t.Protocol):
    """The values of earlier runs, by the key of a measure."""

    def find(self, key: str) -> t.Optional[Value]:
        """The newest value. Raises CannotVerify for a damaged one, and RecoveryError if it cannot be read."""

    def keep(self, key: str, subject: str, value: Value) -> None:
        """Record a value with the results of this run."""


class NotThere(Exception):
    """An object that the check needs does not exist: the check has failed."""


class CannotVerify(Exception):
    """The check could not run: it has not passed, and proves no fault of the database."""


@dataclass(frozen=True)
class Context:
    """The environment of a running check: a session inside a read-only transaction, and the limit of shown rows.

    sample: offending rows to return at most. deadline: the limit in monotonic seconds.
    files: the bucket whose files rows may name. ask: how the engine runs a query. run_as: the role to run it as.
    secrets: by the names that descriptions of checks use.
    history: the values of earlier runs on the source.
    """

    connection: Connection
    sample: int
    deadline: float
    compare_fingerprint: t.Optional[CompareFingerprint] = None
    files: t.Optional[ObjectStore] = None
    ask: t.Optional[t.Callable[[Context, str, t.Sequence[str]], Answer]] = None
    run_as: t.Optional[str] = None
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    history: t.Optional[History] = None

    def require_time(self) -> None:
        """Raises CannotVerify once the deadline is over."""
        if time.monotonic() > self.deadline:
            raise CannotVerify("It took longer than its time limit.")

    def query(self, text: str, schemas: t.Sequence[str]) -> Answer:
        """The rows of a query of the operator. Raises CannotVerify, or the error of the driver."""
        if self.ask is None:
            raise CannotVerify("This engine runs no query.")
        return self.ask(self, text, schemas)

    def show(self, value: t.Any) -> t.Any:
        """A value of the database as a result may hold it; with sample 0 texts stay where they are."""
        shown = plain_value(value)
        return shown if self.sample > 0 or shown is None or isinstance(shown, (bool, int, float)) else HIDDEN


class Check(abc.ABC):
    """One check, ready to run: a frozen dataclass made from its description."""

    #: Whether it reads the database of the run, which is opened only for such checks.
    needs_database: t.ClassVar[bool] = True
    #: Whether the check reads in the transaction of a role that can only read. From PostgreSQL 16 on, the creation of
    #: that role makes other sessions that create such a role wait for the end of the transaction.
    needs_transaction: t.ClassVar[bool] = True

    @classmethod
    @abc.abstractmethod
    def read(cls, options: OptionReader) -> Check:
        """Read the options of this type; the reader collects the mistakes."""

    @property
    @abc.abstractmethod
    def subject(self) -> str:
        """The checked object, for the default name of the check."""

    @property
    def secrets(self) -> t.Sequence[str]:
        """The names of the secrets that the check uses."""
        return ()

    @abc.abstractmethod
    def run(self, context: Context) -> Finding:
        """Run the check. Raises NotThere, CannotVerify, or the error of the driver."""
