# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parses the answers of Supabase's Management API about edge functions. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..answers import of_kind, text_of, unexpected_answer

ACTIVE = "ACTIVE"

#: Fields of a function that a bulk update sends back unchanged, if the service returned them.
_OPTIONAL = ("created_at", "verify_jwt", "import_map", "entrypoint_path", "import_map_path", "ezbr_sha256")
_KINDS = {"created_at": int, "verify_jwt": bool, "import_map": bool}


@dataclass(frozen=True)
class Function:
    """A function as the service describes it. ezbr_sha256: digest of its bundle; None if the service returns none."""

    id: str
    slug: str
    name: str
    status: str
    version: int
    verify_jwt: t.Optional[bool] = None
    import_map: t.Optional[bool] = None
    entrypoint_path: t.Optional[str] = None
    import_map_path: t.Optional[str] = None
    ezbr_sha256: t.Optional[str] = None
    created_at: t.Optional[int] = None

    def same_bundle(self, other: Function) -> bool:
        """Whether both are known to have the same bundle."""
        return self.ezbr_sha256 is not None and self.ezbr_sha256 == other.ezbr_sha256

    def as_update(self, version: int) -> t.Dict[str, t.Any]:
        """The item of a bulk update that makes this bundle the current one, as that version."""
        optional = {name: getattr(self, name) for name in _OPTIONAL if getattr(self, name) is not None}
        required = {"id": self.id, "slug": self.slug, "name": self.name, "status": ACTIVE, "version": version}
        return {**required, **optional}


def read_function(document: t.Any) -> Function:
    """Raises RecoveryError(service_failed) if it is not a function."""
    given = of_kind(document, dict, "function")
    version = given.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise unexpected_answer("version of a function")
    found: t.Dict[str, t.Any] = {}
    for name in _OPTIONAL:
        value = given.get(name)
        if value is not None:
            found[name] = of_kind(value, _KINDS.get(name, str), f"{name} of a function")
    found.update({name: text_of(given, name) for name in ("id", "slug", "name", "status")})
    return Function(version=version, **found)


def read_functions(document: t.Any) -> t.Dict[str, Function]:
    """Functions by their slugs. Raises RecoveryError(service_failed) if it is not a list of functions."""
    found = [read_function(item) for item in of_kind(document, list, "list of functions")]
    return {function.slug: function for function in found}
