# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences between two fingerprints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.fingerprint import (
    Fingerprint,
    SequenceFingerprint,
    TableFingerprint,
    compare,
)

BASE = Fingerprint(
    algorithm="a",
    mode="full",
    server_major=16,
    tables=(TableFingerprint("public", "t", 3, "11"), TableFingerprint("public", "u", 0, "0")),
    sequences=(SequenceFingerprint("public", "s", 5, True),),
    large_objects=TableFingerprint("", "large objects", 1, "7"),
    structure={"policies": {"p on public.t": "aa"}},
    views=(TableFingerprint("public", "m", 2, "5"),),
)


def test_equal_fingerprints_are_equal_after_json() -> None:
    assert compare(BASE, BASE).equal
    assert Fingerprint.from_dict(BASE.as_dict()) == BASE


@pytest.mark.parametrize(
    ("actual", "what"),
    [
        (replace(BASE, tables=(TableFingerprint("public", "t", 2, "11"), BASE.tables[1])), "table public.t"),
        (replace(BASE, tables=(TableFingerprint("public", "t", 3, "12"), BASE.tables[1])), "table public.t"),
        (replace(BASE, tables=BASE.tables[:1]), "table public.u"),
        (replace(BASE, sequences=(SequenceFingerprint("public", "s", 4, True),)), "sequence public.s"),
        (replace(BASE, sequences=()), "sequence public.s"),
        (replace(BASE, large_objects=TableFingerprint("", "large objects", 1, "8")), "large objects"),
        (replace(BASE, structure={"policies": {"p on public.t": "bb"}}), "policies: p on public.t"),
        (replace(BASE, structure={}), "policies: p on public.t"),
        (replace(BASE, structure={"policies": {"p on public.t": "aa", "q": "aa"}}), "policies: q"),
        (replace(BASE, structure={**BASE.structure, "TRIGGER": {"public.t g": "cc"}}), "TRIGGER: public.t g"),
        (replace(BASE, tables=(TableFingerprint("public", "t", 3), BASE.tables[1])), "table public.t"),
        (replace(BASE, views=(TableFingerprint("public", "m", 2, "9"),)), "materialized view public.m"),
        (replace(BASE, views=(TableFingerprint("public", "m", 3, "5"),)), "materialized view public.m"),
        (replace(BASE, views=()), "materialized view public.m"),
    ],
)
def test_every_kind_of_difference_is_named(actual: Fingerprint, what: str) -> None:
    comparison = compare(BASE, actual)
    assert not comparison.equal
    assert [item.what for item in comparison.differences] == [what]


def test_additional_definitions_are_listed_where_they_are_allowed() -> None:
    more = replace(BASE, structure={**BASE.structure, "TABLE": {"public.new": "dd"}})
    assert not compare(BASE, more).equal
    allowed = compare(BASE, more, allow_additional=True)
    assert allowed.equal
    assert allowed.additional == ("TABLE: public.new",)


def test_a_missing_digest_is_never_equal() -> None:
    without = replace(BASE, tables=(TableFingerprint("public", "t", 3), BASE.tables[1]))
    difference = compare(without, without).differences[0]
    assert difference.actual == "no digest, so that the content was not compared"
    counted = replace(without, mode="counts")
    assert compare(counted, counted).equal


def test_rows_of_a_refreshed_view_may_differ_but_not_be_missing() -> None:
    refreshed = replace(BASE, views=(TableFingerprint("public", "m", 3, "6"),))
    comparison = compare(BASE, refreshed, views_refreshed=True)
    assert comparison.equal
    assert comparison.refreshed == ("materialized view public.m",)
    assert not compare(BASE, replace(BASE, views=()), views_refreshed=True).equal


def test_sets_without_materialized_views_are_read_and_compared() -> None:
    document = BASE.as_dict()
    del document["views"]
    assert compare(Fingerprint.from_dict(document), BASE).equal


def test_digests_of_different_kinds_are_never_called_different_or_equal() -> None:
    with pytest.raises(RecoveryError):
        compare(BASE, replace(BASE, algorithm="b"))
