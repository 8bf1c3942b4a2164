# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fences a primary on this host: it stops, does not come back as a writer, and its control file is the proof.

Order: store the state before, refuse starts, stop, create standby.signal in the stopped directory, read the proof.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from dataclasses import dataclass, field, replace

from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.files import replace_file
from .._core.options import INTERNAL, FilePath
from .._maintenance.means import wait_until
from .._maintenance.systemd import Systemd, SystemdOptions
from .._pitr.cluster import Cluster
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .control import ControlRequest, cluster_at, read_control
from .fence_log import FENCED, FENCING, RELEASED, RELEASING, Before, FenceLog, FenceState
from .follow import remove_guard
from .losses import StoppedPrimary
from .rejoin_log import RejoinLog
from .server_process import ServerProcess, end_orphans, postmaster_status, server_processes, why_it_waits

SIGNAL = "standby.signal"
#: Files that make a server start in recovery, so that it accepts no writes.
_SIGNALS = (SIGNAL, "recovery.signal")
#: Files of cluster managers in the data directories of their servers. A manager starts a server that it did not stop.
_MANAGERS = {
    "patroni.dynamic.json": ("Patroni", "Use patronictl switchover, or pause the cluster and stop Patroni first."),
    "postgresql-auto-failover.conf": ("pg_auto_failover", "Use pg_autoctl perform switchover."),
    "stolon-temp-postgresql.conf": ("Stolon", "Use stolonctl failkeeper."),
}
_POLL = 0.1
#: Seconds after which a stop is slow enough to look for the processes that delay it.
_SLOW = 2.0
_SHUT_DOWN = "shut down"
_IN_RECOVERY = ("shut down in recovery", "in archive recovery")
#: Units in these states run, or their start or stop is under way.
_ENDED_UNITS = ("inactive", "failed")


@dataclass(frozen=True)
class FenceRequest:
    """service: the unit of systemd that runs the server. timeout: seconds for the stop, and for a start."""

    data_dir: FilePath
    client_bin_dir: t.Optional[FilePath] = None
    service: t.Optional[str] = None
    state: t.Literal["fenced", "released"] = "fenced"
    timeout: float = 120
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=INTERNAL)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not os.path.isabs(self.data_dir):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`data_dir` must be an absolute path, got {self.data_dir!r}."
            )
        if self.timeout <= 0:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`timeout` must be above 0, got {self.timeout:g}.")


@dataclass(frozen=True)
class FenceResult(Outcome):
    """control: of the cluster now. reason: why the stop was not clean; empty if it was.

    before: the state that a release restores. findings: sentences about the processes that delayed the stop.
    """

    state: str
    control: StoppedPrimary
    is_clean: bool
    reason: str
    before: Before
    findings: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


