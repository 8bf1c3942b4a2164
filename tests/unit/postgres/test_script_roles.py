# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owners and grants of a script can be left out, and every role that the rest names is known."""

from __future__ import annotations

import pytest

from ansible_collections.lifeline.recovery.plugins.module_utils._core.errors import RecoveryError
from ansible_collections.lifeline.recovery.plugins.module_utils._engines.postgresql.foreign.script import (
    GuardedScript,
    inspect_script,
)

OWNERS = (
    ("ALTER TABLE public.t OWNER TO app;", {"app"}),
    ('ALTER FUNCTION public.f(a integer, b text) OWNER TO "App; ""x""";', {'App; "x"'}),
    ("ALTER LARGE OBJECT 7 OWNER TO app;", {"app"}),
    ("ALTER TABLE public.t OWNER TO CURRENT_USER;", set()),
    ("SET SESSION AUTHORIZATION 'app';", {"app"}),
    ("SET SESSION AUTHORIZATION DEFAULT;", set()),
    ("RESET SESSION AUTHORIZATION;", set()),
    ("SET ROLE app;", {"app"}),
)
GRANTS = (
    ("GRANT SELECT ON TABLE public.t TO reader, PUBLIC, \"Other One\" WITH GRANT OPTION;", {"reader", "Other One"}),
    ("GRANT ALL ON FUNCTION public.f(text, integer) TO GROUP reader GRANTED BY app;", {"reader", "app"}),
    ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", set()),
    ("REVOKE GRANT OPTION FOR SELECT ON TABLE public.t FROM reader CASCADE;", {"reader"}),
    ("ALTER DEFAULT PRIVILEGES FOR ROLE app, boss GRANT SELECT ON TABLES TO reader;", {"app", "boss", "reader"}),
)  # fmt: skip
ALWAYS = (
    ("CREATE SCHEMA s AUTHORIZATION app;", {"app"}),
    ("CREATE POLICY p ON public.t FOR SELECT TO reader, writer USING ((id > 1));", {"reader", "writer"}),
    ("CREATE USER MAPPING FOR reader SERVER far OPTIONS (user 'TO x');", {"reader"}),
    ("ALTER POLICY p ON public.t RENAME TO other;", set()),
    ("ALTER TABLE public.t RENAME TO owner;", set()),
    ("CREATE TABLE public.t (owner text DEFAULT 'OWNER TO app');", set()),
    ("COMMENT ON TABLE public.t IS 'GRANT x TO y';", set()),
)


def kept(sql: str, **options: bool) -> list[str]:
    return [statement.text.decode() for statement in GuardedScript([sql.encode()], **options)]


@pytest.mark.parametrize(("sql", "roles"), [*OWNERS, *GRANTS, *ALWAYS])
def test_roles_that_must_exist_are_known(sql: str, roles: set[str]) -> None:
    assert inspect_script([sql.encode()]).roles == roles


@pytest.mark.parametrize(("owner", "privileges"), [(True, True), (False, True), (True, False), (False, False)])
def test_owners_and_grants_are_left_out_by_their_options(owner: bool, privileges: bool) -> None:
    wanted = [*(OWNERS if owner else ()), *(GRANTS if privileges else ()), *ALWAYS]
    text = "\n".join(sql for sql, _roles in (*OWNERS, *GRANTS, *ALWAYS))
    assert sorted(kept(text, owner=owner, privileges=privileges)) == sorted(sql.rstrip(";") for sql, _roles in wanted)
    facts = inspect_script([text.encode()], owner=owner, privileges=privileges)
    assert facts.roles == {role for _sql, roles in wanted for role in roles}
    assert set(facts.owners) == ({"app", 'App; "x"'} if owner else set())


def test_an_owner_among_other_changes_is_refused_without_owners() -> None:
    sql = "ALTER TABLE public.t OWNER TO app, ADD COLUMN x int;"
    assert inspect_script([sql.encode()]).owners == {"app": "line 1, ALTER TABLE PUBLIC . T OWNER TO"}
    with pytest.raises(RecoveryError) as caught:
        inspect_script([sql.encode()], owner=False)
    assert "`owner` is false" in caught.value.what
