# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gauges as text, for node_exporter's textfile collector and for readers of OpenMetrics.

Samples have no timestamps, which the collector refuses (https://github.com/prometheus/node_exporter#textfile-collector).
"""

from __future__ import annotations

import os
import typing as t

from .errors import ErrorKind, RecoveryError
from .files import replace_file

Labels = t.Mapping[str, str]
Samples = t.Iterable[t.Tuple[Labels, float]]

#: For the collector this is a comment; OpenMetrics wants it at the end.
END = "# EOF"

#: The collector of metrics runs as a user of its own.
_MODE = 0o644


def gauge(name: str, text: str, samples: t.Sequence[t.Tuple[Labels, float]]) -> t.Iterator[str]:
    """The lines of one metric; none without samples."""
    if not samples:
        return
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        series = f"{name}{{{pairs}}}" if pairs else name
        yield f"{series} {value:.3f}" if value != int(value) else f"{series} {int(value)}"


def write_metrics(path: str, text: str) -> None:
    """Replace a file of the collector in one step. Raises RecoveryError(report_failed)."""
    try:
        replace_file(path, text, _MODE)
    except OSError as error:
        raise RecoveryError(
            ErrorKind.REPORT_FAILED,
            f"{path} cannot be written: {error.strerror}.",
            left="The metrics are unchanged.",
            next_step=f"Make the folder {os.path.dirname(path)}, and let this user write it.",
        ) from error


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ").replace("\0", "")