class Fence(Change[FenceResult]):
    """Fences a data directory, or releases the fence that another run made.

    Raises RecoveryError: invalid_options, target_missing, access_denied, client_missing, damaged, managed, conflict,
    timeout if the server does not stop in time, service_failed, check_failed if a released server does not start.
    """

    operation = "fence"

    def __init__(self, request: FenceRequest, states: ObjectStore) -> None:
        super().__init__(request.safeguards, None, None)
        request.require_valid()
        self._request = request
        self._states, self._log = states, FenceLog(states, request.data_dir)
        self._cluster: Cluster = cluster_at(request.data_dir, request.client_bin_dir)
        options = SystemdOptions((request.service,) if request.service else (), refuse_starts=True, persistent=True)
        self._unit = Systemd(options, request.timeout) if request.service else None
        self._stored: t.Optional[FenceState] = None
        self._before = Before(False, (), {})
        self._control: t.Optional[StoppedPrimary] = None
        self._findings: t.Dict[str, None] = {}

    @property
    def _fences(self) -> bool:
        return self._request.state == FENCED

    @property
    def _data(self) -> str:
        return self._request.data_dir

    def plan(self) -> ChangePlan:
        with self.timings.phase("plan"):
            self._stored = self._log.last()
            self._control = self._read()
            changes = self._plan_fence() if self._fences else self._plan_release()
        facts = {"data_dir": self._data, "state": self._request.state, "before": vars(self._before)}
        return ChangePlan(facts, self._data, destroys=False, does="stops", changes=changes)

    def _plan_fence(self) -> bool:
        stored = self._stored
        rejoin = RejoinLog(self._states, self._data).last()
        if stored is not None and stored.phase == FENCED and not has_signal(self._data) and rejoin is None:
            # An administrator lifted the fence, or the cluster was built again.
            stored = self._stored = None
        require_unmanaged(self._data)
        self._require_primary(stored)
        running = server_processes(self._data)
        self._before = stored.before if stored else self._read_before(running)
        if stored is None or stored.phase != FENCED or running or not has_signal(self._data):
            return True
        return self._unit is not None and bool(self._unit.why_not_begun())

    def _plan_release(self) -> bool:
        stored = self._stored
        if stored is None:
            return False
        self._before = stored.before
        if is_rebuilt(self._data):
            self._before = Before(False, (), dict.fromkeys(stored.before.units, False))
        elif stored.phase == FENCED:
            self._require_unchanged(guaranteed(stored.control))
        return True

    def _read_before(self, running: t.Sequence[ServerProcess]) -> Before:
        arguments = tuple(self._cluster.arguments()) if running else ()
        return Before(bool(running), arguments, self._unit.read()["units"] if self._unit else {})

    def _require_primary(self, stored: t.Optional[FenceState]) -> None:
        """A signal file is that of the fence, unless the cluster has followed another server since."""
        if not has_signal(self._data):
            return
        followed = guaranteed(self._control).state in _IN_RECOVERY and (stored is None or stored.phase == FENCED)
        if stored is not None and not followed:
            return
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"`data_dir` must be the data directory of a primary; {self._data} has {SIGNAL}, so that its server is a "
            "standby and accepts no writes.",
            next_step="Name the data directory of the primary. A standby needs no fence.",
        )

    def _require_unchanged(self, fenced: StoppedPrimary) -> None:
        control = guaranteed(self._control)
        if control == fenced and not server_processes(self._data):
            return
        raise RecoveryError(
            ErrorKind.CONFLICT,
            f"The cluster in {self._data} was started after it was fenced: its checkpoint was {fenced.checkpoint_lsn} "
            f"on timeline {fenced.timeline}, and is {control.checkpoint_lsn} on timeline {control.timeline} now"
            f"{', and a server runs' if control.running else ''}.",
            next_step="Find out which server follows which. If another server was promoted, attach this one with "
            "pg_rejoin.",
        )

    def keep_undo(self) -> t.Mapping[str, t.Any]:
        phase = FENCING if self._fences else RELEASING
        if self._stored is None or self._stored.phase != phase:
            self._log.write(FenceState(phase, self._before, self._stored.control if self._stored else None))
        return {"state": RELEASED} if self._fences else {}

    def act(self) -> None:
        if self._fences:
            with self.timings.phase("stop"):
                self._stop()
            with self.timings.phase("signal"):
                create_signal(self._data)
                # Of a rejoin that was killed before it began the rewind.
                remove_guard(self._data)
        else:
            with self.timings.phase("start"):
                self._start()

    def _stop(self) -> None:
        began = time.monotonic()
        if self._unit is not None:
            self._unit.begin({"units": self._before.units})
        asked = False
        while True:
            running = server_processes(self._data)
            if not running:
                return
            waited = time.monotonic() - began
            # The unit may not be the parent of the server, and its own stop is awaited first.
            if not asked and self._unit_has_ended():
                self._cluster.request_stop()
                asked = True
            end_orphans(self._data, running)
            if waited > _SLOW:
                self._findings.update(dict.fromkeys(why_it_waits(running)))
            if waited > self._request.timeout:
                raise self._still_runs(running)
            time.sleep(_POLL)

    def _unit_has_ended(self) -> bool:
        return self._unit is None or all(state in _ENDED_UNITS for state in self._unit.states().values())

    def _still_runs(self, running: t.Sequence[ServerProcess]) -> RecoveryError:
        return RecoveryError(
            ErrorKind.TIMEOUT,
            f"The server of {self._data} did not stop within {self._request.timeout:g} seconds: "
            f"{len(running)} of its processes run. {' '.join(self._findings)}".strip(),
            next_step="Mend the cause, or raise `timeout`, then run it again. As the last means end its processes with "
            "kill -9; the next run reports that the stop was not clean.",
            details={"findings": list(self._findings), "control": guaranteed(self._control)},
        )

    def _start(self) -> None:
        """Restore the state before. The signal goes first: a server that is started with it is a standby."""
        if postmaster_status(self._data) == "stopping":
            # A fence that was cut off; its stop cannot be taken back.
            wait_until(self._request.timeout, lambda: "it stops" if server_processes(self._data) else "", _POLL)
        if not server_processes(self._data) and not is_rebuilt(self._data):
            remove_signal(self._data)
        if self._unit is not None:
            self._unit.end({"units": self._before.units})
        if self._before.running and not server_processes(self._data):
            self._cluster.start(self._before.arguments, f"{self._data.rstrip('/')}.log", {})

    def verify(self) -> None:
        with self.timings.phase("verify"):
            if self._fences:
                self._verify_fence()
            else:
                self._verify_release()

    def _verify_fence(self) -> None:
        running = server_processes(self._data)
        if running:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Another program started the server of {self._data} after it was stopped.",
                next_step="Find the program that starts the server, for example a cluster manager, and stop it.",
            )
        self._control = replace(self._read(), running=False)

    def _verify_release(self) -> None:
        if self._before.running:
            reason = wait_until(
                self._request.timeout, lambda: "" if postmaster_status(self._data) == "ready" else "it is not ready"
            )
            if reason:
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"The server of {self._data} does not accept sessions after {self._request.timeout:g} seconds: "
                    f"{reason}.",
                    next_step="Read the log of the server.",
                )
        self._control = self._read()

    def settle(self) -> t.Mapping[str, t.Any]:
        phase = FENCED if self._fences else RELEASED
        self._log.write(FenceState(phase, self._before, self._control if self._fences else None))
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        with contextlib.suppress(RecoveryError):
            self._stored = self._log.last()
        if self._stored is None:
            return error
        signal = f" {SIGNAL} exists." if has_signal(self._data) else ""
        left = f"The fence was begun and stays.{signal} The state before it is stored in {self._log.location}."
        taken_back = f" To take the fence back, set `state` to {RELEASED}." if self._fences else ""
        return error.restated(left=left, next_step=f"{error.next_step}{taken_back}".strip())

    def why_unchanged(self) -> Unchanged:
        if self._fences:
            return Unchanged(f"{self._data} is fenced already.", f"Set `state` to {RELEASED} to release the fence.")
        return Unchanged(f"{self._data} has no fence of this module.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> FenceResult:
        control = guaranteed(self._control)
        return FenceResult(
            **vars(outcome),
            state=self._request.state,
            control=control,
            is_clean=control.is_clean,
            reason=unclean_reason(control),
            before=self._before,
            findings=list(self._findings),
            summary=self._summary(outcome, control),
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome, control: StoppedPrimary) -> str:
        if outcome.unchanged is not None:
            return f"{outcome.unchanged.reason} {unclean_reason(control) if self._fences else ''}".strip()
        if not self.safeguards.acts:
            return f"Would {'fence' if self._fences else 'release'} {self._data}."
        if not self._fences:
            started = "started its server" if self._before.running else "its server did not run before"
            return f"Released {self._data}; {started}."
        return (
            f"Fenced {self._data}; {unclean_reason(control) or f'it stopped cleanly at {control.checkpoint_lsn}.'}"
        ).strip()

    def _read(self) -> StoppedPrimary:
        request = ControlRequest(self._data, self._request.client_bin_dir)
        # A child of a postmaster that was killed counts as well.
        return replace(read_control(request).control, running=bool(server_processes(self._data)))


def require_unmanaged(data_dir: str) -> None:
    """Raise RecoveryError(managed) if a cluster manager owns the server of the data directory."""
    for name, (manager, next_step) in _MANAGERS.items():
        if os.path.lexists(os.path.join(data_dir, name)):
            raise RecoveryError(
                ErrorKind.MANAGED,
                f"The server of {data_dir} belongs to {manager}, as the file {name} shows; it would start the server "
                "again.",
                next_step=next_step,
            )


def unclean_reason(control: StoppedPrimary) -> str:
    """Why the control file does not prove the end of the WAL of a primary, as a sentence; empty if it does."""
    if control.running:
        return "A server runs."
    if control.state == _SHUT_DOWN:
        return ""
    return f"The server ended without a shutdown checkpoint: the control file shows the state {control.state!r}."


def has_signal(data_dir: str) -> bool:
    return any(os.path.lexists(os.path.join(data_dir, name)) for name in _SIGNALS)


def is_rebuilt(data_dir: str) -> bool:
    """Whether a base backup of another server replaced the fenced cluster. Its first start as a standby is to come."""
    return has_signal(data_dir) and os.path.lexists(os.path.join(data_dir, "backup_label"))


def create_signal(data_dir: str) -> None:
    """Make the server start as a standby only, also after a crash of the host. Raises RecoveryError(access_denied)."""
    path = os.path.join(data_dir, SIGNAL)
    try:
        if not os.path.lexists(path):
            replace_file(path, "", 0o600)
        _flush(data_dir)
    except OSError as error:
        raise _denied(path, "written", error) from None


def remove_signal(data_dir: str) -> None:
    """Let the server start as a primary. Raises RecoveryError(access_denied)."""
    path = os.path.join(data_dir, SIGNAL)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        _flush(data_dir)
    except OSError as error:
        raise _denied(path, "removed", error) from None


def _flush(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _denied(path: str, done: str, error: OSError) -> RecoveryError:
    return RecoveryError(
        ErrorKind.ACCESS_DENIED,
        f"The file {path} cannot be {done}: {error.strerror}.",
        next_step="Run it as root or as the owner of the data directory.",
    )
