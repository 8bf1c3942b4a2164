# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.lifeline.recovery.plugins.filter.audit_table import audit_table, differences_table
from ansible_collections.lifeline.recovery.plugins.filter.check_mistakes import check_mistakes
from ansible_collections.lifeline.recovery.plugins.filter.export_facts import export_facts
from ansible_collections.lifeline.recovery.plugins.filter.missing_collections import missing_collections
from ansible_collections.lifeline.recovery.plugins.filter.usable_channels import misspelt_channels, usable_channels
from ansible_collections.lifeline.recovery.plugins.filter.user_path import user_path
from ansible_collections.lifeline.recovery.plugins.module_utils._sandbox.programs import PostgresPrograms, nearest_first
from tests.support.runner.server import ROOT


@pytest.mark.parametrize(
    ("source", "order"),
    [("15.4", ["15", "16", "18", "14"]), ("17.1", ["18", "16", "15", "14"]), ("odd", ["18", "16", "15", "14"])],
)
def test_a_sandbox_prefers_the_major_version_of_the_source_then_newer_ones(source: str, order: list[str]) -> None:
    found = [PostgresPrograms(version, f"/{version}") for version in ("18", "16", "15", "14")]
    assert [item.version for item in nearest_first(found, source)] == order
    twice = [PostgresPrograms("15", "/wheel", "/wheel.libs"), PostgresPrograms("15", "/system")]
    assert nearest_first(twice, "15.2")[0].bin_dir == "/system"


def test_a_relative_path_starts_where_the_operator_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert user_path("reports") == str(tmp_path / "reports")
    assert user_path("../out/") == str(tmp_path.parent / "out")
    assert user_path("/srv/reports") == "/srv/reports"
    assert user_path("~/reports") == "/home/somebody/reports"
    # Another host has another working directory, and another home for ~.
    assert [user_path(path, local=False) for path in ("reports", "~/x", "/srv")] == ["~/reports", "~/x", "/srv"]


def test_no_path_leads_into_an_installed_collection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside = tmp_path / "ansible_collections/lifeline/recovery/playbooks"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert user_path("reports") == "/home/somebody/.local/share/lifeline/reports"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert user_path("reports") == "/data/lifeline/reports"


def test_missing_collections_are_named() -> None:
    assert missing_collections(["lifeline.recovery", "nobody.nothing"]) == ["nobody.nothing"]


def test_a_misspelt_check_is_named_with_the_nearest_known_name() -> None:
    assert check_mistakes([{"type": "foreign_keys"}]) == []
    (mistake,) = check_mistakes([{"type": "row_cuont"}, {"type": "row_count", "tabel": "t", "min": 1}])
    assert "did you mean 'row_count'?" in mistake
    assert "did you mean 'table'?" in mistake
    assert check_mistakes([{"type": "quick_check"}], "sqlite") == []
    assert "quick_check" in check_mistakes([{"type": "quick_check"}])[0]


def test_an_export_is_described_by_its_sets_and_files() -> None:
    database = {"source": "school", "set_id": "20260301T020000Z", "rows": 7, "timings": {}}
    files = {"source": "media", "created": ["a", "b"], "bytes_transferred": 9, "files_archived": 3}
    assert export_facts([database, files]) == {
        "databases": [{"source": "school", "set_id": "20260301T020000Z", "rows": 7}],
        "files": {"media": 2},
        "bytes": {"media": 9},
        "not_exported": {"media": ["3 files in an archive storage class"]},
    }
    assert export_facts([]) == {"databases": [], "files": {}, "bytes": {}, "not_exported": {}}


def test_audit_records_and_differences_are_lines() -> None:
    record = {
        "performed_at": "2026-03-01T02:00:19.480+00:00", "operation_type": "backup", "status": "succeeded",
        "performed_by": "lifeline", "host": "backup1",
    }  # fmt: skip
    head, line = audit_table([record])
    assert head.split() == ["ENDED", "AT", "OPERATION", "STATUS", "BY", "HOST"]
    assert line.split() == ["2026-03-01", "02:00", "backup", "succeeded", "lifeline", "backup1"]
    assert audit_table([]) == ["No audit record."]
    assert differences_table([{"what": "table t", "expected": "1 rows", "actual": "2 rows"}]) == [
        "table t: 1 rows; other set: 2 rows"
    ]
    assert differences_table([]) == []


def test_a_channel_with_an_unknown_option_is_left_out_and_named_without_the_value() -> None:
    channels = [{"name": "duty", "ulr": "secret"}, {"ulr": "secret"}, {"name": "hook", "url": "u"}, "text"]
    options = ["name", "url"]
    assert usable_channels(channels, options) == channels[2:]
    first, second = misspelt_channels(channels, options)
    assert first.startswith("The channel duty has ulr, which is no option of a channel.")
    assert second.startswith("The channel without a name has ulr")
    assert "secret" not in first + second
    assert usable_channels({"name": "x"}, options) == {"name": "x"}
    with pytest.raises(TypeError):
        misspelt_channels(5, options)


def test_filters_import_packages_of_the_modules_only_when_they_are_called() -> None:
    # Ansible imports every filter file in each task that names one filter of the collection.
    names = [path.stem for path in (ROOT / "plugins/filter").glob("*.py")]
    code = (
        "import importlib, sys\n"
        "package = 'ansible_collections.lifeline.recovery.plugins'\n"
        f"for name in {names!r}: importlib.import_module(f'{{package}}.filter.{{name}}')\n"
        "prefix = package + '.module_utils._'\n"
        "print({name[len(prefix):].split('.')[0] for name in sys.modules if name.startswith(prefix)})"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "{'core'}"
