# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program git on a repository that is not trusted: nothing of its content or of the user's settings is run.

Hooks, filters, merge drivers and helpers run only if a configuration names them, and only the options below are the
configuration. A clone brings no hooks and no configuration.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath, Secret
from .._core.program import Done, run

#: Variables that reach git. Others, among them all that begin with GIT_, would change what git does.
_INHERITED = (
    *("PATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR"),
    *(name for plain in ("http_proxy", "https_proxy", "no_proxy", "all_proxy") for name in (plain, plain.upper())),
)
#: core.hooksPath: for the clone; the hooks of a remote run on the side of the remote. http.followRedirects: a redirect
#: would carry the credentials to another server. gc.auto: a clone of a few minutes needs no housekeeping.
_CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.pager": "cat",
    "core.attributesFile": os.devnull,
    "credential.helper": "",
    "protocol.allow": "never",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "submodule.recurse": "false",
    "push.recurseSubmodules": "no",
    "fetch.recurseSubmodules": "false",
    "commit.gpgSign": "false",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
}
#: Commands that wait for the remote.
_REMOTE = ("clone", "fetch", "ls-remote", "push")
#: Prints the credentials from the environment, where no other user of the host can read them.
_HELPER = '!f() { echo "username=$LIFELINE_GIT_USERNAME"; echo "password=$LIFELINE_GIT_PASSWORD"; }; f'
_SSH_HOST = re.compile(r"(?:[A-Za-z0-9_.+~][A-Za-z0-9_.+~-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])")
_LONGEST_MESSAGE = 400
#: How git and ssh report causes that are no fault of the repository. Messages are in English because of LC_ALL.
_CAUSES = (
    (
        ErrorKind.ACCESS_DENIED,
        r"Authentication failed|could not read (?:Username|Password)|Permission denied|Host key verification failed|"
        r"returned error: 40[13]|invalid credentials|dubious ownership",
        "Check the credentials, and that they may read and write this repository.",
    ),
    (
        ErrorKind.UNREACHABLE,
        r"Could not resolve host|Failed to connect|Connection (?:refused|timed out|reset)|unable to access|"
        r"Operation too slow|early EOF|unexpected disconnect",
        "Check the address of `remote` and the network.",
    ),
    (
        ErrorKind.TARGET_MISSING,
        r"not found|does not exist|does not appear to be a git repository",
        "Check `remote` and `branch`.",
    ),
)


