# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket itself: whether it exists, the settings that a backup keeps of it, and its creation."""

from __future__ import annotations

import typing as t

from .._core.errors import ErrorKind, RecoveryError

Settings = t.Mapping[str, t.Any]

#: Errors of a service that does not have a setting, or of a key that may not read or write it.
_NOT_AVAILABLE = (ErrorKind.UNSUPPORTED, ErrorKind.ACCESS_DENIED, ErrorKind.OBJECT_MISSING, ErrorKind.STORE_FAILED)

#: The request that reads a setting, and the field of its answer.
_READ = {
    "cors": ("get_bucket_cors", "CORSRules"),
    "lifecycle_rules": ("get_bucket_lifecycle_configuration", "Rules"),
    "versioning": ("get_bucket_versioning", "Status"),
}


class Bucket:
    """call makes a request for the bucket, as a method of the client of boto3 that gets its arguments."""

    def __init__(self, call: t.Callable[..., t.Any], region: t.Optional[str]) -> None:
        self._call, self._region = call, region

    def exists(self) -> bool:
        try:
            self._call("head_bucket", "the bucket")
        except RecoveryError as error:
            if error.kind != ErrorKind.OBJECT_MISSING:
                raise
            return False
        return True

    def settings(self) -> t.Dict[str, t.Any]:
        """The rules for browsers (cors), the lifecycle rules and the versioning, as far as the service has them."""
        found = {}
        for name, (operation, field) in _READ.items():
            try:
                value = self._call(operation, f"the setting {name}").get(field)
            except RecoveryError as error:
                if error.kind not in _NOT_AVAILABLE:
                    raise
                continue
            if value:
                found[name] = value
        return found

    def create(self, settings: Settings, *, public: bool) -> t.List[str]:
        """Create the bucket with these settings; the names of those that the service refused.

        public: requests without credentials may read its objects.
        """
        arguments: t.Dict[str, t.Any] = {"ACL": "public-read"} if public else {}
        if self._region not in (None, "us-east-1", "auto"):
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        self._call("create_bucket", "the creation of the bucket", **arguments)
        refused = []
        for name, value in settings.items():
            try:
                operation, given = _written(name, value)
                self._call(operation, f"the setting {name}", **given)
            except RecoveryError as error:
                if error.kind not in _NOT_AVAILABLE:
                    raise
                refused.append(name)
        return refused


def _written(name: str, value: t.Any) -> t.Tuple[str, t.Dict[str, t.Any]]:
    """The request that writes a setting. Settings come from a manifest; other names are refused."""
    if name == "cors":
        return "put_bucket_cors", {"CORSConfiguration": {"CORSRules": value}}
    if name == "lifecycle_rules":
        return "put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": value}}
    if name == "versioning":
        return "put_bucket_versioning", {"VersioningConfiguration": {"Status": value}}
    raise RecoveryError(ErrorKind.UNSUPPORTED, f"The setting {name} of a bucket is not known.")
