# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gauges as text, for node_exporter's textfile collector and for readers of OpenMetrics.

Samples have no timestamps, which the collector refuses (https://github.com/prometheus/node_exporter#textfile-collector).
"""

from __future__ import annotations

import typing as t

Labels = t.Mapping[str, str]
Samples = t.Iterable[t.Tuple[Labels, float]]

#: For the collector this is a comment; OpenMetrics wants it at the end.
END = "# EOF"


def gauge(name: str, text: str, samples: t.Sequence[t.Tuple[Labels, float]]) -> t.Iterator[str]:
    """The lines of one metric; none without samples."""
    if not samples:
        return
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{pairs}}} {value:.3f}" if value != int(value) else f"{name}{{{pairs}}} {int(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", " ").replace("\0", "")
