# The front door: `make` lists what there is. Every target does its own set-up, and only once.

PYTHON ?= python3
PRESET ?= cpu
WORKERS ?= 2

PY := .venv/bin/python
# One thread a worker: on two cores, two teams of threads would mostly wait for each other. Only the plugins that the
# tests need: others, which happen to be installed, may warn, and a warning is an error.
PYTEST := OMP_NUM_THREADS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(PY) -m pytest -p xdist -p pytest_timeout \
	-p _hypothesis_pytestplugin -p pytest_cov -n $(WORKERS) --dist worksteal

# Folders become targets: phase01, project01. A new one needs no line here; a project is one once it has a project.toml.
PHASE_FOLDERS := $(patsubst %/__init__.py,%,$(sort $(wildcard phase[0-9][0-9]_*/__init__.py)))
PROJECT_FOLDERS := $(patsubst %/project.toml,%,$(sort $(wildcard phase[0-9][0-9]_*/project[0-9][0-9]_*/project.toml)))
NOTEBOOKS := $(sort $(wildcard phase[0-9][0-9]_*/project[0-9][0-9]_*/explore.ipynb))
PHASES := $(foreach folder,$(PHASE_FOLDERS),$(firstword $(subst _, ,$(folder))))
PROJECTS := $(foreach folder,$(PROJECT_FOLDERS),$(firstword $(subst _, ,$(notdir $(folder)))))
PRESETS := $(sort smoke cpu gpu $(basename $(notdir $(wildcard phase*/project*/configs/*.yaml))))

# $(call projects,project01) is the folder of a project, $(call projects,phase01) are those of a phase.
projects = $(foreach folder,$(PROJECT_FOLDERS),$(if $(filter $(1)_%,$(subst /, ,$(folder))),$(folder)))
benchmark = $(foreach folder,$(1),echo "benchmark of $(folder), preset $(PRESET)" && \
	$(PY) -m $(subst /,.,$(folder)).benchmark --preset $(PRESET) &&) true

ifeq ($(filter $(PRESET),$(PRESETS)),)
$(error PRESET is '$(PRESET)'; it must be one of: $(PRESETS))
endif

# The notebook of project N. `make notebook` without an N, or with one that has none, ends before anything is set up.
NOTEBOOK = $(foreach file,$(NOTEBOOKS),$(if $(filter project$(N)_% project0$(N)_%,$(subst /, ,$(file))),$(file)))
ifneq ($(filter notebook,$(MAKECMDGOALS)),)
ifneq ($(words $(NOTEBOOK)),1)
$(error N is '$(N)'; projects with a notebook: $(foreach file,$(NOTEBOOKS),\
	$(patsubst 0%,%,$(patsubst project%,%,$(firstword $(subst _, ,$(filter project%,$(subst /, ,$(file)))))))))
endif
endif

WRITE := phase01_foundation.project03_pretrain.generate

.DEFAULT_GOAL := help
.PHONY: help run serve test setup clients coverage benchmarks lint types selfcheck notebook notebooks report offline \
	check verify constraints clean $(PHASES) $(PROJECTS)

help: ## this list
	@sed -n -e 's/^\([a-z]*\):.*## /\1|/p' -e 's/^## \([a-zN]*\): /\1|/p' Makefile | \
		awk -F '|' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo "There is $(PHASES), and $(PROJECTS). Presets: $(PRESETS)."

run: .venv/ready-all ## train a character-level GPT on Shakespeare, two to three minutes; a released model tells a story
	@$(PY) -m phase01_foundation.project01_minimal_gpt.train --preset cpu
	@printf '\nProject 3 has a larger model, which was trained for an hour. It tells a story and answers two questions.\n\n'
	@$(PY) -m $(WRITE) --prompt 'Once upon a time'
	@$(PY) -m $(WRITE) --question 'What frightens Tara?' \
		--question 'Mia has 4 marbles and finds 6 more. How many marbles does Mia have now?'
	@printf '\nProject 4 has taught it to answer, with its steps where they help, and to say what it does not know.\n\n'
	@$(PY) -m phase02_finetuning.project04_sft.chat --say 'What frightens Tara?' \
		--say 'Mia has 4 marbles and finds 6 more. How many marbles does Mia have now?' \
		--say 'Is 27 plus 35 less than 60?' --say 'Who is the king of France?'
	@printf '\nProject 8 keeps keys and values: the same story again, and how much faster that is.\n\n'
	@$(PY) -m phase03_core_inference.project08_kv_cache.generate --prompt 'Once upon a time'
	@printf '\nProject 13 answers a dozen prompts at once, and says what each part of its engine saved.\n\n'
	@$(PY) -m phase04_advanced_inference.project13_paged_attention.answer
	@printf '\nProject 28 serves it: started, asked through the OpenAI client, measured, and stopped again.\n\n'
	@$(PY) -m phase10_deployment.project28_serving.climb

serve: .venv/ready-all ## serve tiny-chat at http://127.0.0.1:8000, with the API that OpenAI's clients speak, until Ctrl+C
	@exec $(PY) -m phase10_deployment.project28_serving.serve

test: .venv/ready-all ## run all tests, about a minute a project; TESTS=shared runs those in there, WORKERS=8 eight at once
	@$(PYTEST) $(TESTS) $(if $(COVERAGE),--cov=shared --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE))

setup: .venv/ready-all ## install everything into .venv; PYTHON=python3.12 picks the interpreter
	@echo "Everything is installed. 'source .venv/bin/activate' puts the command 'ladder' on your path."

clients: .venv-clients/ready ## others' clients of a server (lm-eval, schemathesis, locust, …), in .venv-clients: under 1 GB
	@echo "Their tests: make test TESTS=phase10_deployment/project28_serving/given/test_clients.py"

## phaseNN: tests, then benchmarks, of a phase; PRESET=smoke makes it quick, PRESET=gpu full size
$(PHASES): %: .venv/ready-all
	@$(PYTEST) $(filter $@_%,$(PHASE_FOLDERS))
	@$(call benchmark,$(call projects,$@))

## projectNN: tests, then benchmark, of a project
$(PROJECTS): %: .venv/ready-all
	@$(PYTEST) $(call projects,$@)
	@$(call benchmark,$(call projects,$@))

UNKNOWN = echo "error: there is no $@; there is $(PHASES), and $(PROJECTS)" >&2; exit 2
phase%:
	@$(UNKNOWN)
project%:
	@$(UNKNOWN)

benchmarks: .venv/ready-all ## all benchmarks
	@$(call benchmark,$(PROJECT_FOLDERS))

check: ## everything that CI checks; ALL=1 also what has a valid verdict
	@ALL=$(ALL) bash .ci/run

coverage: .venv/ready-all ## the tests of shared/; fails where they run less than 95% of it
	@$(MAKE) --no-print-directory test TESTS=shared COVERAGE=95

lint: .venv/ready-all ## ruff: mistakes and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: .venv/ready-all ## pyright
	@$(PY) -m pyright

verify: .venv/ready-all ## selfcheck, export, notebook, smoke benchmark: what has no verdict, a tenth of the rest; ALL=1: all
	@$(PY) -m shared.ladder verify $(if $(ALL),--all)

selfcheck: .venv/ready-all ## tests fail on every stub, mutants are killed, exported folders pass
	@$(PY) -m shared.ladder selfcheck

notebook: .venv/ready-all ## open the notebook of a project in JupyterLab, as in: make notebook N=3
	@$(PY) -m jupyter lab $(NOTEBOOK)

notebooks: .venv/ready-all ## run every explore.ipynb from top to bottom
	@$(if $(NOTEBOOKS),$(PY) -m pytest --timeout=900 --nbmake $(NOTEBOOKS),echo "There is no notebook yet.")

offline: .venv/ready ## train for seconds with no mirror, cache or network: the embedded corpus stands in
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		LADDER_DATA_MIRROR= LADDER_OFFLINE=1 LADDER_DATA="$$folder/data" LADDER_WORK="$$folder/work" \
		$(PY) -m phase01_foundation.project01_minimal_gpt.train --preset smoke --corpus shakespeare 2>&1 | \
		tee "$$folder/log" && grep -q '^corpus: tinyworld' "$$folder/log" && grep -q '^A sample' "$$folder/log"

report: .venv/ready-all ## write what was measured into the READMEs
	@$(PY) -m shared.measuring.readmes

constraints: .venv/ready-all ## pin in constraints.txt what is installed now
	@{ sed -n '/^#/p' constraints.txt && $(PY) -m pip freeze --all --exclude-editable | \
		sed -n 's/^\([A-Za-z][A-Za-z0-9._-]*==[0-9][^+ ]*\).*/\1/p' | \
		grep -viE '^(pip|wheel|triton|nvidia-.*|cuda-.*)==' | LC_ALL=C sort -f; } > .venv/constraints.txt
	@mv .venv/constraints.txt constraints.txt
	@touch .venv/ready .venv/ready-all

clean: ## remove .venv and caches; data/ and work/ stay
	@rm -rf .venv .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* *.egg-info
	@find . \( -path ./data -o -path ./work -o -path ./.git \) -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# ---- set-up

# .venv/ready says that an install ended well, and in which folder: the scripts in a .venv hold its full path.
# .venv/busy is there while one is under way, so an install that was cut off is begun anew.
ifneq ($(shell test -x .venv/bin/python && test "$$(cat .venv/ready 2>/dev/null)" = "$$(pwd -P)" && echo yes),yes)
.PHONY: .venv/ready .venv/ready-all
endif
.NOTPARALLEL:

.venv/ready: pyproject.toml constraints.txt
	$(call install,-e .,what the first projects need,.venv/ready)

.venv/ready-all: pyproject.toml constraints.txt
	$(call install,-e '.[all]',what all projects need,.venv/ready .venv/ready-all)

# What .venv has is not installed again: a .pth file, a line in it, adds that folder.
.venv-clients/ready: phase10_deployment/clients.txt .venv/ready-all
	@echo "Installing others' clients into .venv-clients: minutes. Log: .venv-clients/setup.log"
	@rm -rf .venv-clients && .venv/bin/python -m venv .venv-clients
	@.venv/bin/python -c 'import site; print(site.getsitepackages()[0])' > \
		"$$(.venv-clients/bin/python -c 'import site; print(site.getsitepackages()[0])')/house.pth"
	@.venv-clients/bin/python -m pip install --no-input --disable-pip-version-check -r $< >.venv-clients/setup.log 2>&1 || \
		{ tail -n 30 .venv-clients/setup.log >&2; exit 1; }
	@touch $@

NEWER = import sys; sys.exit(sys.version_info < (3, 11))
NAME_ANOTHER = name another, as in: make $(MAKECMDGOALS) PYTHON=python3.12

define install
	@set -e; \
	fail() { echo "error: $$*" >&2; exit 1; }; \
	if test -e .venv/busy && kill -0 "$$(cat .venv/busy)" 2>/dev/null; then \
		fail "process $$(cat .venv/busy) is setting up .venv; wait for it, or remove .venv/busy if it is no make"; \
	fi; \
	if test -e .venv/busy || ! .venv/bin/python -c 'import pip; $(NEWER)' 2>/dev/null || \
		{ test -e .venv/ready && test "$$(cat .venv/ready)" != "$$(pwd -P)"; }; \
	then \
		command -v $(PYTHON) >/dev/null || \
			fail "Python 3.11 or newer is needed, and there is no $(PYTHON); install it, or $(NAME_ANOTHER)"; \
		$(PYTHON) -c '$(NEWER)' || \
			fail "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1); $(NAME_ANOTHER)"; \
		$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
			fail "$(PYTHON) has no venv module; on Debian and Ubuntu: sudo apt install python3-venv"; \
		rm -rf .venv; \
		mkdir .venv; \
		echo $$PPID >.venv/busy; \
		$(PYTHON) -m venv .venv || fail "$(PYTHON) -m venv .venv did not work"; \
	fi; \
	echo "Installing $(2) into .venv: minutes the first time. Log: .venv/setup.log"; \
	echo $$PPID >.venv/busy; \
	.venv/bin/python -m pip install --no-input --disable-pip-version-check $(1) -c constraints.txt \
		>.venv/setup.log 2>&1 || \
		{ tail -n 30 .venv/setup.log >&2; fail "the install failed; the same command tries it again"; }; \
	pwd -P | tee $(3) >/dev/null; \
	rm .venv/busy
endef
