# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kills a change at each moment that matters: before and after each call that changes something outside the process."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import traceback
import typing as t


class Call(t.NamedTuple):
    """A function that changes something: the attribute of a class or a module. counts: whether a call changes it."""

    owner: t.Any
    name: str
    counts: t.Callable[..., bool] = lambda *_arguments, **_named: True


def killed_at(moment: int, change: t.Callable[[], t.Any], calls: t.Sequence[Call]) -> bool:
    """Make a change in a process that is killed at a moment; false if the change has fewer moments."""
    child = os.fork()
    if child == 0:
        moments = itertools.count(1)

        def die() -> None:
            if next(moments) == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        for call in calls:
            setattr(call.owner, call.name, _watched(getattr(call.owner, call.name), call.counts, die))
        try:
            change()
        except BaseException:
            # Otherwise a change that failed looks like one that has fewer moments.
            traceback.print_exc()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _watched(original: t.Any, counts: t.Callable[..., bool], die: t.Callable[[], None]) -> t.Any:
    @functools.wraps(original)
    def watched(*arguments: t.Any, **named: t.Any) -> t.Any:
        if not counts(*arguments, **named):
            return original(*arguments, **named)
        die()
        result = original(*arguments, **named)
        die()
        return result

    return watched
