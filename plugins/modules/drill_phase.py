#!/usr/bin/python
# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_phase
short_description: Record when a phase of a drill began and ended
version_added: 1.0.0
description:
  - Adds one event to the journal of a drill, from which M(lifeline.recovery.drill_report) draws the timeline.
  - Lengths are taken from the monotonic clock, so setting the wall clock does not change them. All events of one drill must
    be recorded on the same machine, between two restarts of it.
  - Every event is on the disk before the module returns, so it survives a crash of the drill.
author:
  - lifeline.recovery contributors (@lifeline-recovery)
extends_documentation_fragment:
  - lifeline.recovery._attributes
attributes:
  check_mode:
    support: full
    details:
      - Writes nothing, so a phase that ends without a start is not detected.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run records an event.
options:
  journal:
    description:
      - The file of the timeline, one per drill. The first event creates it, readable for its owner only.
    type: path
    required: true
  phase:
    description:
      - The name of the phase, or of the moment with O(event=mark).
      - Usual names are C(backup), C(failure), C(detection), C(decision), C(fetch), C(provision), C(restore), C(verify),
        C(first_access) and C(teardown). The clock of the recovery runs from the start of C(failure), or from a mark
        C(incident), to the end of C(verify) or C(first_access), whichever is later.
    type: str
    required: true
  event:
    description:
      - V(start) and V(end) bound a phase. V(mark) records a single moment.
      - A phase that was started and not ended counts as failed. Of a repeated phase, the last attempt counts.
    type: str
    choices: [start, end, mark]
    required: true
  status:
    description:
      - How the phase ended. A failed phase fails the drill.
    type: str
    choices: [ok, failed]
    default: ok
  seconds:
    description:
      - The seconds of a phase that was timed elsewhere, for example in the result of a module.
      - Only with O(event=end), which then needs no start; the phase counts as having ended now.
    type: float
  started_at:
    description:
      - The start of a phase that was timed elsewhere, in RFC 3339. Requires O(seconds).
      - Set it if the phase did not end now.
    type: str
  note:
    description:
      - A sentence for the reader of the report.
    type: str
    default: ''
seealso:
  - module: lifeline.recovery.drill_report
"""

EXAMPLES = r"""
- name: Record the start of the incident
  lifeline.recovery.drill_phase:
    journal: /var/lib/lifeline/drill.journal
    phase: failure
    event: start

- name: Record a failed restore
  lifeline.recovery.drill_phase:
    journal: /var/lib/lifeline/drill.journal
    phase: restore
    event: end
    status: failed
    note: The disk was full.

- name: Record a phase that a module timed
  lifeline.recovery.drill_phase:
    journal: /var/lib/lifeline/drill.journal
    phase: fetch
    event: end
    seconds: "{{ restored.timings.fetch }}"
"""

RETURN = r"""
journal:
  description: The file of the timeline.
  type: str
  returned: success
  sample: /var/lib/lifeline/drill.journal
phase:
  description: The phase, as given.
  type: str
  returned: success
  sample: restore
event:
  description: The event, as given.
  type: str
  returned: success
  sample: end
at:
  description: The instant of the event.
  type: str
  returned: success
  sample: "2026-03-01T02:00:05.123+00:00"
status:
  description: The status, as given.
  type: str
  returned: success
  sample: ok
seconds:
  description: How long the phase took, once it ended; null otherwise and in check mode.
  type: float
  returned: success
  sample: 14.2
error_kind:
  description: A stable name of what went wrong.
  type: str
  returned: failure
  sample: report_failed
"""

from ..module_utils._ansible.ansible_module import create_module, run_module
from ..module_utils._ansible.options import request_of, spec_of
from ..module_utils._drill.record import PhaseRequest, record_phase

SPEC = spec_of(PhaseRequest)


def main() -> None:
    module = create_module(SPEC)
    run_module(module, lambda: record_phase(request_of(PhaseRequest, module.params, check_mode=module.check_mode)))


if __name__ == "__main__":
    main()
