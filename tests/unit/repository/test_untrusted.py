# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every stored document is judged before it is used: a mutated one is refused as damaged or means the same."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.lifeline.recovery.plugins.module_utils._core.documents import parse_json
from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import ErrorKind, RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._core.sealing import Sealing
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.bucket.inventory import FileEntry, read_line
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.audit import (
    AuditQuery,
    read_audit,
    write_audit,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.authenticity import sign
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.catalogue import list_sets, load_set
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.layout import (
    SetName,
    audit_head_key,
    set_key,
    verified_key,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest import Manifest, parse_manifest
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.manifest_shape import MANIFEST_FIELDS
from ansible_collections.lifeline.recovery.plugins.module_utils._repository.verification import (
    Verification,
    record_verification,
    verifications,
)
from ansible_collections.lifeline.recovery.plugins.module_utils._store.directory import DirectoryStore
from tests.support.data.identity import make_identity
from tests.support.sets import NOW, back_up

REFUSED = (ErrorKind.DAMAGED, ErrorKind.UNSUPPORTED_MANIFEST)

#: Values that a hostile or a careless hand may put anywhere.
ODD: t.Sequence[t.Any] = (
    *(None, True, False, 0, -1, 1.5, 2**63, 2**70, "", "a", "../../etc/passwd", "/etc/passwd", "a/b", ".", ".."),
    *("a\0b", "a\nb", " a ", "C:\\x", "20370101T000000Z", "0001-01-01T00:00:00+23:59", "x" * 20_000, [], {}, [[]]),
    *({"": ""}, {"a": {"a": []}}, ["a", 1], "ABCDEF" * 11, "g" * 64, "0" * 64),
)


def positions(document: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """The path of every value of a document."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else ())
    )
    for name, value in items:
        yield from positions(value, (*path, name))


def changed(document: t.Any, path: tuple[t.Any, ...], value: t.Any, *, remove: bool) -> t.Any:
    if not path:
        return value
    copied = json.loads(json.dumps(document))
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The document with one value exchanged or removed, cut, or with a byte changed."""
    how = draw(st.sampled_from(["value", "value", "value", "remove", "cut", "byte", "twice"]))
    if how == "cut":
        return data[: draw(st.integers(0, len(data) - 2))]
    if how == "byte":
        place = draw(st.integers(0, len(data) - 1))
        return data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]
    if how == "twice":
        return data.rstrip()[:-1] + b',"schema":"x","schema":"y"}'
    document = json.loads(data)
    path = draw(st.sampled_from(list(positions(document))))
    value = draw(st.sampled_from(ODD))
    return json.dumps(changed(document, path, value, remove=how == "remove")).encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DirectoryStore, SetName]:
    """A store with an encrypted, authenticated and verified set, and audit records."""
    root = tmp_path_factory.mktemp("untrusted")
    identity = make_identity(root / "key")
    store = DirectoryStore(str(root / "store"))
    store.sealing = Sealing((identity.recipient,), None, str(identity.file))
    taken = back_up(store, root / "spool", NOW, ["one", "two"])
    record_verification(store, "school", "daily", Verification(taken.set_id, taken.created_at, "decode", "passed"))
    for number in range(2):
        write_audit(store, "school", "backup", "succeeded", {"number": number})
    return store, SetName("school", "daily", taken.set_id)


fuzzed = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzed
@given(data=st.data())
def test_a_mutated_manifest_is_refused_or_means_the_same(
    made: tuple[DirectoryStore, SetName], data: st.DataObject
) -> None:
    store, name = made
    key = set_key(*name)
    original = (Path(store.location) / key).read_bytes()
    given_bytes = data.draw(mutated(original))
    try:
        manifest = parse_manifest(given_bytes, key, name, store.sealing)
    except RecoveryError as error:
        assert error.kind in REFUSED
        return
    assert (manifest.source, manifest.tier, manifest.set_id) == tuple(name)
    assert abs(manifest.recovery_instant - NOW) < timedelta(seconds=6)
    for entry in manifest.objects:
        assert "/" not in entry.path and entry.path not in (".", "..") and entry.path.isprintable()
        assert entry.key.startswith("school/daily/objects/") and ".." not in entry.key
        assert 0 <= entry.plain_size < 2**63 and 0 <= entry.stored_size < 2**63
    # Accepted content can be written again, and be returned by a module.
    json.dumps(json.loads(manifest.to_json(store.sealing)))


@fuzzed
@given(data=st.data())
def test_with_a_key_a_mutated_manifest_is_refused_or_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[DirectoryStore, SetName], data: st.DataObject
) -> None:
    store, name = made
    keyed = replace(store.sealing, name_key="only the hosts know it")
    stored = json.loads((Path(store.location) / set_key(*name)).read_bytes())
    original = json.dumps(sign(stored, keyed.name_key)).encode()
    known = parse_manifest(original, "m", name, keyed)
    assert known.authentic is True
    try:
        found = parse_manifest(data.draw(mutated(original)), "m", name, keyed)
    except RecoveryError as error:
        assert error.kind in REFUSED
        return
    # ETags belong to one store and are not covered by the code.
    entries = [tuple(replace(entry, etag=None) for entry in one.objects) for one in (found, known)]
    assert entries[0] == entries[1]
    assert replace(found, objects=()) == replace(known, objects=())


