# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A read replica of RDS, its source, and the reasons against its promotion. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.sizes import counted
from .._replication.judge import Finding
from .api import name_of

#: The tag that shows of which source a promoted instance was a replica, because RDS forgets it.
SOURCE_TAG = "lifeline:promoted-from"
AVAILABLE, BACKING_UP = "available", "backing-up"
_REPLICATION = "read replication"
#: Properties that an application notices, and that a cross-region replica does not take from its source.
_COMPARED = (
    "DBInstanceClass",
    "EngineVersion",
    "MultiAZ",
    "StorageEncrypted",
    "IAMDatabaseAuthenticationEnabled",
    "PubliclyAccessible",
    "DeletionProtection",
)


@dataclass(frozen=True)
class Instance:
    """source: the identifier or the ARN of the source; None of a standalone instance. replication: its state, None
    without one. promoted_from: the value of the tag. document: as RDS returns it."""

    name: str
    arn: str
    engine: str
    status: str
    source: t.Optional[str]
    replication: t.Optional[str]
    promoted_from: t.Optional[str]
    retention_days: int
    endpoint: t.Optional[str]
    document: t.Mapping[str, t.Any]

    @property
    def is_detached(self) -> bool:
        """RDS clears the source and the state of the replication at different times."""
        return self.source is None and self.replication is None


def read_instance(document: t.Mapping[str, t.Any]) -> Instance:
    infos = [one for one in document.get("StatusInfos") or () if one.get("StatusType") == _REPLICATION]
    tags = {one["Key"]: one.get("Value") for one in document.get("TagList") or ()}
    return Instance(
        name=str(document["DBInstanceIdentifier"]),
        arn=str(document.get("DBInstanceArn", "")),
        engine=str(document.get("Engine", "")),
        status=str(document.get("DBInstanceStatus", "")),
        source=document.get("ReadReplicaSourceDBInstanceIdentifier")
        or document.get("ReadReplicaSourceDBClusterIdentifier"),
        replication=str(infos[0].get("Status", "")) if infos else None,
        promoted_from=tags.get(SOURCE_TAG),
        retention_days=int(document.get("BackupRetentionPeriod") or 0),
        endpoint=(document.get("Endpoint") or {}).get("Address"),
        document=document,
    )


def is_same_source(given: t.Optional[str], expected: str, replica_arn: str) -> bool:
    """Whether a source is the expected ARN. RDS returns an identifier if source and replica are in one region."""
    if given is None or given == expected:
        return given is not None
    own = replica_arn.rsplit(":db:", 1)[0]
    return given == name_of(expected) and expected == f"{own}:db:{given}"


def judge_replica(instance: Instance) -> t.Iterator[Finding]:
    """Findings about a replica that is promoted."""
    if instance.engine != "postgres":
        yield Finding(
            f"Its engine is {instance.engine}, not postgres; Aurora has `kind: aurora_switchover`.", blocks=True
        )
    if instance.status == BACKING_UP:
        yield Finding("A backup of it runs, and RDS does not promote until the backup ends.", blocks=True)
    elif instance.status != AVAILABLE:
        yield Finding(f"Its state is {instance.status}, not available.", blocks=True)
    if instance.replication not in (None, "replicating"):
        yield Finding(f"The state of its replication is {instance.replication!r}, not replicating.")
    pending = sorted(instance.document.get("PendingModifiedValues") or {})
    if pending:
        yield Finding(f"The reboot of the promotion applies pending changes: {', '.join(pending)}.")
    other = list(instance.document.get("ReadReplicaDBInstanceIdentifiers") or ())
    if other:
        yield Finding(f"{counted(len(other), 'replica')} of it follow it after the promotion: {', '.join(other)}.")


def judge_difference(replica: Instance, source: Instance) -> t.Iterator[Finding]:
    """Differences from the source, of which applications or operators notice some only after the promotion."""
    for name in _COMPARED:
        ours, theirs = replica.document.get(name), source.document.get(name)
        if ours != theirs:
            yield Finding(f"{name} is {ours}, of the source {theirs}.")
    for name, key, label in (
        ("parameter group", "DBParameterGroups", "DBParameterGroupName"),
        ("option group", "OptionGroupMemberships", "OptionGroupName"),
    ):
        ours, theirs = (_names(one, key, label) for one in (replica, source))
        if ours != theirs:
            yield Finding(f"The {name} is {', '.join(ours) or 'none'}, of the source {', '.join(theirs) or 'none'}.")
    ours, theirs = (_names(one, "VpcSecurityGroups", "VpcSecurityGroupId") for one in (replica, source))
    if ours != theirs:
        yield Finding(
            f"The security groups are {', '.join(ours) or 'none'}, of the source {', '.join(theirs) or 'none'}; "
            "compare their rules."
        )
    replicas = source.document.get("ReadReplicaDBInstanceIdentifiers") or ()
    others = [name for name in replicas if name not in (replica.name, replica.arn)]
    if others:
        yield Finding(f"Other replicas continue to follow the old source: {', '.join(others)}.")


def _names(instance: Instance, key: str, label: str) -> t.List[str]:
    return sorted(str(one.get(label)) for one in instance.document.get(key) or ())
