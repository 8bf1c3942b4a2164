# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds the form of a deployment: the metadata of a function, then its files, each named by its path. Pure."""

from __future__ import annotations

import json
import secrets
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Sources:
    """The files of one function by their paths, and the metadata that its deployment needs.

    static_patterns: as they are configured. missing: imported paths that the commit does not have. verify_jwt: of the
    configuration; None if it has none.
    """

    slug: str
    entrypoint: str
    import_map: t.Optional[str]
    static_patterns: t.Sequence[str]
    files: t.Mapping[str, bytes]
    missing: t.Sequence[str] = ()
    verify_jwt: t.Optional[bool] = None

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))


def deployment_form(sources: Sources, verify_jwt: bool) -> t.Tuple[str, bytes]:
    """The content type and the bytes of a multipart form."""
    metadata: t.Dict[str, t.Any] = {
        "entrypoint_path": sources.entrypoint,
        "verify_jwt": verify_jwt,
        "name": sources.slug,
        "static_patterns": list(sources.static_patterns),
    }
    if sources.import_map:
        metadata["import_map_path"] = sources.import_map
    boundary = f"lifeline-{secrets.token_hex(16)}"
    parts = [_part(boundary, 'name="metadata"', "application/json", json.dumps(metadata).encode())]
    for path, content in sources.files.items():
        disposition = f'name="file"; filename="{_quoted(path)}"'
        parts.append(_part(boundary, disposition, "application/octet-stream", content))
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _part(boundary: str, disposition: str, kind: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {kind}\r\n\r\n"
    return b"".join([head.encode(), content, b"\r\n"])


def _quoted(path: str) -> str:
    """As browsers quote file names: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html"""
    return path.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
