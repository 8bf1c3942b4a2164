# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the old primary a standby of the new one: attached if it has nothing of its own, otherwise rewound.

Order of a rewind: slot and checkpoint on the new primary, rows of the old cluster saved, the WAL of the new primary
checked, configuration saved, state "rewinding" stored, pg_rewind, configuration restored, start, proof. standby.signal
exists at every moment, except while the isolated server starts, which only this process reaches.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
from dataclasses import dataclass, field, replace

from .._core.clock import utc_now
from .._core.errors import ErrorKind, RecoveryError, guaranteed
from .._core.options import FAMILY, INTERNAL, SUBOPTIONS, FilePath
from .._core.sizes import counted
from .._engines.postgresql.server.connection import Connection, ConnectionOptions, connection, fetch_all, fetch_value
from .._engines.postgresql.server.lsn import parse_lsn
from .._maintenance.means import wait_until
from .._maintenance.systemd import Systemd, SystemdOptions
from .._pitr.cluster import Cluster, Login
from .._replication.queries import in_recovery
from .._repository.change import Change, ChangePlan, Outcome, Safeguards, Unchanged
from .._store.base import ObjectStore
from .ancestry import (
    ATTACH,
    IN_RECOVERY,
    RESEED,
    REWIND,
    Decision,
    NewPrimary,
    OldCluster,
    history_path,
    judge_rejoin,
    read_new_primary,
)
from .control import cluster_at, major_of
from .fence import create_signal, has_signal, require_unmanaged
from .fence_log import RELEASED, FenceLog
from .follow import Replication, require_slot, write_follow_settings
from .isolated import is_isolated, isolated_server, stop_isolated
from .lost_rows import LostRows, LostTable, save_lost_rows
from .probe import probe_write
from .rejoin_log import DONE, REWINDING, REWOUND, SAVING, RejoinLog, RejoinState
from .rewind import find_common_checkpoint, require_owned, restore_configuration, rewind, save_configuration
from .server_process import server_processes

_SLOT = "SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = %s"
_STREAM = """
SELECT r.state = 'streaming' AND r.replay_lsn >= %s::pg_lsn
FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = %s
"""
_CONTROL_TIMELINE = "SELECT timeline_id FROM pg_control_checkpoint()"
_RECEIVER = "SELECT status || ' ' || received_tli FROM pg_catalog.pg_stat_wal_receiver"
#: libpq's variables of a login to the standby, which has the roles of the primary.
_LOGIN: t.Sequence[str] = ("PGUSER", "PGPASSWORD")
#: The state of the control file while a primary runs.
_RUNS = "in production"
_WRITE_SECONDS = 30.0
_BUILD_AGAIN = "Build it again with standby.yml and standby_rebuild=true, which keeps the old data directory."


@dataclass(frozen=True)
class RejoinRequest:
    """server: the new primary. rows_dir: where rows are saved that only the old primary has."""

    server: ConnectionOptions = field(metadata=INTERNAL)
    data_dir: FilePath
    slot: str
    replication: Replication = field(metadata=SUBOPTIONS)
    client_bin_dir: t.Optional[FilePath] = field(default=None, metadata=INTERNAL)
    service: t.Optional[str] = None
    mode: t.Literal["auto", "attach", "rewind"] = "auto"
    rows_dir: t.Optional[FilePath] = None
    timeout: float = 120
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        for name in ("data_dir", "rows_dir"):
            path = getattr(self, name)
            if path is not None and not os.path.isabs(path):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be an absolute path, got {path!r}.")
        if self.timeout <= 0:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`timeout` must be above 0, got {self.timeout:g}.")
        require_slot(self.slot)
        self.replication.require_valid()


