# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of the APIs of Amazon RDS and CloudWatch that a promotion uses, as a state machine for all regions.

moto promotes any instance immediately; here the states change with each look, and the fields at different times, as
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_PromoteReadReplica.html describes. Durations, networks,
parameter groups and keys have no effect.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

ACCOUNT = "111122223333"
HOME, AWAY = "eu-west-1", "eu-central-1"
SOURCE_ARN = f"arn:aws:rds:{HOME}:{ACCOUNT}:db:school"
REPLICA_ARN = f"arn:aws:rds:{AWAY}:{ACCOUNT}:db:school-replica"
WRITER_ARN = f"arn:aws:rds:{HOME}:{ACCOUNT}:cluster:school"
READER_ARN = f"arn:aws:rds:{AWAY}:{ACCOUNT}:cluster:school-2"
_REPLICATING = [{"StatusType": "read replication", "Status": "replicating", "Normal": "true"}]

#: The changes that successive looks show after a promotion was accepted.
_PROMOTION: t.Sequence[dict[str, t.Any]] = (
    {},
    {"DBInstanceStatus": "modifying"},
    {"ReadReplicaSourceDBInstanceIdentifier": None},
    {"DBInstanceStatus": "rebooting"},
    {"DBInstanceStatus": "available"},
    # Longer than a run waits after the end.
    *({} for _look in range(10)),
    {"StatusInfos": None},
)
#: The same after a move of the writer of a global database.
_MOVE = ("available", "switching-over", "switching-over", "available")


def instance(arn: str, **fields: t.Any) -> dict[str, t.Any]:
    name = arn.rsplit(":", 1)[1]
    return {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": arn,
        "DBInstanceClass": "db.t4g.medium",
        "Engine": "postgres",
        "EngineVersion": "15.8",
        "DBInstanceStatus": "available",
        "BackupRetentionPeriod": 7,
        "MultiAZ": "true",
        "StorageEncrypted": "true",
        "Endpoint": {"Address": f"{name}.example.test", "Port": 5432},
        "DBParameterGroups": [{"DBParameterGroupName": "school"}],
        "OptionGroupMemberships": [{"OptionGroupName": "default:postgres-15"}],
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-home", "Status": "active"}],
        **fields,
    }


def _source() -> dict[str, t.Any]:
    return instance(SOURCE_ARN, ReadReplicaDBInstanceIdentifiers=[REPLICA_ARN])


def _replica() -> dict[str, t.Any]:
    return instance(
        REPLICA_ARN,
        ReadReplicaSourceDBInstanceIdentifier=SOURCE_ARN,
        StatusInfos=_REPLICATING,
        BackupRetentionPeriod=0,
        MultiAZ="false",
        DBParameterGroups=[{"DBParameterGroupName": "default.postgres15"}],
        VpcSecurityGroups=[{"VpcSecurityGroupId": "sg-default", "Status": "active"}],
    )


