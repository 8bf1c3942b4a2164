# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary clone of one branch, complete, which is removed at the end. No repository of the user is touched."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.process import scratch_folder
from .client import Git, Remote, printable

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_SUBJECT = 100


@dataclass(frozen=True)
class Commit:
    """A commit with its parents; subject is its first line."""

    sha: str
    parents: t.Tuple[str, ...]
    subject: str

    @property
    def title(self) -> str:
        return f"{self.sha[:12]} ({self.subject})"


class Clone:
    """A clone and its branch, with HEAD detached at the tip that the remote had when it was read last."""

    def __init__(self, git: Git, branch: str) -> None:
        self.git, self.branch = git, branch
        self.tip = git.run("rev-parse", "--verify", "HEAD^{commit}")
        git.run("checkout", "--quiet", "--force", "--detach", self.tip)

    def resolve(self, revision: str) -> str:
        """The commit of a revision that is part of the branch. Raises RecoveryError(invalid_options)."""
        done = self.git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        sha = done.output.decode("utf-8", "replace").strip()
        if done.code != 0 or not _SHA.fullmatch(sha) or not self.contains(sha, self.tip):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`commits` must be commits of the branch {self.branch}, got {printable(revision)[:100]!r}.",
                next_step="Correct it, or set `branch` to the branch that has the commit.",
            )
        return sha

    def commit(self, sha: str) -> Commit:
        parents, _line, subject = self.git.run("log", "-1", "--format=%P%n%s", sha, "--").partition("\n")
        return Commit(sha, tuple(parents.split()), printable(subject)[:_LONGEST_SUBJECT])

    def is_revert(self, sha: str) -> bool:
        body = self.git.run("log", "-1", "--format=%b", sha, "--")
        return re.search(r"^This reverts commit [0-9a-f]{7,64}\b", body, re.MULTILINE) is not None

    def commits_between(self, older: str, newer: str, *, first_parent: bool) -> t.List[str]:
        """The commits of newer that older does not have, newest first."""
        only = ["--first-parent"] if first_parent else []
        return self.git.run("rev-list", "--topo-order", *only, newer, f"^{older}", "--").split()

    def newest_first(self, commits: t.Collection[str]) -> t.List[str]:
        if len(commits) < 2:
            return list(commits)
        wanted = set(commits)
        return [sha for sha in self.git.run("rev-list", "--topo-order", self.tip, "--").split() if sha in wanted]

    def contains(self, older: str, newer: str) -> bool:
        return self.git.attempt("merge-base", "--is-ancestor", older, newer).code == 0

    def tree(self, revision: str) -> str:
        return self.git.run("rev-parse", "--verify", f"{revision}^{{tree}}")

    def remote_tip(self, branch: str) -> t.Optional[str]:
        """The commit that a branch of the remote has now; None if there is no such branch."""
        output = self.git.run("ls-remote", "--heads", "origin", f"refs/heads/{branch}")
        found = [line.split("\t") for line in output.splitlines()]
        return next((sha for sha, name in found if name == f"refs/heads/{branch}"), None)

    def fetch(self, branch: str) -> str:
        """Read a branch of the remote again; its commit."""
        place = f"refs/lifeline/{branch}"
        self.git.run("fetch", "--quiet", "--no-tags", "origin", f"+refs/heads/{branch}:{place}")
        return self.git.run("rev-parse", "--verify", place)

    def move_to(self, tip: str) -> None:
        self.tip = tip
        self.git.run("checkout", "--quiet", "--force", "--detach", tip)


@contextlib.contextmanager
def cloned(remote: Remote, branch: t.Optional[str], parent: t.Optional[str] = None) -> t.Iterator[Clone]:
    """Clone a branch, by default that of HEAD of the remote, into a folder below parent.

    Raises RecoveryError: invalid_options, access_denied, unreachable, target_missing, unsupported for a remote without
    the complete history, client_missing, timeout.
    """
    with scratch_folder("lifeline-git-", parent) as root:
        home = os.path.join(root, "home")
        os.mkdir(home, 0o700)
        git = Git(remote, os.path.join(root, "clone"), home)
        name = branch or _default_branch(git)
        if name.startswith("-") or git.attempt("check-ref-format", f"refs/heads/{name}", outside=True).code != 0:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, f"`branch` must be the name of a branch, got {printable(name)[:100]!r}."
            )
        git.run(
            *("clone", "--quiet", "--no-local", "--no-tags", "--single-branch", "--template=", "--branch", name),
            *("--", remote.remote, git.folder),
            outside=True,
        )
        if git.run("rev-parse", "--is-shallow-repository") != "false":
            raise RecoveryError(
                ErrorKind.UNSUPPORTED,
                f"The remote has a shallow history, in which the revert of {name} would delete every file.",
                next_step="Set `remote` to the complete repository, or complete it with git fetch --unshallow.",
            )
        yield Clone(git, name)


def _default_branch(git: Git) -> str:
    output = git.run("ls-remote", "--symref", "--", git.remote.remote, "HEAD", outside=True)
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", output, re.MULTILINE)
    if found is None:
        raise RecoveryError(
            ErrorKind.TARGET_MISSING, "The remote has no default branch.", next_step="Set `branch` to the branch."
        )
    return found.group(1)
