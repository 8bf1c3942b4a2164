# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plain dump is looked through in pieces of any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._postgres.names import QualifiedName
from ansible_collections.lifeline.recovery.plugins.module_utils._postgres.script import read_script

DUMP = b"""--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';

--
-- Name: a; Type: TABLE; Schema: public; Owner: owner
--

CREATE TABLE public."a b" (
    x text
);


--
-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: owner
--

COPY public."a b" (x) FROM stdin;
-- PostgreSQL database dump complete
-- Name: no; Type: TABLE; Schema: public; Owner: owner
CREATE TABLE public.no (
\\.


--
-- PostgreSQL database dump complete
--

"""


@given(st.integers(1, 600))
def test_pieces_of_any_size_are_read_alike(size: int) -> None:
    facts = read_script(DUMP[start : start + size] for start in range(0, len(DUMP), size))
    assert (facts.headed, facts.ended, facts.empty, facts.count) == (True, True, False, 1)
    assert facts.tables == {QualifiedName("public", "a b")}


@given(st.integers(0, len(DUMP.rstrip(b"-\n")) - 1))
def test_a_dump_that_is_cut_off_anywhere_has_no_end(length: int) -> None:
    assert not read_script([DUMP[:length]]).ended


def test_windows_ends_of_lines_are_taken() -> None:
    facts = read_script([DUMP.replace(b"\n", b"\r\n")])
    assert (facts.headed, facts.ended, facts.count) == (True, True, 1)
