# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ETags of different services are compared as what they are."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.digest import bare_etag


@pytest.mark.parametrize(
    ("etag", "bare"), [('"a1b2-3"', "a1b2-3"), ("a1b2-3", "a1b2-3"), ('""', ""), ("", ""), (None, "")]
)
def test_an_etag_is_the_same_with_and_without_quotes(etag: str | None, bare: str) -> None:
    assert bare_etag(etag) == bare