@dataclass(frozen=True)
class RejoinResult(Outcome):
    """way: C(attach) or C(rewind). fork_lsn: the end of the timeline that both had.

    rows_saved, rows_folder, tables: the rows that only the old primary had; of a dry run null. findings: sentences that
    do not prevent the rejoin.
    """

    way: str
    reason: str
    system_identifier: str
    timeline_before: int
    timeline: int
    fork_lsn: t.Optional[str]
    rows_saved: t.Optional[int]
    rows_folder: t.Optional[str]
    tables: t.Sequence[LostTable]
    findings: t.Sequence[str]
    summary: str
    timings: t.Mapping[str, float]


class Rejoin(Change[RejoinResult]):
    """One rejoin.

    Raises RecoveryError: invalid_options, target_missing, access_denied, client_missing, damaged, managed,
    wrong_server, conflict if the old server runs as a primary, not_ready if it must be built again,
    confirmation_required, service_failed, check_failed if it does not stream in time, and those of the connection.
    """

    operation = "rejoin"

    def __init__(self, request: RejoinRequest, states: ObjectStore) -> None:
        super().__init__(request.safeguards, None, None)
        request.require_valid()
        self._request = request
        self._data = request.data_dir
        self._log, self._fence_log = RejoinLog(states, self._data), FenceLog(states, self._data)
        self._cluster: Cluster = cluster_at(self._data, request.client_bin_dir)
        options = SystemdOptions((request.service,) if request.service else (), refuse_starts=True, persistent=True)
        self._unit = Systemd(options, request.timeout) if request.service else None
        self._state: t.Optional[RejoinState] = None
        self._old: t.Optional[OldCluster] = None
        self._new: t.Optional[NewPrimary] = None
        self._decision = Decision(ATTACH, "")
        self._made_slot = False
        self._rows: t.Optional[LostRows] = None
        self._findings: t.List[str] = []

    def plan(self) -> ChangePlan:
        with self.timings.phase("assess"):
            self._state = state = self._log.last()
            if state is not None and state.phase == REWINDING:
                raise RecoveryError(
                    ErrorKind.NOT_READY,
                    f"A rewind of {self._data} was cut off; its files are neither the old nor the new ones."
                    f"{_saved_in(state)}",
                    left="Nothing was changed. standby.signal exists." if has_signal(self._data) else "",
                    next_step=_BUILD_AGAIN,
                )
            require_unmanaged(self._data)
            old = self._old = self._read_old()
            conn = self.resources.enter_context(connection(self._request.server))
            new = self._new = self._read_new(conn)
            self._require_same_cluster(old, new)
            self._require_no_primary(old)
            is_standby = has_signal(self._data) and old.state in IN_RECOVERY
            decision = self._decision = judge_rejoin(old, new, is_standby=is_standby)
            streams = is_standby and decision.way == ATTACH and self._streams(conn, "0/0")
            if not streams:
                self._require_possible(conn, old, is_standby)
        self.details.update(self._facts())
        return ChangePlan(
            self._facts(), self._data, destroys=decision.way == REWIND, does="rewinds", changes=not streams
        )

    def _facts(self) -> t.Dict[str, t.Any]:
        """The facts of the plan that do not change while an operator reads it."""
        old, new = guaranteed(self._old), guaranteed(self._new)
        return {
            "data_dir": self._data,
            "way": self._decision.way,
            "system_identifier": old.system_identifier,
            "timelines": [old.timeline, new.timeline],
            "fork_lsn": self._decision.fork_lsn,
            "primary": self._request.server.place.rsplit("/", 1)[0],
            "slot": self._request.slot,
        }

    def _read_old(self) -> OldCluster:
        control = self._cluster.control()
        if control is None or not control.checkpoint_lsn:
            raise RecoveryError(
                ErrorKind.DAMAGED,
                f"pg_controldata cannot read the control file of {self._data}.",
                next_step=_BUILD_AGAIN,
            )
        text = ""
        path = os.path.join(self._data, history_path(control.timeline))
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        return OldCluster(
            control.system_identifier,
            control.timeline,
            control.state,
            parse_lsn(control.checkpoint_lsn),
            control.can_rewind,
            major_of(self._data),
            text,
            parse_lsn(control.replayed_lsn),
            control.replayed_timeline,
        )

    def _read_new(self, conn: Connection) -> NewPrimary:
        if in_recovery(conn):
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"{self._request.server.place} is a standby; the old primary can follow a primary only.",
                next_step="Name the new primary in login_host and login_port.",
            )
        return read_new_primary(conn)

    def _require_same_cluster(self, old: OldCluster, new: NewPrimary) -> None:
        if old.system_identifier != new.system_identifier:
            raise RecoveryError(
                ErrorKind.WRONG_SERVER,
                f"{self._data} has the system identifier {old.system_identifier}, and the primary "
                f"{new.system_identifier}: it is another cluster.",
                next_step="Correct `data_dir`, or login_host and login_port.",
            )

    def _require_no_primary(self, old: OldCluster) -> None:
        """A server that a killed run started in isolation is stopped later; another one must be a standby."""
        if not server_processes(self._data) or is_isolated(self._cluster):
            return
        if old.state == _RUNS or not has_signal(self._data):
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The server of {self._data} runs as a primary.",
                next_step="Fence it with pg_fence first.",
            )

    def _require_possible(self, conn: Connection, old: OldCluster, is_standby: bool) -> None:
        decision, request = self._decision, self._request
        why = ""
        if decision.way == RESEED:
            why = decision.reason
        elif request.mode == ATTACH and decision.way == REWIND:
            why = f"`mode` is attach, and {decision.reason}"
        elif request.mode == REWIND and decision.way == ATTACH and self._state is None:
            why = f"`mode` is rewind, and {decision.reason}"
        elif decision.way == ATTACH and not is_standby and not guaranteed(self._new).has_segment(conn, old.checkpoint):
            why = "the new primary has removed the WAL that follows its last record"
        if why:
            next_step = _BUILD_AGAIN if decision.way != ATTACH or request.mode != REWIND else "Set `mode` to auto."
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"{self._data} cannot follow the new primary: {why}.",
                next_step=next_step,
                details={"way": decision.way},
            )
        if decision.way == REWIND and request.rows_dir is None:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                "`rows_dir` is required for a rewind, because rows that only the old primary has are saved there.",
            )
        if decision.way == REWIND:
            require_owned(self._data)
        slot = fetch_all(conn, _SLOT, (request.slot,))
        if slot and slot[0][0] and not (is_standby and server_processes(self._data)):
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The slot {request.slot} is used by another standby.",
                next_step="Name another slot in `slot`.",
            )

    def prepare(self) -> None:
        """The slot comes first, because the next checkpoint would remove WAL."""
        with self.timings.phase("prepare"), connection(self._request.server) as conn:
            slot = fetch_all(conn, _SLOT, (self._request.slot,))
            if slot and slot[0][1] == "lost":
                fetch_value(conn, "SELECT pg_drop_replication_slot(%s)", (self._request.slot,))
                slot = []
            if not slot:
                fetch_value(conn, "SELECT pg_create_physical_replication_slot(%s, true)", (self._request.slot,))
                self._made_slot = True
            if self._decision.way == REWIND:
                self._checkpoint(conn)

    def _checkpoint(self, conn: Connection) -> None:
        """pg_rewind reads the control file of the source, which has the new timeline only after a checkpoint.

        A checkpoint that is not necessary would remove WAL that the rewind needs.
        """
        new = guaranteed(self._new)
        timeline = fetch_value(conn, _CONTROL_TIMELINE)
        if timeline != new.timeline:
            with conn.cursor() as cursor:
                cursor.execute("CHECKPOINT")
            timeline = fetch_value(conn, _CONTROL_TIMELINE)
        if timeline != new.timeline:
            raise RecoveryError(
                ErrorKind.NOT_READY,
                f"The control file of the new primary shows timeline {timeline} after a checkpoint, its WAL "
                f"{new.timeline}.",
                next_step="Wait until the promotion has ended, then run it again.",
            )

    def act(self) -> None:
        arguments = self._arguments()
        if self._decision.way == REWIND:
            self._rewind(arguments)
        with self.timings.phase("start"):
            if server_processes(self._data):
                stop_isolated(self._cluster)
            create_signal(self._data)
            write_follow_settings(self._data, self._request.replication, self._request.slot)
            self._end_fence()
            self._start(arguments)

    def _arguments(self) -> t.Tuple[str, ...]:
        """Of the regular server, which the start in isolation replaces in the data directory."""
        if self._state is not None:
            return self._state.arguments
        fence = self._fence_log.last()
        return fence.before.arguments if fence and fence.before.arguments else tuple(self._cluster.arguments())

    def _rewind(self, arguments: t.Tuple[str, ...]) -> None:
        request, cluster = self._request, self._cluster
        # With microseconds: a run that was killed and its repetition each have a folder.
        stamp = utc_now().strftime("%Y%m%dT%H%M%S.%fZ")
        folder = os.path.join(guaranteed(request.rows_dir), f"{os.path.basename(self._data.rstrip('/'))}-{stamp}")
        state = RejoinState(SAVING, arguments, rows_folder=folder)
        self._log.write(state)
        stop_isolated(cluster)
        with self.timings.phase("save"):
            role = request.server.keywords.get("user", "")
            with isolated_server(cluster, arguments, role, request.timeout) as old:
                self._rows = save_lost_rows(old, request.server, folder, self._facts())
        self._findings += self._rows.not_saved
        with self.timings.phase("rewind"):
            self._require_wal(find_common_checkpoint(cluster, request.server))
            state = replace(state, configuration=save_configuration(cluster))
            # From here on a release of the fence would start a directory that is neither.
            self._end_fence_record()
            state = replace(state, phase=REWINDING)
            self._state = state
            self._log.write(state)
            rewind(cluster, request.server)
            restore_configuration(cluster, guaranteed(state.configuration))
            write_follow_settings(self._data, request.replication, request.slot)
            self._state = replace(state, phase=REWOUND)
            self._log.write(self._state)

    def _require_wal(self, position: int) -> None:
        with connection(self._request.server) as conn:
            if guaranteed(self._new).has_segment(conn, position):
                return
        raise RecoveryError(
            ErrorKind.NOT_READY,
            f"The new primary has removed WAL that a rewind of {self._data} needs.",
            next_step=_BUILD_AGAIN,
        )

    def _end_fence_record(self) -> None:
        fence = self._fence_log.last()
        if fence is not None:
            self._fence_log.write(replace(fence, phase=RELEASED))

    def _end_fence(self) -> None:
        """standby.signal stays; it is that of a standby now."""
        self._end_fence_record()
        if self._unit is not None:
            self._unit.end({"units": dict.fromkeys(self._unit.read()["units"], True)})

    def _start(self, arguments: t.Sequence[str]) -> None:
        if not server_processes(self._data):
            self._cluster.start(arguments, f"{self._data.rstrip('/')}.log", {})

    def verify(self) -> None:
        """Prove that it streams and replays a commit of the new primary. Raises RecoveryError(check_failed)."""
        request = self._request
        with self.timings.phase("verify"), connection(request.server) as conn:
            probe_write(request.server, _WRITE_SECONDS)
            position = str(fetch_value(conn, "SELECT pg_current_wal_lsn()::text"))
            reason = wait_until(
                request.timeout, lambda: "" if self._streams(conn, position) else self._why_silent(), poll=0.2
            )
            if reason:
                raise RecoveryError(
                    ErrorKind.CHECK_FAILED,
                    f"{self._data} has not replayed a commit of the new primary after {request.timeout:g} seconds: "
                    f"{reason}.",
                    next_step="Read the log of the server. If the primary removed WAL that it needs: " + _BUILD_AGAIN,
                )
            self._require_timeline()
        slots = sorted(os.listdir(os.path.join(self._data, "pg_replslot")))
        if slots:
            self._findings.append(
                f"Replication slots of the old primary hold back WAL on this standby: {', '.join(slots)}. Drop those "
                "that no server uses."
            )

    def _streams(self, conn: Connection, position: str) -> bool:
        """By the sender, and by the process of this data directory: another standby may use a slot of this name."""
        receives = any(process.role == "walreceiver" for process in server_processes(self._data))
        return receives and bool(fetch_value(conn, _STREAM, (position, self._request.slot)))

    def _why_silent(self) -> str:
        found = server_processes(self._data)
        if not found:
            return "its server does not run"
        if not any(process.role == "walreceiver" for process in found):
            return "it receives no WAL"
        return "it receives WAL and has not replayed it"

    def _require_timeline(self) -> None:
        environment = self._request.server.environment()
        login: t.Dict[str, str] = {name: environment[name] for name in _LOGIN if name in environment}
        cluster = Cluster(self._data, self._cluster.bin_dir, self._cluster.user, Login(login))
        try:
            status, _blank, timeline = cluster.query(_RECEIVER).partition(" ")
        except RecoveryError as error:
            self._findings.append(f"The timeline of the standby was not read. {error.what}")
            return
        if (status, timeline) != ("streaming", str(guaranteed(self._new).timeline)):
            raise RecoveryError(
                ErrorKind.CHECK_FAILED,
                f"{self._data} is {status or 'not receiving'} on timeline {timeline or 'unknown'}, the new primary is "
                f"on timeline {guaranteed(self._new).timeline}.",
                next_step=_BUILD_AGAIN,
            )

    def settle(self) -> t.Mapping[str, t.Any]:
        state = self._log.last()
        if state is not None:
            self._log.write(RejoinState(DONE, ()))
            if state.configuration:
                shutil.rmtree(state.configuration, ignore_errors=True)
        return {}

    def put_back(self, error: RecoveryError) -> RecoveryError:
        state = self._log.last()
        if state is not None and state.phase == REWINDING:
            return error.restated(
                left=f"The rewind of {self._data} was begun; standby.signal exists.{_saved_in(state)}",
                next_step=_BUILD_AGAIN,
            )
        if self._made_slot and (state is None or state.phase == SAVING) and not server_processes(self._data):
            # An unused slot would hold back WAL on the new primary.
            with contextlib.suppress(RecoveryError), connection(self._request.server) as conn:
                fetch_value(conn, "SELECT pg_drop_replication_slot(%s)", (self._request.slot,))
        left = f"{self._data} accepts no writes; standby.signal exists." if has_signal(self._data) else error.left
        return error.restated(left=left, next_step=error.next_step or _BUILD_AGAIN)

    def why_unchanged(self) -> Unchanged:
        return Unchanged(f"{self._data} streams from the new primary already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> RejoinResult:
        old, new = guaranteed(self._old), guaranteed(self._new)
        rows = self._rows
        return RejoinResult(
            **vars(outcome),
            way=self._decision.way,
            reason=self._decision.reason,
            system_identifier=new.system_identifier,
            timeline_before=old.timeline,
            timeline=new.timeline,
            fork_lsn=self._decision.fork_lsn,
            rows_saved=rows.rows if rows else None,
            rows_folder=rows.folder if rows else None,
            tables=rows.tables if rows else (),
            findings=self._findings,
            summary=self._summary(outcome),
            timings=self.timings.as_dict(),
        )

    def _summary(self, outcome: Outcome) -> str:
        if outcome.unchanged is not None:
            return outcome.unchanged.reason
        way = {ATTACH: "attach", REWIND: "rewind"}[self._decision.way]
        if not self.safeguards.acts:
            return f"Would {way} {self._data}: {self._decision.reason}."
        done = {ATTACH: "Attached", REWIND: "Rewound"}[self._decision.way]
        saved = ""
        if self._rows is not None:
            rows = self._rows
            saved = f" {counted(rows.rows, 'row')} that only the old primary had are in {rows.folder}."
        return f"{done} {self._data}; it streams on timeline {guaranteed(self._new).timeline}.{saved}"


def _saved_in(state: RejoinState) -> str:
    return f" Its configuration files are in {state.configuration}." if state.configuration else ""
