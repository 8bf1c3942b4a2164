# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lost versions, tags, organizations and media are back; a damaged course has its newest version."""

from __future__ import annotations

import json

from testinfra.host import Host

from tests.support.containers import nothing_left, sql


def test_versions_come_from_the_set_and_from_the_published_copy(host: Host) -> None:
    query = "SELECT json_agg(json_build_array(course_id, snapshot) ORDER BY course_id, version) FROM course_versions"
    found = [tuple(row) for row in json.loads(sql(host, "learnplay", query))]
    assert found == [("algebra", {"v": 1}), ("algebra", {"v": 2}), ("algebra", {"v": 2}), ("biology", {"v": 1})]


def test_the_damaged_copy_was_replaced_and_kept(host: Host) -> None:
    assert json.loads(host.file("/srv/application_recovery/courses/algebra.json").content_string) == {"v": 2}
    assert host.run("cat /srv/application_recovery/courses/algebra.json.before-*").stdout == '{"v": 2'
    assert nothing_left(host)


def test_organizations_tags_and_media_are_as_before(host: Host) -> None:
    tag = "00000000-0000-0000-0000-00000000000"
    assert sql(host, "learnplay", "SELECT DISTINCT tag_ids FROM course_metadata") == f"{{{tag}4,{tag}3}}"
    assert sql(host, "learnplay", "SELECT slug || ' ' || role FROM organizations, user_roles") == "learnplay viewer"
    assert host.file("/srv/application_recovery/media/cover.png").content_string == "cover"
    assert (
        sql(host, "learnplay", "SELECT string_agg(path, ' ' ORDER BY path) FROM media_assets") == "cover.png orphan.png"
    )
