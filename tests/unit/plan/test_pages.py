# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages about plans are in step with the code. python -m tests.tools.plan_pages writes them anew."""

from __future__ import annotations

import json

from tests.tools.plan_pages import PAGE, SCHEMA, json_schema, page


def test_the_page_lists_the_keys_steps_rules_and_traps_that_there_are() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert page(written) == written


def test_the_json_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()