@fuzzed
@given(data=st.data())
def test_a_mutated_record_of_a_verification_is_none_or_well_formed(
    made: tuple[DirectoryStore, SetName], data: st.DataObject
) -> None:
    store, name = made
    path = Path(store.location) / verified_key(*name)
    original = path.read_bytes()
    try:
        path.write_bytes(data.draw(mutated(original)))
        for set_id, found in verifications(store, "school", "daily").items():
            assert set_id == name.set_id
            assert found.status in ("passed", "failed") and found.proved_depth in (None, "digests", "decode")
            assert (found.proved_at is None) == (found.proved_depth is None)
    finally:
        path.write_bytes(original)


@fuzzed
@given(data=st.data(), which=st.integers(0, 2))
def test_a_mutated_audit_record_or_head_breaks_the_chain_or_means_the_same(
    made: tuple[DirectoryStore, SetName], data: st.DataObject, which: int
) -> None:
    store, _name = made
    root = Path(store.location)
    path = [*sorted((root / "school/audit").rglob("*.json")), root / audit_head_key("school")][which]
    original = path.read_bytes()
    before = read_audit(store, "school", AuditQuery())
    assert before.chain == "intact"
    try:
        path.write_bytes(data.draw(mutated(original)))
        found = read_audit(store, "school", AuditQuery())
        assert found.chain == "broken" or (found.records == before.records and found.total == 2)
    finally:
        path.write_bytes(original)


LINE = FileEntry(
    "a/b.txt", 3, '"e"', "2026-03-01T02:00:00.000+00:00", "0" * 64, "1" * 64, "zstd", 9, "2" * 64, {"content_type": "x"}
).to_line()


@fuzzed
@given(data=st.data())
def test_a_mutated_line_of_an_inventory_is_refused_or_well_formed(data: st.DataObject) -> None:
    try:
        entry = read_line(data.draw(mutated(LINE.encode())))
    except RecoveryError as error:
        assert error.kind == ErrorKind.DAMAGED
        return
    assert entry.key and "\0" not in entry.key
    assert len(entry.object) == len(entry.sha256) == len(entry.stored_sha256) == 64
    assert 0 <= entry.size < 2**63 and 0 <= entry.stored_size < 2**63


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested"),
        ('{"a":' * 1000 + "1" + "}" * 1000, "nested"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ('{"a": 1, "a": 2}', "twice"),
        (r'{"a": "\ud800"}', "surrogate"),
        (r'{"\udfff": 1}', "surrogate"),
        ("{", "JSON"),
        ("", "JSON"),
    ],
)
def test_json_that_no_backup_writes_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json(text)


def test_a_whole_surrogate_pair_is_text() -> None:
    assert parse_json(json.dumps({"a": "\N{GRINNING FACE}"})) == {"a": "\N{GRINNING FACE}"}


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        parse_json(b'{"a": "\xff"}')


def test_every_field_of_a_manifest_has_a_shape() -> None:
    assert set(MANIFEST_FIELDS) == {name for name in Manifest.__dataclass_fields__ if name != "authentic"}


def test_a_set_that_moved_on_by_a_second_is_read(tmp_path: Path) -> None:
    """Two backups of one second: the second one takes the next name, and its recovery point stays."""
    store = DirectoryStore(str(tmp_path / "store"))
    first = back_up(store, tmp_path / "spool", NOW, ["one"])
    second = back_up(store, tmp_path / "spool", NOW, ["two"])
    assert second.set_id > first.set_id
    assert [load_set(store, name).recovery_point for name in list_sets(store)] == [first.recovery_point] * 2
