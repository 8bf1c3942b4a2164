# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the whole collection: files that must agree with each other."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.support import roles
from tests.support.runner.server import ROOT

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
#: The role common has no argument specification, because only other roles include it.
ROLES = sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml"))
UTILITIES = sorted((ROOT / "plugins/module_utils").rglob("*.py"))
#: The dotted name of a test module, absolute or relative. Shared helpers belong to tests/support.
TEST_MODULE = re.compile(r"(^|\.)(test_\w+|conftest)(\.|$)")
#: A package imports only from those before it.
LAYERS = [
    "_core",
    "_pages",
    "_notify",
    "_providers",
    "_plan",
    "_store",
    "_repository",
    "_maintenance",
    "_git",
    "_release",
    "_supabase",
    "_engines.bucket",
    "_engines.sqlite",
    "_engines.sqlite.restore_rows",
    "_engines.d1",
    "_engines.postgresql.server",
    "_engines.postgresql.archive",
    "_engines.postgresql.foreign",
    "_engines.postgresql.neutral",
    "_engines.postgresql.backup",
    "_engines.postgresql.restore",
    "_engines.postgresql.restore_rows",
    "_engines.postgresql.repair",
    "_engines.postgresql.writes",
    "_engines",
    "_replication",
    "_pitr",
    "_integrity",
    "_documents",
    "_media",
    "_migrations",
    "_operations",
    "_failover",
    "_redirect",
    "_patroni",
    "_rds",
    "_sandbox",
    "_drill",
    "_status",
    "_ansible",
]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


#: Families of options: the documentation fragment, and options that only modules of the family have, by action group.
FAMILIES = {
    "confirmation": ("_confirmation", {"recovery_environment", "recovery_confirm"}),
    "d1": ("_d1", {"account_id", "api_timeout", "database"}),
    "files": ("_files", {"files"}),
    "patroni": ("_patroni", {"endpoints", "cafile"}),
    "pgbackrest": ("_pgbackrest", {"stanza", "repository", "pgbackrest"}),
    "postgresql": ("_postgres", {"dsn", "login_host", "stall_timeout"}),
    "store": ("_store", {"store"}),
    "supabase": ("_supabase", {"project_ref", "access_token"}),
}


def options_of(module: str) -> t.Dict[str, t.Any]:
    """The argument spec of a module."""
    package = "ansible_collections.lifeline.recovery.plugins.modules"
    return importlib.import_module(f"{package}.{module}").SPEC.options  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_action_group_of_a_family_has_the_modules_that_take_its_options(family: str) -> None:
    fragment, options = FAMILIES[family]
    sources = {module: read(f"plugins/modules/{module}.py") for module in MODULES}
    documented = [module for module, text in sources.items() if f"  - lifeline.recovery.{fragment}\n" in text]
    taken = [module for module in MODULES if options <= set(options_of(module))]
    assert yaml.safe_load(read("meta/runtime.yml"))["action_groups"][family] == documented == taken


