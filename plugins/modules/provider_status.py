#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: provider_status
short_description: Report outages of providers from their status pages
version_added: 1.0.0
description:
  - Requests the status pages of providers in parallel and judges them. Run it before a long restore, because an outage of the
    provider makes the restore fail.
  - Reads C(/api/v2/summary.json) of Statuspage, which Supabase, GitHub, Cloudflare and other services publish.
  - A page that does not answer, or has another format, is V(unknown) with the reason in RV(pages). That is neither a failure nor operational.
  - Redirects are not followed. RV(pages) shows their target. At most 8 MiB of an answer are read.
  - An outage that the provider has not announced is not detected.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
attributes:
  check_mode:
    support: full
    details:
      - Requests the pages as well, and does not write O(metrics_textfile).
options:
  pages:
    description:
      - Status pages to request. If the list is empty, no page is requested.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the page in results, metrics and messages - letters, digits, V(-) and V(_).
        type: str
        required: true
      url:
        description:
          - URL of the page, for example V(https://www.githubstatus.com). A URL with a login or a query is refused, because logs would
            show such secrets.
        type: str
        required: true
      components:
        description:
          - Names of relevant components, or shell patterns of them, in upper or lower case. The name of a group selects all its components.
          - Only these components, and open incidents and running maintenance that affect them, then judge the page. A name without a match
            makes the page V(unknown) unless a worse state is known. If it is empty, the indicator of the page is used.
          - Select components of providers with many locations, because some location always has maintenance.
        type: list
        elements: str
        default: []
  timeout:
    description:
      - Timeout of one page in seconds, including its complete answer; up to 300. Up to 32 pages are requested in parallel.
    type: float
    default: 10
  fail_on:
    description:
      - RV(level) at which the task fails, so that a play stops before it starts work that needs the provider.
      - V(unknown) also fails on pages whose state is unknown. V(never) only reports.
    type: str
    choices: [never, unknown, maintenance, minor, major, critical]
    default: never
  metrics_textfile:
    description:
      - Path of a file for the textfile collector of node_exporter, for example C(/var/lib/prometheus/node-exporter/lifeline@providers.prom).
    type: path
seealso:
  - module: lifeline.recovery.recovery_status
  - module: lifeline.recovery.notify
"""

EXAMPLES = r"""
- name: Report outages of both providers
  lifeline.recovery.provider_status:
    pages:
      - name: supabase
        url: https://status.supabase.com
      - name: github
        url: https://www.githubstatus.com
  register: providers

- name: Stop the play while the provider of the database has an outage
  lifeline.recovery.provider_status:
    pages:
      - name: supabase
        url: https://status.supabase.com
        components: [Database, "Connection Pool*"]
    fail_on: major

- name: Write metrics of the relevant components
  lifeline.recovery.provider_status:
    pages:
      - name: cloudflare
        url: https://www.cloudflarestatus.com
        components: [R2, D1, API]
    timeout: 5
    metrics_textfile: /var/lib/prometheus/node-exporter/lifeline@providers.prom
"""

RETURN = r"""
pages:
  description: Each page, in the order of O(pages).
  type: list
  elements: dict
  returned: success, and when the task fails by O(fail_on)
  contains:
    name:
      description: Name of the page.
      type: str
      sample: supabase
    url:
      description: URL of the page.
      type: str
      sample: https://status.supabase.com
    indicator:
      description: >-
        State of the page - V(none) for operational, V(unknown), V(maintenance) during maintenance, V(minor), V(major) or V(critical). A selected
        component that is degraded is V(minor), in a partial outage V(major), in a major outage V(critical).
      type: str
      sample: critical
    summary:
      description: The page in a sentence.
      type: str
      sample: "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00."
    why:
      description: Reason why the page, or a part of it, is unknown; empty if it is known.
      type: str
      sample: ""
    components:
      description: Components that are not operational, of the selected ones if any are selected, each with C(name), C(group) or null, and C(status).
      type: list
      elements: dict
      sample: [{name: API Gateway, group: null, status: major_outage}]
    missing:
      description: Selected components that the page does not have.
      type: list
      elements: str
      sample: []
    incidents:
      description: All open incidents - C(name), C(impact), C(status), C(url), C(started_at), C(updated_at) and C(components).
      type: list
      elements: dict
      sample:
        - name: Requests fail in Europe
          impact: critical
          status: identified
          url: https://stspg.io/abc123
          started_at: "2026-03-01T02:04:00.000+00:00"
          updated_at: "2026-03-01T02:31:00.000+00:00"
          components: [API Gateway]
    maintenance:
      description: Running or announced maintenance, with the same keys, and C(starts_at) and C(ends_at).
      type: list
      elements: dict
      sample: []
    left_out:
      description: Number of components, incidents and maintenance that are not in these lists, which have at most 50 entries each. All were judged.
      type: int
      sample: 0
    checked_at:
      description: Time of the request.
      type: str
      sample: "2026-03-01T02:40:00.000+00:00"
  sample: []
level:
  description: The most severe indicator of the pages; V(unknown) is above V(none) and below all others.
  type: str
  returned: success, and when the task fails by O(fail_on)
  sample: critical
breaches:
  description: >-
    Events for M(lifeline.recovery.notify) - C(provider.degraded), a warning, for V(minor), and C(provider.outage), an
    error, for V(major) and V(critical). Planned maintenance and unknown states are no events.
  type: list
  elements: dict
  returned: success, and when the task fails by O(fail_on)
  contains:
    key:
      description: Key of the incident. It stays the same while the outage lasts.
      type: str
      sample: "@provider/supabase"
    event:
      description: Name of the event.
      type: str
      sample: provider.outage
    severity:
      description: Severity of the event.
      type: str
      sample: error
    source:
      description: The name of the page.
      type: str
      sample: supabase
    message:
      description: The summary of the page, and its URL.
      type: str
      sample: "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00. https://stspg.io/abc123"
  sample: []
lines:
  description: Lines for the operator - one for each page that is not operational, with the next step; or one line if all are operational.
  type: list
  elements: str
  returned: success, and when the task fails by O(fail_on)
  sample: ["Providers: all operational"]
summary:
  description: All pages in a sentence.
  type: str
  returned: success, and when the task fails by O(fail_on)
  sample: "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00; github: all operational."
timings:
  description: Seconds until all pages had answered, and in total.
  type: dict
  returned: success, and when the task fails by O(fail_on)
  sample: {ask: 0.412, total: 0.413}
error_kind:
  description: Stable name of the error - V(check_failed) by O(fail_on), V(report_failed) for metrics, V(invalid_options).
  type: str
  returned: failure
  sample: check_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import ArgumentSpec, request_of, spec_of
from ..module_utils._core.clock import utc_now
from ..module_utils._providers.ask import secrets_of
from ..module_utils._providers.status import (
    ProviderRequest,
    ProviderStatus,
    provider_status,
    wanted_pages,
)

PAGES = ArgumentSpec(
    {
        "pages": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "url": {"type": "str", "required": True},
                "components": {"type": "list", "elements": "str", "default": []},
            },
        },
    }
)
SPEC = spec_of(ProviderRequest).merge(PAGES)


def main() -> None:
    module = create_module(SPEC)
    params = module.params
    for page in params["pages"]:
        module.no_log_values.update(secrets_of(page["url"]))

    def work() -> ProviderStatus:
        pages = wanted_pages(params["pages"])
        request = request_of(ProviderRequest, params, check_mode=module.check_mode, pages=pages)
        return provider_status(request, utc_now())

    run_module(module, work)


if __name__ == "__main__":
    main()
