# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # A git repository, and the credentials for it.
    DOCUMENTATION = r"""
options:
  username:
    description:
      - User name for an address of https. GitHub accepts any name with a token.
    type: str
    default: git
  password:
    description:
      - Password or token for an address of https.
    type: str
  ssh_key_file:
    description:
      - Private key for an address of ssh. If it is unset, the keys and the agent of the user are used.
    type: path
  known_hosts_file:
    description:
      - File of known host keys. If it is unset, that of the user is used. Unknown hosts are refused.
    type: path
  timeout:
    description:
      - Seconds after which one run of git is ended.
    type: float
    default: 600
  spool_dir:
    description:
      - Folder for the temporary clone, which holds the complete history of the branch. If it is unset, it is the temporary folder of the host.
    type: path
"""
