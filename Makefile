# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
SCALE ?= 1.0
ROUNDS ?= 3
FILES ?= 100000
ROWS ?= 5000000
COURSES ?= 10000
VENV := .venv
BIN := $(VENV)/bin
TREE := .cache/collections
LINK := $(TREE)/ansible_collections/lifeline/recovery

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Tests import the collection as Ansible does, through the tree.
PYTEST = PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m pytest

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

.PHONY: drill
drill: $(VENV)/run ## rehearse a recovery in a sandbox, SCENARIO=database_loss, and name the report
	@echo "== drill $(or $(SCENARIO),database_loss): back up, lose, recover and prove"
	@PATH="$(CURDIR)/$(BIN):$$PATH" ansible-playbook -i inventories/sandbox lifeline.recovery.drill -e drill_scenario=$(or $(SCENARIO),database_loss) $(ARGS)
	@echo "The report: $$(cd reports/latest && pwd -P)/report.html"

.PHONY: test
test: $(VENV)/dev ## everything: gates, then all tests against real servers
	@tests/tools/stages.sh system 'containers&' lint sanity unit contract integration

.PHONY: system
system: ## install the system parts that tests use, where that is possible
	@tests/tools/system.sh

.PHONY: lint
lint: $(VENV)/dev ## ruff, mypy, yamllint, ansible-lint, plain English, changelog, licences
	$(BIN)/ruff check plugins tests molecule
	$(BIN)/ruff format --check plugins tests molecule
	cd $(TREE) && MYPYPATH=. "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/mypy.ini" --cache-dir "$(CURDIR)/.cache/mypy" ansible_collections/lifeline/recovery/plugins/module_utils ansible_collections/lifeline/recovery/plugins/modules
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint
	$(BIN)/python tests/tools/plain_english.py
	$(BIN)/antsibull-changelog lint
	$(BIN)/reuse lint --quiet || $(BIN)/reuse lint

.PHONY: sanity
sanity: $(VENV)/dev ## ansible-test sanity, without an ignore file
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/tools/sanity.sh $(ARGS)

.PHONY: unit
unit: $(VENV)/dev ## tests that need no server
	$(PYTEST) tests/unit -n 2 $(ARGS)

.PHONY: contract
contract: $(VENV)/dev ## the interface of every store and engine, against real servers
	$(PYTEST) tests/contract -n 2 $(ARGS)

.PHONY: integration
integration: $(VENV)/dev ## modules, roles and playbooks against real PostgreSQL and S3 servers
	$(PYTEST) tests/integration -n 2 --dist worksteal $(ARGS)

.PHONY: molecule
molecule: $(VENV)/dev ## every role in containers with systemd, or one: SCENARIO=backup
	@tests/tools/engine.sh tests/tools/molecule.sh $(SCENARIO)

.PHONY: containers
containers: $(VENV)/dev
	@tests/tools/engine.sh --optional tests/tools/molecule.sh

.PHONY: benchmark
benchmark: $(VENV)/dev ## time the collection and pg_dump, pg_restore, pgBackRest; SCALE=1.0 is about 1 GB
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m tests.benchmark.run --scale $(SCALE) --rounds $(ROUNDS) $(ARGS)

.PHONY: bucketbenchmark
bucketbenchmark: $(VENV)/dev ## time the backup of a bucket of small files and rclone; FILES=100000
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m tests.benchmark.buckets --files $(FILES) $(ARGS)

.PHONY: d1benchmark
d1benchmark: $(VENV)/dev ## time the backup and the restore of a database of D1 and wrangler; ROWS=5000000
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m tests.benchmark.d1 --rows $(ROWS) $(ARGS)

.PHONY: coursebenchmark
coursebenchmark: $(VENV)/dev ## time the rebuild of lost versions beside a shell loop of rclone and psql; COURSES=10000
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m tests.benchmark.courses --courses $(COURSES) $(ARGS)

.PHONY: generate
generate: $(VENV)/dev ## write the files that are generated from code: tables in README files, docs/recovery-plan.*
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/$(TREE)" $(BIN)/python -m tests.tools.generate

.PHONY: docs
docs: $(VENV)/run ## write the modules' documentation to .cache/docs
	@mkdir -p .cache/docs
	@for module in plugins/modules/*.py; do name=$$(basename $$module .py); \
	  $(BIN)/ansible-doc -t module lifeline.recovery.$$name > .cache/docs/$$name.txt || exit 1; echo ".cache/docs/$$name.txt"; done

.PHONY: clean
clean: ## remove what the targets made, but no report
	rm -rf .venv .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(LINK):
	@mkdir -p $(dir $(LINK))
	@ln -sfn ../../../.. $(LINK)

$(VENV)/run: requirements.txt | $(LINK)
	@tests/tools/venv.sh "$(PYTHON)" $(VENV) requirements.txt
	@touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt | $(LINK)
	@tests/tools/venv.sh "$(PYTHON)" $(VENV) requirements-dev.txt
	@touch $@ $(VENV)/run
