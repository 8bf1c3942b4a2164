# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Child processes that never outlive the work they were started for."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

from .errors import ErrorKind, RecoveryError

#: Waits for one byte; end of file instead means that the parent died, so the group is killed
#: and the scratch folder is removed. It is a process of its own because SIGKILL cannot be caught.
_REAPER = """
import os, shutil, signal, sys, time
if not os.read(0, 1):
    group, scratch = int(sys.argv[1]), sys.argv[2]
    try:
        if group:
            os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for _try in range(100):
        if not scratch or not os.path.lexists(scratch):
            break
        shutil.rmtree(scratch, ignore_errors=True)
        time.sleep(0.05)
"""


class _Reaper:
    """Cleans up after this process should it die before C(dismiss)."""

    def __init__(self, group: int = 0, scratch: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _REAPER, str(group), scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(b"x")
                pipe.close()
        self._process.wait()


@contextlib.contextmanager
def scratch_folder(prefix: str, parent: t.Optional[str] = None) -> t.Iterator[str]:
    """A private folder that is removed at the end, also when this process is killed.

    Raises RecoveryError(invalid_options) when the parent cannot be used.
    """
    # The reaper comes first: a process that is killed between the two would leave the folder.
    folder = os.path.join(parent or tempfile.gettempdir(), prefix + secrets.token_hex(8))
    reaper = _Reaper(scratch=folder)
    try:
        os.mkdir(folder, 0o700)
    except OSError as error:
        reaper.dismiss()
        raise RecoveryError(
            ErrorKind.INVALID_OPTIONS,
            f"The spool folder {parent or tempfile.gettempdir()} cannot be used: {error.strerror}.",
            next_step="Set spool_dir to a folder that exists and is writable.",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        reaper.dismiss()


def as_user(user: t.Optional[str]) -> t.Dict[str, t.Any]:
    """Arguments of Popen for a program that root starts as another user; nothing for None."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {
        "user": entry.pw_uid,
        "group": entry.pw_gid,
        "extra_groups": os.getgrouplist(user, entry.pw_gid),
        "cwd": "/",
    }


def give_to(user: t.Optional[str], *paths: t.Union[str, int]) -> None:
    """Make files and folders of root's another user's, but not what is in the folders; nothing for None.

    A path may be a descriptor, where that user could put a link in the place of the path.
    """
    if user is not None:
        entry = pwd.getpwnam(user)
        for path in paths:
            os.chown(path, entry.pw_uid, entry.pw_gid)


def free_port(host: str = "127.0.0.1") -> int:
    """A port without a listener."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class StallWatch(t.Protocol):
    """Decides about a program that used no processor time for C(limit) seconds; 0 is without a limit."""

    limit: float

    def is_stalled(self) -> bool:
        """Whether nothing works for the program elsewhere, for example a server process."""

    def error(self) -> RecoveryError:
        """The error of a stalled program."""


class Child:
    """A program in a process group of its own; the whole group dies with this process or with close.

    stderr is read line by line through C(lines); stdout is a pipe only when asked for. user: whom root lends it to.
    stalls: who decides when the program waits for what will not come; it is then killed.
    """

    def __init__(
        self,
        arguments: t.Sequence[str],
        environment: t.Mapping[str, str],
        *,
        stdin: t.Optional[int] = subprocess.DEVNULL,
        stdout: t.Optional[int] = subprocess.DEVNULL,
        user: t.Optional[str] = None,
        stalls: t.Optional[StallWatch] = None,
    ) -> None:
        self._stalls, self._stalled, self._ended = stalls, False, threading.Event()
        self.arguments = tuple(arguments)
        self._process = subprocess.Popen(
            self.arguments,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **as_user(user),
        )
        self._reaper = _Reaper(group=self._process.pid)
        if stalls is not None and stalls.limit > 0:
            threading.Thread(target=self._supervise, args=(stalls,), daemon=True).start()

    @property
    def stdin(self) -> t.IO[bytes]:
        stream = self._process.stdin
        if stream is None:
            raise ValueError("the child was started without a pipe for stdin")
        return stream

    @property
    def stdout(self) -> t.IO[bytes]:
        stream = self._process.stdout
        if stream is None:
            raise ValueError("the child was started without a pipe for stdout")
        return stream

    def lines(self) -> t.Iterator[str]:
        """Lines of stderr until the program closes it."""
        if self._process.stderr is None:
            return
        for line in self._process.stderr:
            yield line.decode("utf-8", "replace").rstrip("\n")

    def wait(self) -> int:
        """The exit code; negative is the signal that killed the program. Raises the error of stalls after a stall."""
        code = self._process.wait()
        if self._stalled and self._stalls is not None:
            raise self._stalls.error()
        return code

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left of the group and dismiss the reaper; safe to call twice."""
        self._ended.set()
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._reaper.dismiss()

    def _supervise(self, stalls: StallWatch) -> None:
        worked, since = -1, time.monotonic()
        while not self._ended.wait(min(5.0, stalls.limit / 4)) and self._process.poll() is None:
            now, working = time.monotonic(), _processor_time(self._process.pid)
            if working is None:
                return
            if working != worked:
                worked, since = working, now
            elif now - since > stalls.limit:
                if stalls.is_stalled() and _processor_time(self._process.pid) == worked:
                    self._stalled = True
                    self.kill()
                    return
                since = time.monotonic()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _processor_time(group: int) -> t.Optional[int]:
    """Nanoseconds that the processes of a group have run, or None if the system has no /proc."""
    total = None
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if os.getpgid(int(entry)) == group:
                    with open(f"/proc/{entry}/schedstat", encoding="ascii") as stream:
                        total = (total or 0) + int(stream.read().split()[0])
    return total
