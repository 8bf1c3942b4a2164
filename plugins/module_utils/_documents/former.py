# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the published copy back that an earlier restore replaced and kept."""

from __future__ import annotations

import typing as t

from .._core.errors import RecoveryError, guaranteed
from .published import ObjectChanges
from .reader import Layout, Reader
from .schema import Validator
from .target import Restored, Target, read_planned_copy


class FormerCopyPublisher:
    """Replaces published copies by the former ones. The tables stay unchanged."""

    def __init__(self, layout: Layout, validator: Validator) -> None:
        self._copies, self._validator = guaranteed(layout.copies()), validator

    def publish(self, target: Target) -> Restored:
        """Raises RecoveryError: conflict if the document was published since the plan, and those of the bucket."""
        former = guaranteed(target.kept)
        seen = guaranteed(read_planned_copy(self._copies, target, self._validator))
        data, headers = self._copies.read_kept(former)
        changes = ObjectChanges(self._copies)
        try:
            kept = changes.keep(seen) if target.unversioned else None
            changes.replace(seen, data, headers)
        except RecoveryError as error:
            raise changes.put_back(error) from None
        newest = target.state.newest
        return Restored(target.document, None, newest.version, newest.etag, None, kept, newest.version, former.info.key)

    def problems(self, reader: Reader, target: Target, _restored: Restored) -> t.List[str]:
        """The differences between the published copy and the former one."""
        shown = self._copies.read(target.document, reader.validator, keep=True)
        if shown.data == self._copies.read_kept(guaranteed(target.kept))[0]:
            return []
        return [f"its published copy is not {guaranteed(target.kept).info.key}"]
