# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Threads that take items from one queue, each with a session of its own."""

from __future__ import annotations

import queue
import threading
import typing as t

_Item = t.TypeVar("_Item")
_Session = t.TypeVar("_Session")
_Result = t.TypeVar("_Result")


def in_sessions(
    items: t.Sequence[_Item],
    session: t.Callable[[], t.ContextManager[_Session]],
    work: t.Callable[[_Session, _Item], _Result],
    *,
    parallel: int,
    stop: t.Optional[threading.Event] = None,
    cancel: t.Optional[t.Callable[[_Session], None]] = None,
) -> t.List[_Result]:
    """Call work for each item, in the order of items, in at most parallel threads; the results have no order.

    The first error is raised after all threads have ended. After an error, or once stop is set, no further item
    starts, and cancel is called for each open session; if cancel is unset, items that have started are completed.
    """
    waiting: queue.SimpleQueue[_Item] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    stop = stop or threading.Event()
    results: t.List[_Result] = []
    errors: t.List[BaseException] = []
    sessions: t.List[_Session] = []

    def run() -> None:
        try:
            with session() as opened:
                sessions.append(opened)
                while not stop.is_set() and not errors:
                    try:
                        item = waiting.get_nowait()
                    except queue.Empty:
                        return
                    results.append(work(opened, item))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _thread in range(min(max(1, parallel), len(items)))]
    for thread in threads:
        thread.start()
    cancelled = False
    for thread in threads:
        while thread.is_alive():
            thread.join(0.05)
            if cancel is not None and not cancelled and (stop.is_set() or errors):
                cancelled = True
                for opened in list(sessions):
                    cancel(opened)
    if errors:
        raise errors[0]
    return results
