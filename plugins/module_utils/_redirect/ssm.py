# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A parameter of AWS Systems Manager. Its type, its key and its tier stay.

SSM has no compare-and-set: the version after the write shows whether another client wrote between. A Type in the
request would be refused or change the type, and a SecureString without its key goes to the default key:
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._core.errors import Applied, ErrorKind, RecoveryError
from .._core.options import FAMILY
from .aws import Aws, AwsLogin, AwsRefusal, refused
from .way import Answer, Look, State, Way, changed_meanwhile


@dataclass(frozen=True)
class SsmOptions:
    """name: of the parameter."""

    name: str
    login: AwsLogin = field(default=AwsLogin(), metadata=FAMILY)


class Ssm(Way):
    kind = "ssm"
    #: Until the type of the parameter is known.
    hides = True

    def __init__(self, options: SsmOptions, timeout: float) -> None:
        self._options = options
        self._aws = Aws("ssm", options.login, timeout)

    @property
    def target(self) -> str:
        return f"the parameter {self._options.name}"

    def read(self) -> State:
        found = self._parameter()
        self.hides = found["Type"] != "String"
        return State(found["Value"], {"type": found["Type"], "version": found["Version"]})

    def write(self, state: State, value: str) -> None:
        kept = self._kept(state.facts["type"])
        if self._parameter()["Version"] != state.facts["version"]:
            raise changed_meanwhile(self.target)
        try:
            answer = self._aws.call("put_parameter", Name=self._options.name, Value=value, Overwrite=True, **kept)
            written = answer["Version"]
        except AwsRefusal as error:
            raise refused("SSM", self.target, error) from None
        except RecoveryError as error:
            if error.applied != Applied.UNKNOWN:
                raise
            found = self._parameter()
            written = found["Version"]
            if found["Value"] != value:
                raise error.restated(left="The parameter had the value before when it was read again.") from None
        if written != state.facts["version"] + 1:
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"Another client wrote {self.target} during this run: the version before was "
                f"{state.facts['version']}, and this run wrote the version {written}.",
                left="The parameter has the new value.",
                next_step="Read the versions between, and find out who writes them.",
                applied=Applied.YES,
            )

    def look(self, value: str) -> Look:
        found = self._parameter()
        answers = (Answer(f"version {found['Version']}", found["Value"]),)
        return Look(answers, "" if found["Value"] == value else f"its version {found['Version']} has another value")

    def _parameter(self) -> t.Dict[str, t.Any]:
        return t.cast(
            t.Dict[str, t.Any], self._call("get_parameter", Name=self._options.name, WithDecryption=True)["Parameter"]
        )

    def _kept(self, kind: str) -> t.Dict[str, t.Any]:
        """The properties that a new version would lose."""
        filters = [{"Key": "Name", "Option": "Equals", "Values": [self._options.name]}]
        described = self._call("describe_parameters", ParameterFilters=filters)["Parameters"]
        if len(described) != 1:
            raise RecoveryError(
                ErrorKind.ACCESS_DENIED,
                f"The role may not describe {self.target}, whose key and tier a new version must keep.",
                next_step="Grant the role ssm:DescribeParameters.",
            )
        (found,) = described
        kept = {name: found[name] for name in ("Description", "AllowedPattern") if found.get(name)}
        if kind == "SecureString":
            kept["KeyId"] = found["KeyId"]
        if found.get("Tier") == "Advanced":
            kept["Tier"] = "Advanced"
        if found.get("DataType", "text") != "text":
            kept["DataType"] = found["DataType"]
        return kept

    def _call(self, name: str, **arguments: t.Any) -> t.Dict[str, t.Any]:
        try:
            return self._aws.call(name, **arguments)
        except AwsRefusal as error:
            raise RecoveryError(ErrorKind.SERVICE_FAILED, f"SSM refused {name}: {error.code}.") from None