#: Functions that read the options of a family.
READERS = {
    "postgres_spec": (
        r"\b(connection_options|maintenance_options|check_target|layout_of|restore_request|repair_request"
        r"|media_restore_request|migrations_request|status_request|pitr(_info)?_request|probe_logins)\b"
    ),
    "store_spec": r"\b(opened_store|readable_store|audit_store|checked_locations|check_recorder|status_request)\b",
    "files_spec": (
        r"\b(opened_files|optional_files|layout_of|prune_request|restore_request|media_restore_request|status_request)\b"
    ),
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_takes_only_families_of_options_that_it_reads(module: str) -> None:
    source = read(f"plugins/modules/{module}.py")
    for spec, readers in READERS.items():
        assert f"{spec}()" not in source or re.search(readers, source), spec


def documented_options(source: str) -> t.Iterator[tuple[str, str]]:
    """The name and the description of each option in the documentation of a module or in the parts of a fragment."""
    for block in re.findall(r"^(?:    )?[A-Z]+ = r\"\"\"\n(.*?)\"\"\"", source, re.DOTALL | re.MULTILINE):
        document = yaml.safe_load(block) if re.search("^options:", block, re.MULTILINE) else {}
        for name, option in document["options"].items() if document else ():
            yield name, str(option["description"])


def test_an_option_of_two_modules_is_documented_in_a_fragment() -> None:
    files = [*(ROOT / "plugins/modules").glob("*.py"), *(ROOT / "plugins/doc_fragments").glob("*.py")]
    positions: dict[tuple[str, str], list[str]] = {}
    for path in files:
        for option in documented_options(path.read_text(encoding="utf-8")):
            positions.setdefault(option, []).append(path.stem)
    assert {name: found for (name, _text), found in positions.items() if len(found) > 1} == {}


def test_every_dependency_is_used() -> None:
    files = [path for folder in ("playbooks", "plugins", "roles") for path in (ROOT / folder).rglob("*")]
    texts = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix in (".yml", ".yaml", ".j2"))
    dependencies = yaml.safe_load(read("galaxy.yml"))["dependencies"]
    assert [name for name in dependencies if f" {name}." not in texts] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_three_examples(module: str) -> None:
    source = read(f"plugins/modules/{module}.py")
    assert "lifeline.recovery._attributes" in source
    examples = re.search(r'EXAMPLES = r"""\n(.*?)"""', source, re.DOTALL)
    assert examples is not None
    tasks = yaml.safe_load(examples.group(1))
    assert len(tasks) >= 3
    assert all(f"lifeline.recovery.{module}" in task for task in tasks)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_documents_what_it_takes(role: str) -> None:
    specification = roles.options_of(role)
    defaults = yaml.safe_load(read(f"roles/{role}/defaults/main.yml"))
    assert list(specification) == list(defaults)
    # A default in the specification is printed when another argument is wrong, and these hold secrets.
    kinds = ("connection", "store", "files", "channels", "sources", "bucket_locks", "repository", "cipher_pass")
    kinds = (*kinds, "courses", "media", "steps", "git", "edge_functions", "frontend_hosting")
    kinds = (*kinds, "sites", "poolers", "redirects", "client_connection")
    secret = {f"{role}_{kind}" for kind in (*kinds, "check_files", "check_secrets", "secrets")}
    assert [name for name in secret if "default" in specification.get(name, {})] == []
    plain = {name: option["default"] for name, option in specification.items() if name not in secret}
    assert plain == {name: value for name, value in defaults.items() if name not in secret}
    assert all(name.startswith(f"{role}_") for name in defaults)


@pytest.mark.parametrize("role", ROLES)
def test_readme_of_a_role_has_an_example_playbook(role: str) -> None:
    name = f"lifeline.recovery.{role}"
    options = roles.options_of(role)
    blocks = re.findall(r"```yaml\n(.*?)```", read(f"roles/{role}/README.md"), re.DOTALL)
    plays = [play for block in blocks for play in yaml.safe_load(block) if "hosts" in play]
    used = [(use["role"], use["vars"]) for play in plays for use in play.get("roles", [])]
    tasks = [task for play in plays for task in play.get("tasks", [])]
    used += [(task["ansible.builtin.include_role"]["name"], task["vars"]) for task in tasks]
    variables = [given.keys() for role_used, given in used if role_used == name]
    assert variables, "no example play runs the role"
    assert [given - options.keys() for given in variables] == [set()] * len(variables)


#: Roles that change no source and no cluster. Other roles notify channels of their start and their result.
SILENT = {"backup_host", "monitoring", "notify", "sandbox", "sets", "status"}


@pytest.mark.parametrize(
    ("role", "entry_point"),
    [(role, name) for role in ROLES if role not in SILENT for name in roles.entry_points_of(role)],
)
def test_an_operation_runs_within_the_role_common(role: str, entry_point: str) -> None:
    (task,) = yaml.safe_load(read(f"roles/{role}/tasks/{entry_point}.yml"))
    assert task["ansible.builtin.include_role"] == {"name": "lifeline.recovery.common"}
    assert "common_event" in task["vars"]


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_is_in_the_readme(playbook: str) -> None:
    assert f"`{playbook}`" in read("README.md")


