# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Threads that share the items of one iterator."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.parallel import for_each, in_order, in_sessions


class Sessions:
    """Opens sessions that an event ends early, and counts those that are open."""

    def __init__(self) -> None:
        self.opened, self.open = 0, 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def __call__(self) -> t.Iterator[threading.Event]:
        with self._lock:
            self.opened, self.open = self.opened + 1, self.open + 1
        try:
            yield threading.Event()
        finally:
            with self._lock:
                self.open -= 1


def test_every_item_is_worked_on_exactly_once() -> None:
    sessions = Sessions()
    results = in_sessions(range(200), sessions, lambda _session, item: item * 2, parallel=4)
    assert sorted(results) == [2 * item for item in range(200)]
    assert (sessions.opened, sessions.open) == (4, 0)


@pytest.mark.parametrize(("items", "parallel", "expected"), [(0, 4, 0), (2, 4, 2), (3, 0, 1)])
def test_number_of_sessions_is_limited_by_items_and_parallel(items: int, parallel: int, expected: int) -> None:
    sessions = Sessions()
    assert len(in_sessions(range(items), sessions, lambda _session, item: item, parallel=parallel)) == items
    assert sessions.opened == expected


def test_an_error_cancels_open_sessions_and_starts_no_further_item() -> None:
    started: list[int] = []

    def work(session: threading.Event, item: int) -> None:
        started.append(item)
        if item == 1:
            raise ValueError("item 1")
        assert session.wait(60)

    sessions = Sessions()
    with pytest.raises(ValueError, match="item 1"):
        in_sessions(range(100), sessions, work, parallel=2, cancel=threading.Event.set)
    assert sorted(started) == [0, 1]
    assert sessions.open == 0


def test_an_error_without_cancel_lets_started_items_complete() -> None:
    started, failed = threading.Event(), threading.Event()
    completed: list[int] = []

    def work(_session: threading.Event, item: int) -> None:
        if item == 0:
            assert started.wait(60)
            failed.set()
            raise ValueError("item 0")
        started.set()
        assert failed.wait(60)
        completed.append(item)

    with pytest.raises(ValueError, match="item 0"):
        in_sessions(range(2), Sessions(), work, parallel=2)
    assert completed == [1]


def test_a_session_that_does_not_open_is_the_error() -> None:
    def refused() -> t.ContextManager[None]:
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError):
        in_sessions(range(3), refused, lambda _session, item: item, parallel=2)


def test_stop_cancels_open_sessions_and_returns_what_was_completed() -> None:
    stop = threading.Event()

    def work(session: threading.Event, item: int) -> int:
        if item == 1:
            stop.set()
            assert session.wait(60)
        return item

    assert in_sessions(range(50), Sessions(), work, parallel=1, stop=stop, cancel=threading.Event.set) == [0, 1]


def fails_from(limit: int | None) -> t.Callable[[int], int]:
    def work(item: int) -> int:
        if limit is not None and item >= limit:
            raise ValueError(str(item))
        return -item

    return work


@settings(deadline=None)
@given(items=st.integers(0, 300), parallel=st.integers(1, 6))
def test_every_item_has_one_result_and_in_order_keeps_the_order(items: int, parallel: int) -> None:
    expected = [-item for item in range(items)]
    assert in_order(range(items), fails_from(None), parallel=parallel) == expected
    assert sorted(for_each(range(items), fails_from(None), parallel=parallel), reverse=True) == expected


@settings(deadline=None)
@given(items=st.integers(1, 300), parallel=st.integers(1, 6), data=st.data())
def test_the_first_error_is_raised(items: int, parallel: int, data: st.DataObject) -> None:
    limit = data.draw(st.integers(0, items - 1))
    with pytest.raises(ValueError):
        list(for_each(range(items), fails_from(limit), parallel=parallel))
    with pytest.raises(ValueError):
        in_order(range(items), fails_from(limit), parallel=parallel)


def test_no_item_starts_after_an_error() -> None:
    started: list[int] = []
    failed = threading.Event()

    def work(item: int) -> None:
        started.append(item)
        if item == 0:
            failed.set()
            raise ValueError("item 0")
        assert failed.wait(60)
        time.sleep(0.05)

    for run in (lambda: in_order(range(500), work, parallel=2), lambda: list(for_each(range(500), work, parallel=2))):
        started.clear()
        failed.clear()
        with pytest.raises(ValueError, match="item 0"):
            run()
        assert len(started) < 20


def test_a_caller_that_stops_reading_ends_the_threads() -> None:
    started: list[int] = []
    results = for_each(range(100_000), started.append, parallel=3)
    next(results)
    t.cast("t.Generator[None, None, None]", results).close()
    assert len(started) < 100
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("each")] == []


def test_a_program_that_ends_with_unread_results_does_not_hang() -> None:
    module = for_each.__module__
    program = f"from {module} import for_each; kept = for_each(range(10**6), abs, parallel=2); next(kept)"
    subprocess.run([sys.executable, "-c", f"{program}; import sys; sys.kept = kept; del kept"], check=True, timeout=60)


@pytest.mark.parametrize("parallel", [0, -1])
def test_fewer_than_one_thread_is_refused(parallel: int) -> None:
    for run in (for_each, in_order):
        with pytest.raises(RecoveryError, match=f"`parallel` must be at least 1, got {parallel}") as caught:
            run([1], abs, parallel=parallel)
        assert caught.value.kind == ErrorKind.INVALID_OPTIONS
