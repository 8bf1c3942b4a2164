# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes commits of a branch back by new commits, and pushes these to the remote without replacing anything."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.sizes import counted
from .._repository.change import Change, ChangePlan, Outcome, Unchanged
from .._store.base import ObjectStore
from .clone import cloned
from .push import CONCURRENT, PUSHED, Pushed, push
from .workbench import BRANCH, Reverted, RevertRequest, Work, Workbench

_NAMED, _LISTED = 10, 50


@dataclass(frozen=True)
class RevertResult(Outcome):
    """tip: of the branch, before. commit: its new tip. pushed_to: the branch that has the new commits.

    protected: why the remote did not accept them on the branch itself. equal_to: the commit whose files the branch has
    again; None if newer commits stay. files: the first of file_count changed files.
    """

    branch: str
    tip: str
    commit: t.Optional[str]
    reverted: t.Sequence[Reverted]
    pushed_to: t.Optional[str]
    protected: t.Optional[str]
    equal_to: t.Optional[str]
    files: t.Sequence[str]
    file_count: int
    summary: str
    diff: t.Mapping[str, str]
    timings: t.Mapping[str, float]


class Revert(Change[RevertResult]):
    """Takes commits back, the newest first. Nothing leaves the host before all of them are taken back in the clone.

    Raises RecoveryError: invalid_options, conflict, unsupported, limit_exceeded, access_denied, unreachable,
    target_missing, not_equal.
    """

    operation = "roll_back"

    def __init__(self, request: RevertRequest, store: t.Optional[ObjectStore]) -> None:
        super().__init__(request.safeguards, store, request.source)
        self._request = request
        self._pushed: t.Optional[Pushed] = None
        self._protected: t.Optional[str] = None

    def plan(self) -> ChangePlan:
        request = self._request
        request.require_valid()
        with self.timings.phase("clone"):
            self._clone = clone = self.resources.enter_context(
                cloned(request.remote, request.branch, request.spool_dir)
            )
        with self.timings.phase("revert"):
            self._workbench = Workbench(clone, request)
            self._commits = self._workbench.choose()
            self._work: Work = self._workbench.revert_all(self._commits)
        self.details.update(branch=clone.branch, commits=[commit.sha for commit in self._commits])
        return ChangePlan(
            {
                "remote": request.remote.remote,
                "branch": clone.branch,
                "tip": clone.tip,
                "commits": [commit.sha for commit in self._commits],
            },
            target=clone.branch,
            destroys=False,
            does="adds commits to the branch",
            changes=self._work.tip is not None,
        )

    def act(self) -> None:
        with self.timings.phase("push"):
            pushed = self._push_to(self._clone.branch)
            if pushed.state == CONCURRENT:
                self._follow()
                if self._work.tip is None:
                    return
                pushed = self._push_to(self._clone.branch)
            if pushed.state == CONCURRENT:
                raise self._moved("Another client pushed to the branch twice")
            if pushed.state != PUSHED:
                self._protected = pushed.reason
                pushed = self._push_aside(pushed)
            self._pushed = pushed
        self.details.update(commit=self._work.tip, pushed_to=pushed.branch)

    def _push_to(self, branch: str) -> Pushed:
        return push(self._clone, self._work.tip or "", branch)

    def _follow(self) -> None:
        """Take the commits back again, on the commits that another client pushed in between."""
        clone, before = self._clone, self._clone.tip
        tip = clone.fetch(clone.branch)
        if not clone.contains(before, tip):
            raise self._moved("Another client replaced commits of the branch")
        clone.move_to(tip)
        self._work = self._workbench.revert_all(self._commits)

    def _moved(self, what: str) -> RecoveryError:
        return RecoveryError(
            ErrorKind.CONFLICT,
            f"{what} {self._clone.branch} while its commits were taken back.",
            left="Nothing was pushed.",
            next_step="Run it again when no one else pushes.",
        )

    def _push_aside(self, refused: Pushed) -> Pushed:
        branch, left = self._clone.branch, f"The branch {self._clone.branch} of the remote is unchanged."
        if self._request.on_protected != BRANCH:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The remote did not accept the commits on the branch {branch}: {refused.reason}.",
                left=left,
                next_step="Set `on_protected` to branch, which pushes them to a branch to merge by a pull request; or "
                "roll the deployment back at the provider first.",
            )
        aside = f"revert/{self._commits[0].sha[:12]}"
        there = self._clone.remote_tip(aside)
        if there is not None:
            there = self._clone.fetch(aside)
            if self._clone.tree(there) == self._clone.tree(self._work.tip or "") and self._clone.contains(
                self._clone.tip, there
            ):
                return Pushed(aside, "", there)
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"The branch {aside} of the remote has other commits.",
                left=left,
                next_step=f"Merge or delete the branch {aside}, then run it again.",
            )
        pushed = self._push_to(aside)
        if pushed.state != PUSHED:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The remote accepted the commits neither on {branch} ({refused.reason}) nor on {aside} "
                f"({pushed.reason}).",
                left=left,
                next_step="Push with credentials that may write, or revert by hand.",
            )
        return pushed

    def verify(self) -> None:
        """Read the branch of the remote again."""
        if self._pushed is None:
            return
        branch, new = self._pushed.branch, self._pushed.commit
        with self.timings.phase("verify"):
            tip = self._clone.remote_tip(branch)
            if tip != new and (tip is None or not self._clone.contains(new, self._clone.fetch(branch))):
                raise RecoveryError(
                    ErrorKind.NOT_EQUAL,
                    f"The commit {new[:12]} was pushed, and the branch {branch} of the remote does not have it.",
                    left="",
                    next_step="Find the client that replaced the branch.",
                    applied=Applied.MAYBE,
                )
        self.equal = True

    def settle(self) -> t.Mapping[str, t.Any]:
        if self._pushed is None or self._pushed.state != PUSHED:
            return {}
        new = [one.commit for one in self._work.reverted if one.commit]
        return {"commits": list(reversed(new)), "branch": self._pushed.branch}

    def has_changed(self) -> bool:
        return self._pushed is not None and self._pushed.state == PUSHED

    def why_unchanged(self) -> Unchanged:
        if self._pushed is not None:
            return Unchanged(
                f"The commits are on the branch {self._pushed.branch} already.", f"Merge {self._pushed.branch}."
            )
        if not self._commits:
            newest = self._workbench.already[0][:12]
            return Unchanged(
                f"The newest commit {newest} of {self._clone.branch} is a revert already.",
                "To take the revert itself back, name it in `commits` by its id.",
            )
        named = ", ".join(commit.title for commit in self._commits[:_NAMED])
        return Unchanged(f"The changes of {named} are undone on the branch already.", "Nothing is left to do.")

    def result(self, outcome: Outcome) -> RevertResult:
        branch = self._clone.branch
        if outcome.unchanged is not None:
            summary = outcome.unchanged.reason
        else:
            does = "Took back" if self.safeguards.acts else "Would take back"
            summary = f"{does} {counted(sum(bool(one.commit) for one in self._work.reverted), 'commit')} of {branch}"
            if self._protected:
                summary += f", on the branch {self._pushed.branch if self._pushed else ''}, which has to be merged"
            summary += f"; the files are those of {self._work.equal_to[:12]} again." if self._work.equal_to else "."
        return RevertResult(
            **vars(outcome),
            branch=branch,
            tip=self._clone.tip,
            commit=self._work.tip,
            reverted=self._work.reverted,
            pushed_to=self._pushed.branch if self._pushed else None,
            protected=self._protected,
            equal_to=self._work.equal_to,
            files=self._work.files[:_LISTED],
            file_count=len(self._work.files),
            summary=summary,
            diff={"prepared": self._work.diff} if self._work.diff else {},
            timings=self.timings.as_dict(),
        )