@dataclass
class FakeRds:
    """instances: by ARN. lag: seconds of ReplicaLag, measured lag_age seconds ago; None for no value.

    failures: InternalFailure of the next calls by action, C(before) or C(after) the change. calls: those that change.
    unknown: actions that the fake does not have, which a test must find empty.
    """

    url: str = ""
    instances: dict[str, dict[str, t.Any]] = field(
        default_factory=lambda: {SOURCE_ARN: _source(), REPLICA_ARN: _replica()}
    )
    writer: str = WRITER_ARN
    synchronization: str = "connected"
    lag: float | None = 0.0
    lag_age: float = 0
    failures: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    _steps: list[dict[str, t.Any]] = field(default_factory=list)
    _moves: list[str] = field(default_factory=list)
    _coming: str = ""
    _changes: dict[str, list[dict[str, t.Any]]] = field(default_factory=dict)

    @property
    def actions(self) -> list[str]:
        """The names of the calls that change something, in order."""
        return [action for action, _region, _given in self.calls]

    def handle(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        action = given.pop("Action")
        given.pop("Version", None)
        method = getattr(self, f"do_{action}", None)
        if method is None:
            self.unknown.append(action)
            return _error(400, "InvalidAction", action)
        if not action.startswith("Describe"):
            self.calls.append((action, region, given))
        failure = self.failures.pop(action, None)
        if failure == "before":
            return _error(500, "InternalFailure", "An internal error occurred")
        answer: tuple[int, str] = method(region, given)
        return _error(500, "InternalFailure", "An internal error occurred") if failure == "after" else answer

    def do_DescribeDBInstances(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:db:{given['DBInstanceIdentifier']}"
        found = self.instances.get(arn)
        if found is None:
            return _error(404, "DBInstanceNotFound", f"DBInstance {given['DBInstanceIdentifier']} not found.")
        if self._changes.get(arn):
            found.update(self._changes[arn].pop(0))
        if arn == REPLICA_ARN and self._steps:
            found.update(self._steps.pop(0))
        shown = {name: value for name, value in found.items() if value is not None}
        return _result("DescribeDBInstances", {"DBInstances": _List("DBInstance", [shown])})

    def do_AddTagsToResource(self, _region: str, given: dict[str, str]) -> tuple[int, str]:
        tag = {"Key": given["Tags.Tag.1.Key"], "Value": given["Tags.Tag.1.Value"]}
        found = self.instances[given["ResourceName"]]
        found["TagList"] = [one for one in found.get("TagList") or [] if one["Key"] != tag["Key"]] + [tag]
        return _result("AddTagsToResource", {})

    def do_RemoveTagsFromResource(self, _region: str, given: dict[str, str]) -> tuple[int, str]:
        keys = {value for name, value in given.items() if name.startswith("TagKeys.")}
        found = self.instances[given["ResourceName"]]
        found["TagList"] = [one for one in found.get("TagList") or [] if one["Key"] not in keys]
        return _result("RemoveTagsFromResource", {})

    def do_ModifyDBInstance(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:db:{given['DBInstanceIdentifier']}"
        wanted = [value for name, value in given.items() if name.startswith("VpcSecurityGroupIds.")]
        groups = [{"VpcSecurityGroupId": one, "Status": "active"} for one in wanted]
        # The group that is removed is listed until it is not in effect.
        removing = [{**one, "Status": "removing"} for one in self.instances[arn]["VpcSecurityGroups"]]
        self._changes[arn] = [{"VpcSecurityGroups": groups + removing}, {"VpcSecurityGroups": groups}]
        return _result("ModifyDBInstance", {"DBInstance": {"DBInstanceIdentifier": given["DBInstanceIdentifier"]}})

    def do_RebootDBInstance(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:db:{given['DBInstanceIdentifier']}"
        self._changes[arn] = [{}, {"DBInstanceStatus": "rebooting"}, {}, {"DBInstanceStatus": "available"}]
        return _result("RebootDBInstance", {"DBInstance": {"DBInstanceIdentifier": given["DBInstanceIdentifier"]}})

    def do_PromoteReadReplica(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        found = self.instances[f"arn:aws:rds:{region}:{ACCOUNT}:db:{given['DBInstanceIdentifier']}"]
        if found.get("ReadReplicaSourceDBInstanceIdentifier") is None or self._steps:
            return _error(400, "InvalidDBInstanceState", "The specified instance is not a read replica.")
        if found["DBInstanceStatus"] != "available":
            return _error(400, "InvalidDBInstanceState", "DB instance is not in the available state.")
        # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_PromoteReadReplica.html: one day by default.
        found["BackupRetentionPeriod"] = int(given.get("BackupRetentionPeriod", "1"))
        self._steps = [dict(step) for step in _PROMOTION]
        return _result("PromoteReadReplica", {"DBInstance": {"DBInstanceIdentifier": found["DBInstanceIdentifier"]}})

    def do_DescribeGlobalClusters(self, _region: str, _given: dict[str, str]) -> tuple[int, str]:
        status = self._moves.pop(0) if self._moves else "available"
        moving: dict[str, t.Any] = {}
        if status != "available":
            moving = {"FailoverState": {"Status": "switching-over"}}
        elif not self._moves and self._coming:
            self.writer, self._coming = self._coming, ""
        members = [
            {
                "DBClusterArn": arn,
                "IsWriter": str(arn == self.writer).lower(),
                "SynchronizationStatus": self.synchronization,
            }
            for arn in (WRITER_ARN, READER_ARN)
        ]
        document = {"GlobalClusterIdentifier": "school-global", "Status": status, **moving}
        document["GlobalClusterMembers"] = _List("GlobalClusterMember", members)
        return _result("DescribeGlobalClusters", {"GlobalClusters": _List("GlobalClusterMember", [document])})

    def do_DescribeDBClusters(self, region: str, given: dict[str, str]) -> tuple[int, str]:
        name = given["DBClusterIdentifier"]
        document = {"DBClusterIdentifier": name, "Status": "available", "Endpoint": f"{name}.{region}.example.test"}
        return _result("DescribeDBClusters", {"DBClusters": _List("DBCluster", [document])})

    def do_SwitchoverGlobalCluster(self, _region: str, given: dict[str, str]) -> tuple[int, str]:
        self._moves, self._coming = list(_MOVE), given["TargetDbClusterIdentifier"]
        return _result("SwitchoverGlobalCluster", {})

    do_FailoverGlobalCluster = do_SwitchoverGlobalCluster

    def metric(self) -> dict[str, t.Any]:
        points = [] if self.lag is None else [{"Timestamp": time.time() - self.lag_age, "Maximum": self.lag}]
        return {"Label": "ReplicaLag", "Datapoints": points}


@contextlib.contextmanager
def fake_rds(**state: t.Any) -> t.Iterator[FakeRds]:
    fake = FakeRds(**state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
    assert fake.unknown == []


def _handler(fake: FakeRds) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: t.Any) -> None:
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if "X-Amz-Target" in self.headers:
                self._send(200, "application/x-amz-json-1.0", json.dumps(fake.metric()))
                return
            scope = re.search(r"Credential=[^/]+/[0-9]+/([a-z0-9-]+)/", self.headers["Authorization"])
            assert scope is not None
            status, text = fake.handle(scope.group(1), dict(urllib.parse.parse_qsl(body)))
            self._send(status, "text/xml", text)

        def _send(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


class _List:
    """A list with the name of its elements in XML."""

    def __init__(self, name: str, items: t.Sequence[t.Any]) -> None:
        self.name, self.items = name, items


#: The names of elements of lists, https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html
_ELEMENTS = {
    "DBParameterGroups": "DBParameterGroup",
    "OptionGroupMemberships": "OptionGroupMembership",
    "TagList": "Tag",
    "VpcSecurityGroups": "VpcSecurityGroupMembership",
    "StatusInfos": "DBInstanceStatusInfo",
    "ReadReplicaDBInstanceIdentifiers": "ReadReplicaDBInstanceIdentifier",
}


def _xml(name: str, value: t.Any) -> str:
    if isinstance(value, list):
        value = _List(_ELEMENTS[name], value)
    if isinstance(value, _List):
        inner = "".join(_xml(value.name, item) for item in value.items)
    elif isinstance(value, dict):
        inner = "".join(_xml(key, item) for key, item in value.items())
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def _result(action: str, document: dict[str, t.Any]) -> tuple[int, str]:
    inner = _xml(f"{action}Result", document) + "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
    return 200, f'<{action}Response xmlns="http://rds.amazonaws.com/doc/2014-10-31/">{inner}</{action}Response>'


def _error(status: int, code: str, message: str) -> tuple[int, str]:
    kind = "Receiver" if status >= 500 else "Sender"
    fault = _xml("Error", {"Type": kind, "Code": code, "Message": message})
    return status, f'<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">{fault}</ErrorResponse>'
