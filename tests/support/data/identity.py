# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of age, made for one test."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyrage


class Identity(NamedTuple):
    """A private key in a file, its text, and the recipient that belongs to it."""

    file: Path
    secret: str
    recipient: str


def make_identity(file: Path) -> Identity:
    key = pyrage.x25519.Identity.generate()
    file.write_text(f"# for a test\n{key}\n")
    file.chmod(0o600)
    return Identity(file, str(key), str(key.to_public()))