def test_every_role_is_reached_from_a_playbook() -> None:
    texts = "".join(path.read_text() for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml"))
    # The file tasks/sources.yml runs the role of the playbook's name.
    reached = {role for role in ROLES if f"lifeline.recovery.{role}" in texts or f"_playbook: {role}\n" in texts}
    assert set(ROLES) - reached == set()


def layer_of(module: str) -> int:
    """The position of the package that the module of module_utils belongs to."""
    found = [layer for layer in LAYERS if f"{module}.".startswith(f"{layer}.")]
    assert found, f"{module} is in no layer"
    return LAYERS.index(max(found, key=len))


@pytest.mark.parametrize("path", UTILITIES, ids=lambda path: "/".join(path.parts[-2:]))
def test_packages_import_only_downward(path: Path) -> None:
    parts = path.relative_to(ROOT / "plugins/module_utils").with_suffix("").parts
    if path.name == "__init__.py":
        return
    own = layer_of(".".join(parts))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = [*parts[: len(parts) - node.level], *([node.module] if node.module else [])]
            for alias in node.names:
                other = layer_of(".".join(above if node.module else [*above, alias.name]))
                assert other <= own, f"{'.'.join(parts)} imports {LAYERS[other]}"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert LAYERS[own] == "_ansible" or not any(name.split(".")[0] == "ansible" for name in names)


def test_test_modules_do_not_import_test_modules() -> None:
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [f"{path.relative_to(ROOT)} imports {name}" for name in names if TEST_MODULE.search(name)]
    assert found == []


def test_only_the_driver_imports_psycopg2() -> None:
    guard = re.compile(r"^ *(import|from) psycopg2", re.MULTILINE)
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "plugins").rglob("*.py") if guard.search(path.read_text())]
    assert found == ["plugins/module_utils/_engines/postgresql/server/driver.py"]


def test_init_files_are_empty() -> None:
    assert [path for path in UTILITIES if path.name == "__init__.py" and path.stat().st_size] == []


def test_the_version_is_one() -> None:
    from ansible_collections.lifeline.recovery.plugins.module_utils._core.version import VERSION

    assert yaml.safe_load(read("galaxy.yml"))["version"] == VERSION


def test_there_is_no_sanity_ignore_file() -> None:
    assert list((ROOT / "tests").rglob("ignore-*.txt")) == []


def test_the_built_collection_works_without_the_repository(tmp_path: Path) -> None:
    tools = Path(sys.executable).parent
    subprocess.run(
        [str(tools / "ansible-galaxy"), "collection", "build", str(ROOT), "--output-path", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    target = tmp_path / "tree/ansible_collections/lifeline/recovery"
    target.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        packed.extractall(target)
    assert {name.split("/")[0] for name in names} & {"tests", "inventories", "Makefile", ".cache", "reports"} == set()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "tree")}
    listed = subprocess.run(
        [str(tools / "ansible-doc"), "--list", "--json", "lifeline.recovery"],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert [name for name in MODULES if f"lifeline.recovery.{name}" not in listed.stdout] == []
    for playbook in PLAYBOOKS:
        name = f"lifeline.recovery.{playbook.removesuffix('.yml')}"
        subprocess.run(
            [str(tools / "ansible-playbook"), "--syntax-check", "-i", "localhost,", name],
            check=True, capture_output=True, env=environment,
        )  # fmt: skip


@pytest.mark.parametrize("scenario", sorted(path.parent.name for path in (ROOT / "molecule").glob("*/converge.yml")))
def test_a_scenario_of_molecule_keeps_its_files_apart(scenario: str) -> None:
    """All scenarios run in the same containers, one after another."""
    files = [path for path in (ROOT / "molecule" / scenario).rglob("*") if path.suffix in (".yml", ".py")]
    used = {name for path in files for name in re.findall(r"/srv/(\w+)", path.read_text(encoding="utf-8"))}
    assert used <= {"s3", scenario}
