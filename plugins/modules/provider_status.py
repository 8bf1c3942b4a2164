#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: provider_status
short_description: Tell whether it is the provider that is down
version_added: 1.0.0
description:
  - Asks the status pages of providers, all at once, and judges what they say. The first question at night is whether it is them or us, and a
    long restore that is started while the provider is down makes it worse.
  - Reads what pages of Statuspage publish under C(/api/v2/summary.json), as Supabase, GitHub and Cloudflare do, and other services in its place.
  - A page that does not answer, or answers something else, is V(unknown) with the reason in RV(pages), neither a failure nor all well.
  - Redirects are not followed. RV(pages) says where they lead. No more than 8 MiB of an answer are read.
  - What a provider has not admitted yet its page does not say.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
  - lifeline.recovery._attributes.info_module
attributes:
  check_mode:
    support: full
    details:
      - Asks the pages all the same, and does not write O(metrics_textfile).
options:
  pages:
    description:
      - The status pages. Without any, nothing is asked.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What the page is called in results, metrics and messages - letters, digits, V(-) and V(_).
        type: str
        required: true
      url:
        description:
          - Where people read the page, such as V(https://www.githubstatus.com). One with a login or a query is refused, because what is
            secret does not belong there.
        type: str
        required: true
      components:
        description:
          - The names of components that matter, or shell patterns of them, in upper or lower case. The name of a group stands for all in it.
          - Then only these, and open incidents and running maintenance that touch them, judge the page. A name that no component has makes
            the page V(unknown) unless something worse is known. Without any, the page's own indicator counts.
          - Choose some where a provider has many places, because somewhere there always is maintenance.
        type: list
        elements: str
        default: []
  timeout:
    description:
      - How many seconds one page may take, the whole of its answer included; up to 300. The pages are asked side by side, up to 32 at a time.
    type: float
    default: 10
  fail_on:
    description:
      - From which RV(level) on the task fails, so that a play stops before it starts what needs the provider.
      - V(unknown) also fails on pages that do not say how they are. V(never), the default, only tells.
    type: str
    choices: [never, unknown, maintenance, minor, major, critical]
    default: never
  metrics_textfile:
    description:
      - Where to write metrics for the textfile collector of node_exporter, such as C(/var/lib/prometheus/node-exporter/lifeline@providers.prom).
    type: path
seealso:
  - module: lifeline.recovery.recovery_status
  - module: lifeline.recovery.notification
"""

EXAMPLES = r"""
- name: Is it them or us?
  lifeline.recovery.provider_status:
    pages:
      - name: supabase
        url: https://status.supabase.com
      - name: github
        url: https://www.githubstatus.com
  register: providers

- name: Start no restore while the database's provider has an outage
  lifeline.recovery.provider_status:
    pages:
      - name: supabase
        url: https://status.supabase.com
        components: [Database, "Connection Pool*"]
    fail_on: major

- name: Leave metrics of the parts that matter
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
      description: Its name.
      type: str
      sample: supabase
    url:
      description: Its URL.
      type: str
      sample: https://status.supabase.com
    indicator:
      description: >-
        How it is - V(none) for operational, V(unknown), V(maintenance) while maintenance is going on, V(minor), V(major) or V(critical). A chosen
        component that is degraded is V(minor), in a partial outage V(major), in a major outage V(critical).
      type: str
      sample: critical
    summary:
      description: The page in a sentence.
      type: str
      sample: "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00."
    why:
      description: Why the page, or a part of it, is not known; empty when it is.
      type: str
      sample: ""
    components:
      description: Components that are not operational, of the chosen where some are, each with C(name), C(group) or null, and C(status).
      type: list
      elements: dict
      sample: [{name: API Gateway, group: null, status: major_outage}]
    missing:
      description: Chosen components that the page does not have.
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
      description: Maintenance that is going on or announced, with the same, and C(starts_at) and C(ends_at).
      type: list
      elements: dict
      sample: []
    left_out:
      description: How many components, incidents and maintenance are not in these lists, which have 50 each. All were judged.
      type: int
      sample: 0
    checked_at:
      description: When it was asked.
      type: str
      sample: "2026-03-01T02:40:00.000+00:00"
  sample: []
level:
  description: The gravest indicator of the pages; V(unknown) is graver than V(none), and less than all else.
  type: str
  returned: success, and when the task fails by O(fail_on)
  sample: critical
breaches:
  description: >-
    What to tell channels, as M(lifeline.recovery.notification) wants it - C(provider.degraded), a warning, for V(minor), and C(provider.outage), an
    error, for V(major) and V(critical). Planned maintenance and what is not known is none.
  type: list
  elements: dict
  returned: success, and when the task fails by O(fail_on)
  contains:
    key:
      description: Stays the same while it lasts.
      type: str
      sample: "@provider/supabase"
    event:
      description: What it is.
      type: str
      sample: provider.outage
    severity:
      description: How grave it is.
      type: str
      sample: error
    source:
      description: The name of the page.
      type: str
      sample: supabase
    message:
      description: The summary of the page, and where to read more.
      type: str
      sample: "supabase: critical - API Gateway is down (major_outage) since 2026-03-01T02:04:00.000+00:00. https://stspg.io/abc123"
  sample: []
lines:
  description: The same for people - a line for each page that is not operational or not known, with what to do; one line for all when all are.
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
  description: A stable name of what went wrong - V(check_failed) by O(fail_on), V(report_failed) for metrics, V(invalid_options).
  type: str
  returned: failure
  sample: check_failed
"""

from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.ansible_module import create_module, run_module
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.argument_specs import ArgumentSpec
from ansible_collections.lifeline.recovery.plugins.module_utils._ansible.options import request_of, spec_of
from ansible_collections.lifeline.recovery.plugins.module_utils._core.clock import utc_now
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.ask import secrets_of
from ansible_collections.lifeline.recovery.plugins.module_utils._providers.status import (
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


def main() -> None:
    module = create_module(PAGES.merge(spec_of(ProviderRequest)))
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