@dataclass(frozen=True)
class Remote:
    """A repository and the credentials for it.

    remote: an address of https or ssh, or an absolute path. username and password: for https. ssh_key_file,
    known_hosts_file: for ssh; without them, those of the user. timeout: seconds for one run of git.
    """

    remote: str
    username: str = "git"
    password: t.Optional[Secret] = field(default=None, repr=False)
    ssh_key_file: t.Optional[FilePath] = None
    known_hosts_file: t.Optional[FilePath] = None
    timeout: float = 600

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options) for an address that git would take for something else."""
        if self.timeout <= 0:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`timeout` must be above 0, got {self.timeout:g}.")
        if any(ord(character) < 32 for character in (self.password or "") + self.username):
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`username` and `password` must be one line each.")
        problem = _problem_of(self.remote)
        if not problem and self.remote.startswith("http://") and self.password and not _is_local(self.remote):
            problem = "it would send the password without encryption"
        if problem:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`remote` must be an address of https or ssh, or the absolute path of a repository: {problem}.",
                next_step="Correct it. Credentials belong to `username` and `password`, or to `ssh_key_file`.",
            )


class Git:
    """Runs git for one remote, in the folder of a clone that may not exist yet. home: an empty folder."""

    def __init__(self, remote: Remote, folder: str, home: str) -> None:
        remote.require_valid()
        self.remote, self.folder, self._home = remote, folder, home
        self._environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._environment.update(
            HOME=home,
            XDG_CONFIG_HOME=home,
            LC_ALL="C",
            GIT_CEILING_DIRECTORIES=os.path.dirname(home),
            GIT_CONFIG_NOSYSTEM="1",
            GIT_ATTR_NOSYSTEM="1",
            GIT_TERMINAL_PROMPT="0",
            GIT_OPTIONAL_LOCKS="0",
            GIT_SSH_COMMAND=self._ssh(),
            LIFELINE_GIT_USERNAME=remote.username,
            LIFELINE_GIT_PASSWORD=remote.password or "",
        )
        config = {**_CONFIG, f"protocol.{_scheme(remote.remote)}.allow": "always"}
        if remote.password:
            parts = urllib.parse.urlsplit(remote.remote)
            config[f"credential.{parts.scheme}://{parts.netloc}.helper"] = _HELPER
        self._options = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]

    def _ssh(self) -> str:
        options = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ServerAliveInterval=15"]
        options += ["-o", "ServerAliveCountMax=4", "-o", "ConnectTimeout=30"]
        if self.remote.ssh_key_file:
            options += ["-i", self.remote.ssh_key_file, "-o", "IdentitiesOnly=yes"]
        if self.remote.known_hosts_file:
            options += ["-o", f"UserKnownHostsFile={self.remote.known_hosts_file}"]
        return " ".join(map(shlex.quote, options))

    def attempt(self, *arguments: str, outside: bool = False) -> Done:
        """Run git in the clone, or outside of any repository. Raises RecoveryError: client_missing, timeout."""
        place = self._home if outside else self.folder
        command = ["git", "--no-pager", "--no-replace-objects", "-C", place, *self._options, *arguments]
        if arguments[0] in _REMOTE:
            return run(command, self._environment, None, timeout=self.remote.timeout)
        # Work in the clone ends by itself, also if this process is killed, so that it needs no supervision.
        done = subprocess.run(
            command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def run(self, *arguments: str, outside: bool = False) -> str:
        """Standard output, without white space at its end. Raises RecoveryError for a failed run."""
        done = self.attempt(*arguments, outside=outside)
        if done.code != 0:
            raise self.failure(arguments[0], done)
        return done.output.decode("utf-8", "replace").rstrip()

    def failure(self, command: str, done: Done) -> RecoveryError:
        said = self.scrubbed(done.errors)
        kind, next_step = next(
            ((kind, step) for kind, pattern, step in _CAUSES if re.search(pattern, done.errors)),
            (ErrorKind.SERVICE_FAILED, "Read the message of git."),
        )
        return RecoveryError(kind, f"git {command} failed: {said or f'exit code {done.code}'}.", next_step=next_step)

    def scrubbed(self, text: str) -> str:
        """The end of a message in one line, without the password."""
        if self.remote.password:
            text = text.replace(self.remote.password, "********")
        return printable(text)[-_LONGEST_MESSAGE:].rstrip(".")


def printable(text: str) -> str:
    """Text of a repository in one line, without control characters."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())


def _problem_of(remote: str) -> str:
    if not remote.isprintable() or remote != remote.strip() or not remote:
        return "it is empty or has characters that no address has"
    if remote.startswith("/"):
        return ""
    scheme, separator, _rest = remote.partition("://")
    if not separator:
        host, colon, path = remote.partition(":")
        if colon and not path.startswith(":") and path and not path.startswith("-") and _SSH_HOST.fullmatch(host):
            return ""
        return "it is neither a path nor an address"
    if scheme not in ("https", "http", "ssh", "file"):
        return f"the protocol {scheme[:20]} is not allowed"
    parts = urllib.parse.urlsplit(remote)
    if "@" in parts.netloc and scheme != "ssh":
        return "it contains credentials"
    if scheme == "ssh" and (
        ":" in parts.netloc.rpartition("@")[0] or not _SSH_HOST.fullmatch(_without_port(parts.netloc))
    ):
        return "it contains a password or no host"
    return "" if parts.hostname or scheme == "file" else "it has no host"


def _scheme(remote: str) -> str:
    scheme, separator, _rest = remote.partition("://")
    return scheme if separator else "file" if remote.startswith("/") else "ssh"


def _without_port(netloc: str) -> str:
    return re.sub(r":\d+\Z", "", netloc)


def _is_local(remote: str) -> bool:
    return urllib.parse.urlsplit(remote).hostname in ("127.0.0.1", "localhost", "::1")
