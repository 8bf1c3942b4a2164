# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def usable_channels(channels: t.Any, options: t.Sequence[str]) -> t.Any:
    """The channels without those that have an unknown option, which would disable all channels.

    The module reports other faults, so anything but a list is returned unchanged.
    """
    if not isinstance(channels, (list, tuple)):
        return channels
    return [channel for channel in channels if not _unknown(channel, options)]


def misspelt_channels(channels: t.Any, options: t.Sequence[str]) -> list[str]:
    """A sentence for each channel with an unknown option, without the value, which may be a secret."""
    return [
        f"The channel {channel.get('name', 'without a name')} has {', '.join(_unknown(channel, options))}, which is no"
        " option of a channel. The channel was not notified. Correct it, and run notify_test.yml."
        for channel in channels
        if _unknown(channel, options)
    ]


def _unknown(channel: t.Any, options: t.Sequence[str]) -> list[str]:
    return [str(key) for key in channel if key not in options] if isinstance(channel, t.Mapping) else []


class FilterModule:
    """Channels and their options."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"usable_channels": usable_channels, "misspelt_channels": misspelt_channels}
