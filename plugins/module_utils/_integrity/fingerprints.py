# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of the database against the fingerprint that a backup set holds."""

from __future__ import annotations

from dataclasses import dataclass

from .check import CannotVerify, Check, Context
from .options import OptionReader
from .result import Finding
from .values import plain_value


@dataclass(frozen=True)
class Fingerprint(Check):
    """Nothing differs from the set; the comparison itself is given by the caller."""

    @classmethod
    def read(cls, options: OptionReader) -> Fingerprint:
        return cls()

    @property
    def subject(self) -> str:
        return "of the backup set"

    def run(self, context: Context) -> Finding:
        if context.compare_fingerprint is None:
            raise CannotVerify("No backup set was given to compare with.")
        differences = [plain_value(difference) for difference in context.compare_fingerprint(context.connection)]
        message = "The database equals the backup set."
        if differences:
            plural = "" if len(differences) == 1 else "s"
            message = f"The database differs from the backup set in {len(differences)} point{plural}."
        return Finding(not differences, 0, len(differences), message, differences[: context.sample])
