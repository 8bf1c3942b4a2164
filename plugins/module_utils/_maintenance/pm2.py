# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications of pm2, the process manager of Node.js. Its list of processes holds the environment of each, and so
secrets: nothing but names, numbers and states is taken from it.
"""

from __future__ import annotations

import json
import pwd
import typing as t
from dataclasses import dataclass

from .._core.errors import ErrorKind, RecoveryError
from .._core.options import FilePath
from .._core.sizes import counted
from .means import Before, Means, run_program


@dataclass(frozen=True)
class Pm2Options:
    """apps: names. user: their user. home: the folder of pm2. save: keep the state for the next start of the host."""

    apps: t.Tuple[str, ...]
    user: t.Optional[str] = None
    home: t.Optional[FilePath] = None
    program: str = "pm2"
    save: bool = False

    def require_valid(self) -> None:
        """Raise RecoveryError(invalid_options)."""
        if not self.apps:
            raise RecoveryError(ErrorKind.INVALID_OPTIONS, "`pm2.apps` must name at least one application, got none.")
        if self.user is not None:
            try:
                pwd.getpwnam(self.user)
            except KeyError:
                raise RecoveryError(
                    ErrorKind.INVALID_OPTIONS, f"`pm2.user` must be a user of this host, got {self.user!r}."
                ) from None


class Process(t.NamedTuple):
    """A process of an application; number is that of pm2."""

    app: str
    namespace: str
    number: int
    online: bool


class Pm2(Means):
    kind = "pm2"

    def __init__(self, options: Pm2Options, timeout: float) -> None:
        options.require_valid()
        self._options, self._timeout = options, timeout

    def read(self) -> Before:
        listed = self._of_options()
        return {"online": {app: sum(one.online for one in listed if one.app == app) for app in self._options.apps}}

    def why_not_begun(self) -> str:
        online = sorted({one.app for one in self._of_options() if one.online})
        return f"{', '.join(online)} of pm2 {'runs' if len(online) == 1 else 'run'}" if online else ""

    def begin(self, before: Before) -> None:
        self._each("stop", [one for one in self._of_options() if one.online])

    def why_not_ended(self, before: Before) -> str:
        listed = self._list()
        for app, number in before["online"].items():
            online = sum(one.online for one in listed if one.app == app)
            if online < number:
                return f"{counted(online, 'process')} of {number} of {app} run in pm2"
        return ""

    def end(self, before: Before) -> None:
        listed = self._list()
        waiting: t.List[Process] = []
        for app, number in before["online"].items():
            missing = number - sum(one.online for one in listed if one.app == app)
            waiting += [one for one in listed if one.app == app and not one.online][: max(missing, 0)]
        self._each("start", waiting)

    def _each(self, verb: str, processes: t.Sequence[Process]) -> None:
        """By the numbers of pm2, because C(all) can be the name of an application. A name precedes a number in pm2."""
        if not processes:
            return
        numbers = {str(one.number): one.app for one in processes}
        for name in sorted({name for one in self._list() for name in (one.app, one.namespace)}.intersection(numbers)):
            raise RecoveryError(
                ErrorKind.CONFLICT,
                f"pm2 has an application or a namespace {name!r}, which is also the number of a process of "
                f"{numbers[name]}, so that pm2 would {verb} the wrong one.",
                next_step="Rename it.",
            )
        self._run(verb, *numbers)
        if self._options.save:
            self._run("save", "--force")

    def _of_options(self) -> t.List[Process]:
        """The processes of the applications of the options. Raises RecoveryError(object_missing)."""
        listed = self._list()
        known = {one.app for one in listed}
        for app in self._options.apps:
            if app not in known:
                raise RecoveryError(
                    ErrorKind.OBJECT_MISSING,
                    f"`pm2.apps` must be applications of pm2, got {app!r}; pm2 has "
                    f"{', '.join(sorted(known)) or 'no application'}.",
                    next_step="Check the name, and `pm2.user` and `pm2.home`: each user has a pm2 of their own.",
                )
        return [one for one in listed if one.app in self._options.apps]

    def _list(self) -> t.List[Process]:
        lines = self._run("jlist").strip().splitlines()
        try:
            # The first start of pm2 prints its banner before the list.
            document = json.loads(lines[-1])
            return [_process(one["name"], one["pm_id"], one["pm2_env"]) for one in document]
        except (IndexError, KeyError, TypeError, ValueError):
            raise RecoveryError(
                ErrorKind.SERVICE_FAILED, "The list of pm2 is not as pm2 documents it.", next_step="Update pm2."
            ) from None

    def _run(self, *arguments: str) -> str:
        options = self._options
        environment = {"PM2_HOME": options.home} if options.home else {}
        if options.user is not None:
            environment["HOME"] = pwd.getpwnam(options.user).pw_dir
        _code, output = run_program(
            [options.program, *arguments], timeout=self._timeout, user=options.user, environment=environment
        )
        return output


def _process(name: t.Any, number: t.Any, facts: t.Mapping[str, t.Any]) -> Process:
    online = facts["status"] not in ("stopped", "errored")
    return Process(str(name), str(facts.get("namespace", "default")), int(number), online)
