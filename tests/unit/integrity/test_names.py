# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Qualified names as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.server.names import (
    QualifiedName,
    parse_qualified_name,
)

PARTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bookings", ("public", "bookings")),
        ("app.bookings", ("app", "bookings")),
        ("App.Bookings", ("App", "Bookings")),
        ("my table", ("public", "my table")),
        ('"Sch ema"."Ta.ble"', ("Sch ema", "Ta.ble")),
        ('app."print ""hi"""', ("app", 'print "hi"')),
        ('"Ta.ble"', ("public", "Ta.ble")),
        (' app . "T" ', ("app", "T")),
        ('" padded "', ("public", " padded ")),
    ],
)
def test_names_are_split_where_a_person_would(text, expected):
    assert parse_qualified_name(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("app.", "empty"),
        (".bookings", "empty"),
        ('""', "empty"),
        ("a.b.c", "3 parts"),
        ('"open', "not closed"),
        ('app."open', "not closed"),
        ('mid"dle', "quote inside"),
        ('"a"b', "dot is missing"),
        ("x" * 64, "longer than 63 bytes"),
        ("\N{SNOWMAN}" * 22, "longer than 63 bytes"),
        ("a\0b", "NUL"),
    ],
)
def test_invalid_name_is_refused_with_the_reason(text, why):
    with pytest.raises(RecoveryError, match=why) as caught:
        parse_qualified_name(text)
    assert caught.value.kind == ErrorKind.INVALID_OPTIONS


@given(PARTS, PARTS)
def test_shown_name_parses_to_the_same_name(schema, name):
    original = QualifiedName(schema, name)

    assert parse_qualified_name(str(original)) == original
    assert parse_qualified_name(original.quoted) == original
