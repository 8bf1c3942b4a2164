# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A data directory on the host where the module runs.
    DOCUMENTATION = r"""
options:
  data_dir:
    description:
      - Data directory of the cluster.
    type: path
    required: true
  client_bin_dir:
    description:
      - Folder of the programs of PostgreSQL. If it is unset, the folders of the distributions are searched.
    type: path
"""

    # The server of the data directory, and its fence.
    SERVER = r"""
options:
  service:
    description:
      - Unit of systemd that runs the server, for example V(postgresql@15-main.service). If it is unset, C(pg_ctl) of the owner of the data
        directory stops and starts the server.
    type: str
  state_dir:
    description:
      - Folder on the host for the states of fences. If it is unset, it is C(/var/lib/lifeline-fence) for root, and
        C(~/.local/state/lifeline-fence) for another user.
    type: path
"""
