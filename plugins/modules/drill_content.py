#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_content
short_description: Record the content of an application and compare it after a recovery
version_added: 1.0.0
description:
  - Records the rows of queries and the answers of URLs before the fault of a drill, and compares both after the recovery.
  - The evidence does not come from the modules that recover. The record holds digests and no content.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
requirements:
  - psycopg2
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._postgres
  - lifeline.recovery._postgres.client
attributes:
  check_mode:
    support: full
    details:
      - The content is read, and the record is not written.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run with O(state=recorded) writes the record again.
options:
  state:
    description:
      - V(recorded) reads the content and writes O(record). It fails if a query fails, or if an answer has another status than 200.
      - V(compared) reads the content and compares it with O(record). Content that cannot be read counts as a difference.
    type: str
    choices: [recorded, compared]
    required: true
  record:
    description:
      - Path of the record.
    type: path
    required: true
  queries:
    description:
      - Queries on the database O(login_db) whose rows are compared, each in a transaction that only reads. The order of the rows does not count.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the query in the result.
        type: str
        required: true
      query:
        description:
          - The query. It may return at most 100000 rows.
        type: str
        required: true
      compare:
        description:
          - V(equal) requires the recorded rows and no others. V(kept) requires the recorded rows and permits further ones.
        type: str
        choices: [equal, kept]
        default: equal
  urls:
    description:
      - URLs whose answers are compared by status, content type and content.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait for each answer of a URL.
    type: float
    default: 30
seealso:
  - module: lifeline.recovery.drill_fault
  - module: lifeline.recovery.drill_report
"""

EXAMPLES = r"""
- name: Record the content before the fault
  lifeline.recovery.drill_content:
    state: recorded
    record: /tmp/lifeline-sandbox/content.json
    queries:
      - name: Every published version
        query: SELECT * FROM course_versions
        compare: kept
    urls: ["http://127.0.0.1:8080/play/algebra-1"]
    login_db: learnplay
    login_unix_socket: /run/postgresql

- name: Compare the content after the recovery
  lifeline.recovery.drill_content:
    state: compared
    record: /tmp/lifeline-sandbox/content.json
    queries:
      - name: Every published version
        query: SELECT * FROM course_versions
        compare: kept
    urls: ["http://127.0.0.1:8080/play/algebra-1"]
    login_db: learnplay
    login_unix_socket: /run/postgresql
  register: content

- name: Check that the pages are recorded completely, and write nothing
  lifeline.recovery.drill_content:
    state: recorded
    record: /tmp/lifeline-sandbox/pages.json
    urls: ["http://127.0.0.1:8080/health"]
  check_mode: true
"""

RETURN = r"""
equal:
  description: Whether all comparisons are equal; null if O(state=recorded).
  type: bool
  returned: success
  sample: true
checks:
  description: One entry per query and URL, in the form of the checks of M(lifeline.recovery.integrity_check).
  type: list
  elements: dict
  returned: success
  sample:
    - name: Every published version
      type: content
      status: passed
      expected: 36
      actual: 37
      message: 0 of 36 rows are lost or changed, 1 are new or changed.
      proves_data: true
fingerprint:
  description: The number of queries as C(tables), of their rows, C(equal) and C(reference), as M(lifeline.recovery.drill_report) takes them.
  type: dict
  returned: if O(state=compared), otherwise null
  sample: {tables: 1, rows: 37, equal: true, reference: the content before the incident}
summary:
  description: The result in one sentence.
  type: str
  returned: success
  sample: All 2 comparisons are equal.
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: query_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.argument_specs import postgres_spec
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._ansible.postgres_requests import connection_options
from ..module_utils._drill.content import ContentRequest, ContentResult, compare_content, record_content

SPEC = spec_of(ContentRequest).merge(postgres_spec())
ACTIONS = {"recorded": record_content, "compared": compare_content}


def main() -> None:
    module = create_module(SPEC)
    params = module.params

    def work() -> ContentResult:
        connection = connection_options(params)
        request = request_of(ContentRequest, params, check_mode=module.check_mode, connection=connection)
        return ACTIONS[request.state](request)

    run_module(module, work)


if __name__ == "__main__":
    main()
