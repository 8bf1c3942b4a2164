# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plain push of one commit to one branch, and the meaning of a refusal."""

from __future__ import annotations

import re
import typing as t

from .._core.errors import Applied, ErrorKind, RecoveryError
from .client import printable
from .clone import Clone

PUSHED, CONCURRENT, REFUSED = "pushed", "concurrent", "refused"

#: "!<tab>from:to<tab>[remote rejected] (reason)", as "git push --porcelain" prints.
_REJECTED = re.compile(r"^!\t[^\t]*\t\[([a-z ]+)\](?: \((.*)\))?$", re.MULTILINE)
#: Reasons of the remote that mean that another client pushed at the same moment.
_RACE = re.compile(r"cannot lock ref|failed to update ref|failed to lock|reference already exists|stale info")


class Pushed(t.NamedTuple):
    """The end of a push. state: empty if the branch had the commit already. reason: of a refusal."""

    branch: str
    state: str
    commit: str
    reason: str = ""


def push(clone: Clone, commit: str, branch: str) -> Pushed:
    """Push a commit, never by force. Raises RecoveryError if the remote does not answer or refuses the login."""
    git = clone.git
    refspec = f"{commit}:refs/heads/{branch}"
    done = git.attempt("push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "origin", refspec)
    if done.code == 0:
        return Pushed(branch, PUSHED, commit)
    found = _REJECTED.search(done.output.decode("utf-8", "replace"))
    if found is None:
        return _lost(clone, git.failure("push", done), commit, branch)
    kind, reason = found.group(1), printable(found.group(2) or "")
    if kind == "rejected" or _RACE.search(reason):
        return Pushed(branch, CONCURRENT, commit, reason)
    # The remote explains its refusal on lines of its own.
    said = [line[len("remote:") :].strip() for line in done.errors.splitlines() if line.startswith("remote:")]
    explained = git.scrubbed(" ".join(filter(None, said)))[:200]
    return Pushed(branch, REFUSED, commit, f"{reason}: {explained}" if explained else reason)


def _lost(clone: Clone, error: RecoveryError, commit: str, branch: str) -> Pushed:
    """After a push without an answer: whether the remote has the commit."""
    if error.kind == ErrorKind.ACCESS_DENIED:
        raise error
    try:
        tip = clone.remote_tip(branch)
    except RecoveryError:
        raise error.restated(
            left=f"Whether the branch {branch} has the commit {commit[:12]} is unknown.", applied=Applied.UNKNOWN
        ) from None
    if tip == commit:
        return Pushed(branch, PUSHED, commit)
    raise error.restated(left=f"The branch {branch} of the remote does not have the commit.", applied=Applied.NO)
