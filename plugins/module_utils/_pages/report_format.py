# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill as pages read it."""

from __future__ import annotations

import typing as t

from .phrases import HEADLINES

Report = t.Dict[str, t.Any]


class DataOrigin:
    """C(sample): the drill used generated data, which proves the procedure and no source."""

    SOURCE = "source"
    SAMPLE = "sample"

    ALL = (SOURCE, SAMPLE)


def origin_of(report: Report) -> str:
    """Where the rehearsed data came from; reports that do not have the key are of a source."""
    return str(report.get("data_origin", DataOrigin.SOURCE))


def headline(report: Report) -> str:
    """The verdict and what was rehearsed."""
    verdict, scenario = HEADLINES[report["verdict"]], report["scenario"]
    if origin_of(report) == DataOrigin.SAMPLE:
        return f"{verdict}: drill {scenario} over sample data, no rehearsal of {report['source']}"
    return f"{verdict}: drill {scenario} of {report['source']}"
