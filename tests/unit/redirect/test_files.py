# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A value in a file is the one that the programs of the file read, and every other byte stays."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._redirect import dns_record, pgbouncer_ini
from ansible_collections.lifeline.recovery.plugins.module_utils._redirect.env_file import EnvFile, EnvFileOptions

_VALUES = st.text(st.sampled_from("ab1 '\"\\$`#;&|<>()*?~=:/@%é"), min_size=1, max_size=12)
_KEYWORDS = st.dictionaries(st.sampled_from(pgbouncer_ini.KEYWORDS), _VALUES.map(str.strip), min_size=1)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["'", '"', ""]), _VALUES.map(str.strip).filter(bool))
def test_a_shell_reads_the_value_that_was_written(quote: str, value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "environment"
        path.write_text(f"A=1\nexport KEY={quote}old{quote} # the writer\nKEY_2=old\n")
        before = path.read_text()
        way = EnvFile(EnvFileOptions(str(path), "KEY"), 5)
        try:
            way.write(way.read(), value)
        except RecoveryError as error:
            assert (error.kind, path.read_text()) == ("invalid_options", before)
            return
        script = '. "$1"; printf %s "$KEY"'
        shell = ["sh", "-eu", "-c", script, "sh", str(path)]
        assert subprocess.run(shell, check=True, capture_output=True, text=True).stdout == value
        assert way.read().value == value
        assert path.read_text() == before.replace(f"{quote}old{quote} ", f"{quote}{value}{quote} ", 1)


@given(_KEYWORDS)
def test_a_connection_string_of_pgbouncer_keeps_its_values(keywords: dict[str, str]) -> None:
    text = " ".join(f"{name} = {pgbouncer_ini.quoted(value)}" for name, value in keywords.items())
    pairs = pgbouncer_ini.parse_pairs(text)
    assert pairs is not None
    assert {one.keyword: one.value for one in pairs} == keywords
    assert [text[one.start : one.end] for one in pairs] == [pgbouncer_ini.quoted(one) for one in keywords.values()]


@pytest.mark.parametrize(
    ("text", "database", "host"),
    [
        ("[databases]\napp = host=a\n", "app", "a"),
        ("[pgbouncer]\napp = host=b\n[databases]\r\napp=host=a port=1\r\n", "app", "a"),
        ('[databases]\n"my ""app""" = host=\'a\'\napp = host=b\n', 'my "app"', "a"),
        ("[databases]\n;app = host=b\n#app = host=b\n%include other\n  app =host = a", "app", "a"),
    ],
)
def test_the_line_of_a_database_is_found(text: str, database: str, host: str) -> None:
    pairs = pgbouncer_ini.database_pairs(text, database, "x.ini")
    assert (pairs[0].keyword, pairs[0].value) == ("host", host)
    assert text[pairs[0].start : pairs[0].end].strip("'") == host


@pytest.mark.parametrize(
    "text",
    ["[databases]\nother = host=a\n", "app = host=a\n", "[databases]\napp = host=a\napp = host=b\n",
     "[databases]\napp = host=a host=b\n", "[databases]\napp = host='a\n"],
)  # fmt: skip
def test_a_line_that_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(RecoveryError):
        pgbouncer_ini.database_pairs(text, "app", "x.ini")


def test_a_host_without_dnspython_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_record, "dns", None)
    with pytest.raises(RecoveryError, match="The Python library dnspython is missing on this host") as caught:
        dns_record.Record("db.example.test", "A", "rfc2136.record")
    assert caught.value.kind == "library_missing"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("10.1.0.53", "10.1.0.53", 53), ("ns:5353", "ns", 5353), ("[::1]:5353", "::1", 5353),
     ("2001:db8::1", "2001:db8::1", 53)],
)  # fmt: skip
def test_an_address_has_an_optional_port(text: str, host: str, port: int) -> None:
    assert dns_record.endpoint(text, "resolvers") == dns_record.Endpoint(host, port)
