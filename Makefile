# `make help` lists everything. The work is done by tools/run, which finds a Python and makes the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export PYTHON

STACK_DIR ?= stacks/quickstart
STACK ?= dev
BIN := .venv/bin
WHICH := --dir "$(STACK_DIR)" --stack "$(STACK)"

.PHONY: help
help: ## list what there is
	@awk 'BEGIN {FS = ":.*## "} /^## / {print "\n" substr($$0, 4)} /^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$", $$2); printf "  make %-14s %s\n", $$1, $$2}' Makefile

## Run a stack (STACK_DIR=stacks/quickstart STACK=dev)
.PHONY: up preview refresh status down shell
up: ## bring it up, or up to date, and ask it for a prediction
	@tools/run up $(WHICH)
preview: ## show what `up` would do
	@tools/run preview $(WHICH)
refresh: ## bring its state up to date with reality
	@tools/run refresh $(WHICH)
status: ## show every component
	@tools/run status $(WHICH)
down: ## remove it (PURGE=1: with its data)
	@tools/run down $(WHICH) $(if $(filter 1 yes true,$(PURGE)),--purge)
shell: ## print what plain `pulumi` needs: eval "$$(make -s shell)"
	@tools/run shell $(WHICH)

## Develop
.PHONY: env engine kubernetes-bed check fmt test acceptance-aws bench schema policies clean
env: ## make .venv with everything for development
	@tools/run env dev
engine: ## find, install or build the Pulumi engine
	@tools/run engine
kubernetes-bed: env ## build the Kubernetes control plane and promtool, which the tests of that platform run on
	@$(BIN)/python -m tools.kubernetes build
	@$(BIN)/python -m tools.prometheus
check: env ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
fmt: env ## format, and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
test: ## run the tests (ARGS="-k name" for pytest)
	@tools/run test -n 2 --dist loadgroup tests $(ARGS)
acceptance-aws: env ## try the quickstart in an AWS account, and take it down again (ARGS="--help")
	@$(BIN)/python -m tools.acceptance $(ARGS)
bench: ## run the benchmarks (BENCH=serving for one of them)
	@tools/run bench $(BENCH)
schema: env ## write the spec's JSON Schema
	@$(BIN)/mlops schema --output sdk/pulumi_mlops/spec/schema.json
policies: env ## write docs/policies from the rules
	@$(BIN)/python -m mlops_policies.documentation
clean: ## remove what tools left behind; keeps .venv, state and data
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
