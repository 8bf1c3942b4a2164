# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work on many items in several threads: results as they come, results in order, or one session per thread."""

from __future__ import annotations

import contextlib
import queue
import threading
import typing as t
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from .errors import ErrorKind, RecoveryError, guaranteed

_Item = t.TypeVar("_Item")
_Session = t.TypeVar("_Session")
_Result = t.TypeVar("_Result")

#: Seconds between two looks at the stop event and at the errors while a thread works.
_LOOK = 0.05
#: Results that wait for the caller, for each thread.
_WAITING = 8


def in_order(
    items: t.Sequence[_Item], work: t.Callable[[_Item], _Result], *, parallel: int, name: str = "in order"
) -> t.List[_Result]:
    """The results of work on every item, in the order of items.

    After an error no further item starts. The error of the first item that failed is raised after those that started
    have ended.
    """
    require_at_least_one(parallel)
    if not items:
        return []
    with ThreadPoolExecutor(min(parallel, len(items)), thread_name_prefix=name) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            ended, _others = wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures if future in ended]
        finally:
            for future in futures:
                future.cancel()


def for_each(items: t.Iterable[_Item], work: t.Callable[[_Item], _Result], *, parallel: int) -> t.Iterator[_Result]:
    """The results of work on every item, in any order, with a limited number of items in memory.

    An error of items or of work is raised after the items that started have ended; no further item starts then, nor
    when the caller stops reading. Raises RecoveryError(invalid_options) for a parallel below 1.
    """
    require_at_least_one(parallel)
    return _Crew(
        items, contextlib.nullcontext, lambda _session, item: work(item), parallel, _WAITING * parallel
    ).results()


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
    crew = _Crew(items, session, work, min(max(1, parallel), len(items)), len(items) + 1, stop, cancel)
    return list(crew.results()) if items else []


def require_at_least_one(parallel: int, option: str = "parallel") -> None:
    """Raise RecoveryError(invalid_options) for a number of threads below 1."""
    if parallel < 1:
        raise RecoveryError(ErrorKind.INVALID_OPTIONS, f"`{option}` must be at least 1, got {parallel}.")


class _Crew(t.Generic[_Item, _Session, _Result]):
    """Threads that take items from one iterator: a future for each item takes longer than a small object does.

    A thread never waits for the caller: if too many results wait, it ends, and another one starts when they are read.
    """

    def __init__(
        self,
        items: t.Iterable[_Item],
        session: t.Callable[[], t.ContextManager[_Session]],
        work: t.Callable[[_Session, _Item], _Result],
        parallel: int,
        limit: int,
        stop: t.Optional[threading.Event] = None,
        cancel: t.Optional[t.Callable[[_Session], None]] = None,
    ) -> None:
        self._items, self._session, self._work = iter(items), session, work
        self._parallel, self._limit, self._stop, self._cancel = parallel, limit, stop, cancel
        self._ended, self._exhausted = threading.Event(), False
        self._next = threading.Lock()
        self._sessions: t.List[_Session] = []
        self._results: queue.SimpleQueue[t.Optional[t.Tuple[_Result]]] = queue.SimpleQueue()
        self._error: t.Optional[BaseException] = None

    def results(self) -> t.Iterator[_Result]:
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="each") as pool:
            running = self._start(pool, self._parallel)
            try:
                while running or not self._results.empty():
                    result = self._next_result()
                    if result is None:
                        running -= 1
                    else:
                        yield result[0]
                    if self._has_capacity() and not self._exhausted and not self._is_over():
                        running += self._start(pool, self._parallel - running)
            finally:
                self._ended.set()
                self._cancel_sessions()
        if self._error is not None:
            raise self._error

    def _start(self, pool: ThreadPoolExecutor, number: int) -> int:
        for _thread in range(number):
            pool.submit(self._run)
        return number

    def _has_capacity(self) -> bool:
        return self._results.qsize() < self._limit

    def _next_result(self) -> t.Optional[t.Tuple[_Result]]:
        """The next result, or None when a thread has ended."""
        while self._cancel is not None:
            with contextlib.suppress(queue.Empty):
                return self._results.get(timeout=_LOOK)
            if self._is_over():
                self._cancel_sessions()
        return self._results.get()

    def _cancel_sessions(self) -> None:
        cancel, self._cancel = self._cancel, None
        for opened in list(self._sessions) if cancel else ():
            guaranteed(cancel)(opened)

    def _is_over(self) -> bool:
        return self._ended.is_set() or (self._stop is not None and self._stop.is_set())

    def _run(self) -> None:
        try:
            with self._session() as opened:
                self._sessions.append(opened)
                while self._has_capacity() and not self._exhausted and not self._is_over():
                    with self._next:
                        item = next(self._items, self)
                    if item is self:
                        self._exhausted = True
                    else:
                        self._results.put((self._work(opened, t.cast(_Item, item)),))
        except BaseException as error:
            self._error = self._error or error
            self._ended.set()
        finally:
            self._results.put(None)
