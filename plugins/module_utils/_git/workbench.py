# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes commits of a clone back: chosen, undone by new commits, and compared with the files of before."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FAMILY, FilePath, option
from .._core.sizes import first_of
from .._repository.change import Safeguards
from .client import Remote, printable
from .clone import Clone, Commit

FAIL, BRANCH = "fail", "branch"
_NAMED, _LISTED, _DIFF_LINES = 10, 50, 400
_ID = re.compile(r"[0-9a-f]{7,64}")
_IDENTITY = re.compile(r"[^\x00-\x1f<>]+")


@dataclass(frozen=True)
class RevertRequest:
    """commits: revisions and ranges A..B of the branch. mainline: the parent, from 1, that a merge goes back to.

    on_protected: whether the commits go to a branch of their own if the remote does not accept them on branch.
    max_commits: the most commits that are taken back. spool_dir: where the clone is made.
    """

    commits: t.Sequence[str]
    branch: t.Optional[str] = None
    mainline: t.Optional[int] = None
    reason: t.Optional[str] = None
    on_protected: str = field(default=FAIL, metadata=option(choices=(FAIL, BRANCH)))
    max_commits: int = 20
    author_name: str = "lifeline.recovery"
    author_email: str = "lifeline.recovery@localhost"
    remote: Remote = field(default_factory=lambda: Remote(""), metadata=FAMILY)
    spool_dir: t.Optional[FilePath] = None
    safeguards: Safeguards = field(default_factory=Safeguards, metadata=FAMILY)
    source: t.Optional[str] = None
    diff_mode: bool = field(default=False, metadata={"internal": True})

    def require_valid(self) -> None:
        if not self.commits:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS, "`commits` is required.", next_step="Set it to the commits to take back."
            )
        if self.mainline is not None and self.mainline < 1:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`mainline` must be at least 1, got {self.mainline}.")
        for name, value in (("author_name", self.author_name), ("author_email", self.author_email)):
            if not _IDENTITY.fullmatch(value):
                raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{name}` must be one line without < and >.")


@dataclass(frozen=True)
class Reverted:
    """A commit that is taken back, and the commit that does so; commit is empty if its change was undone already."""

    reverts: str
    subject: str
    commit: str


class Work(t.NamedTuple):
    """The commits that take others back. tip: the last of them, None if no change was left to undo.

    equal_to: the commit whose files the tip has; None if newer commits stay. diff: the first lines, if requested.
    """

    reverted: t.Sequence[Reverted]
    tip: t.Optional[str]
    equal_to: t.Optional[str]
    files: t.Sequence[str] = ()
    diff: str = ""


class Workbench:
    """Takes the commits of one request back in a clone. already: reverts that the request names as the last release."""

    def __init__(self, clone: Clone, request: RevertRequest) -> None:
        self._clone, self._request = clone, request
        self.already: t.List[str] = []

    def choose(self) -> t.List[Commit]:
        """The commits of the request, the newest first.

        A name such as HEAD means the last release. If that is a revert, an earlier run took the release back.
        """
        clone = self._clone
        found: t.Dict[str, None] = {}
        for revision in self._request.commits:
            older, dots, newer = revision.partition("..")
            newest = clone.resolve((newer or "HEAD") if dots else revision)
            if not _ID.fullmatch(newer if dots else revision) and clone.is_revert(newest):
                self.already.append(newest)
                continue
            found.update(dict.fromkeys(self._between(revision, older, newest) if dots else [newest]))
        limit = self._request.max_commits
        if len(found) > limit:
            raise RecoveryError(
                ErrorKind.LIMIT_EXCEEDED,
                f"{len(found)} commits would be taken back, `max_commits` allows {limit}.",
                next_step="Check `commits`, or raise `max_commits`.",
            )
        commits = [clone.commit(sha) for sha in clone.newest_first(found)]
        for commit in commits:
            self._require_parent(commit)
        return commits

    def _between(self, revision: str, older: str, newest: str) -> t.List[str]:
        first_parent = self._request.mainline is not None
        found = self._clone.commits_between(self._clone.resolve(older), newest, first_parent=first_parent)
        if not found:
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"`commits` must be commits and ranges OLDER..NEWER, got {printable(revision)[:100]!r}.",
                next_step="OLDER is the last commit that stays.",
            )
        return found

    def _require_parent(self, commit: Commit) -> None:
        mainline, count = self._request.mainline, len(commit.parents)
        if count == 0:
            what = f"{commit.title} is the first commit of the branch, whose revert would delete its files."
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, what, next_step="Correct `commits`.")
        if count > 1 and (mainline is None or mainline > count):
            parents = ", ".join(f"{number} is {sha[:12]}" for number, sha in enumerate(commit.parents, 1))
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{commit.title} is a merge of {count} parents, and `mainline` is {mainline or 'unset'}.",
                next_step=f"Set `mainline` to the parent that the branch goes back to, usually 1: {parents}.",
            )
        if (
            count == 1
            and mainline is not None
            and len(self._request.commits) == 1
            and ".." not in self._request.commits[0]
        ):
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"{commit.title} is no merge, and `mainline` is {mainline}.",
                next_step="Leave `mainline` unset.",
            )

    def revert_all(self, commits: t.Sequence[Commit]) -> Work:
        """Take the commits back in the clone. Raises RecoveryError(conflict, not_equal)."""
        clone = self._clone
        reverted = [Reverted(one.sha, one.subject, self._revert(one)) for one in commits]
        equal_to = self._compared(commits)
        new = next((one.commit for one in reversed(reverted) if one.commit), None)
        if new is None:
            return Work(reverted, None, equal_to)
        changed = clone.git.run("diff", "--name-only", "--no-renames", "-z", clone.tip, new, "--").split("\0")
        files = [printable(name) for name in changed if name]
        shown = ""
        if self._request.diff_mode:
            text = clone.git.run("diff", "--no-ext-diff", "--no-textconv", "--no-color", clone.tip, new, "--")
            lines = text.splitlines()
            more = [f"... the first {_DIFF_LINES} lines are shown"] if len(lines) > _DIFF_LINES else []
            shown = "".join(f"{line}\n" for line in [*lines[:_DIFF_LINES], *more])
        return Work(reverted, new, equal_to, files, shown)

    def _revert(self, commit: Commit) -> str:
        """The commit that takes this one back; empty if its change was undone already."""
        git, mainline = self._clone.git, self._request.mainline
        parent = ["--mainline", str(mainline)] if len(commit.parents) > 1 else []
        done = git.attempt("revert", "--no-commit", *parent, commit.sha)
        if done.code != 0:
            names = filter(None, git.run("diff", "--name-only", "--diff-filter=U", "-z").split("\0"))
            files = sorted(set(map(printable, names)))
            raise self._conflict(commit, files) if files else git.failure("revert", done)
        if git.attempt("diff", "--cached", "--quiet", "--no-ext-diff").code == 0:
            git.run("reset", "--quiet", "--hard")
            return ""
        message = os.path.join(os.path.dirname(git.folder), "message")
        with open(message, "w", encoding="utf-8", errors="replace") as stream:
            stream.write(self._message(commit))
        git.run(
            *("-c", f"user.name={self._request.author_name}", "-c", f"user.email={self._request.author_email}"),
            *("commit", "--quiet", "--no-verify", "--cleanup=verbatim", f"--file={message}"),
        )
        return git.run("rev-parse", "--verify", "HEAD")

    def _message(self, commit: Commit) -> str:
        lines = [f'Revert "{commit.subject}"', "", f"This reverts commit {commit.sha}"]
        if len(commit.parents) > 1:
            lines[-1] += f", reversing\nchanges made to {commit.parents[(self._request.mainline or 1) - 1]}"
        lines[-1] += "."
        return "\n".join([*lines, *(["", self._request.reason] if self._request.reason else []), ""])

    def _conflict(self, commit: Commit, files: t.Sequence[str]) -> RecoveryError:
        return RecoveryError(
            ErrorKind.CONFLICT,
            f"{commit.title} cannot be taken back, because later commits changed the same lines of "
            f"{first_of(files, _NAMED)}.",
            left=f"The branch {self._clone.branch} of the remote is unchanged.",
            next_step="Take the later commits back too (OLDER..NEWER), or revert it by hand.",
            details={"conflicts": list(files[:_LISTED])},
        )

    def _compared(self, commits: t.Sequence[Commit]) -> t.Optional[str]:
        """The commit whose files the clone has again; None if newer commits than these stay."""
        expected = self._clone.tip
        for commit in commits:
            if commit.sha != expected:
                return None
            expected = commit.parents[(self._request.mainline or 1) - 1 if len(commit.parents) > 1 else 0]
        if self._clone.tree("HEAD") != self._clone.tree(expected):
            raise RecoveryError(
                ErrorKind.NOT_EQUAL,
                f"After the revert the files are not those of {expected[:12]}.",
                left=f"The branch {self._clone.branch} of the remote is unchanged.",
                next_step="Revert the commits by hand.",
            )
        return expected
