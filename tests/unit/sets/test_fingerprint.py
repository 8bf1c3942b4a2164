# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a difference between what was and what is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._sets.fingerprint import (
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
)


def test_what_is_equal_is_equal_and_survives_json() -> None:
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
    ],
)
def test_every_kind_of_difference_is_named(actual: Fingerprint, what: str) -> None:
    comparison = compare(BASE, actual)
    assert not comparison.equal
    assert [item.what for item in comparison.differences] == [what]


def test_more_than_was_there_is_no_difference() -> None:
    more = replace(BASE, tables=(*BASE.tables, TableFingerprint("public", "new", 1, "1")))
    assert compare(BASE, more).equal


def test_another_major_version_may_print_definitions_in_other_words_but_not_lose_them() -> None:
    reworded = replace(BASE, server_major=18, structure={"policies": {"p on public.t": "bb"}})
    assert compare(BASE, reworded).equal
    assert not compare(BASE, replace(BASE, server_major=18, structure={"policies": {}})).equal


def test_digests_of_different_kinds_are_never_called_different_or_equal() -> None:
    with pytest.raises(RecoveryError):
        compare(BASE, replace(BASE, algorithm="b"))
