# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of one commit, read from a temporary complete clone without a working tree."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .client import Git, Remote, printable

_LARGEST_FILE = 100 * 1024 * 1024
_POINTER = b"version https://git-lfs.github.com/spec/"


class Snapshot:
    """A commit: sha, its first line, and its regular files. Symbolic links and submodules are no files."""

    def __init__(self, git: Git, sha: str) -> None:
        self._git, self.sha = git, sha
        self.subject = printable(git.run("log", "-1", "--format=%s", sha, "--"))[:100]
        listed = git.attempt("ls-tree", "-r", "-l", "-z", "--full-tree", sha)
        if listed.code != 0:
            raise git.failure("ls-tree", listed)
        self._blobs: t.Dict[str, t.Tuple[str, int]] = {}
        for entry in filter(None, listed.output.split(b"\0")):
            head, _tab, name = entry.partition(b"\t")
            mode, kind, blob, size = head.decode("ascii").split()
            if kind == "blob" and mode.startswith("100"):
                # A name that is no UTF-8 cannot be named by a source file either.
                self._blobs[name.decode("utf-8", "replace")] = (blob, int(size))

    @property
    def names(self) -> t.Collection[str]:
        return self._blobs.keys()

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises RecoveryError: target_missing, limit_exceeded, unsupported for Git LFS."""
        if name not in self._blobs:
            raise RecoveryError(
                ErrorKind.TARGET_MISSING,
                f"The commit {self.sha[:12]} has no file {printable(name)[:200]}.",
                next_step="Check `ref`, and the path.",
            )
        blob, size = self._blobs[name]
        if size > _LARGEST_FILE:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED, f"The file {printable(name)[:200]} has {size} bytes, more than 100 MiB."
            )
        done = self._git.attempt("cat-file", "blob", blob)
        if done.code != 0:
            raise self._git.failure("cat-file", done)
        if done.output.startswith(_POINTER):
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The file {printable(name)[:200]} is in Git LFS, and the repository has only a pointer to it.",
                next_step="Deploy this release with a client of Git LFS.",
            )
        return done.output


@contextlib.contextmanager
def snapshot(remote: Remote, ref: str, parent: t.Optional[str] = None) -> t.Iterator[Snapshot]:
    """Clone a repository into a folder below parent, and read a branch, a tag or a commit of it.

    Raises RecoveryError: invalid_options, access_denied, unreachable, target_missing, client_missing, timeout.
    """
    with scratch_folder("lifeline-git-", parent) as root:
        home = os.path.join(root, "home")
        os.mkdir(home, 0o700)
        git = Git(remote, os.path.join(root, "clone.git"), home)
        git.run(
            *("clone", "--quiet", "--bare", "--no-local", "--template=", "--", remote.remote, git.folder),
            outside=True,
        )
        done = git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if done.code != 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`ref` must be a commit, tag or branch of the repository, got {printable(ref)[:100]!r}.",
                next_step="Correct it, or push the commit to a branch of the repository.",
            )
        yield Snapshot(git, done.output.decode("ascii").strip())
