# One-word tasks. Each makes what it needs from Python 3.11+, git and make alone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS := local,ukis,dask,export
# Real openEO back-ends for the tests; each pins versions that the others cannot live with.
BACKENDS := $(VENV)/backends

.DEFAULT_GOAL := help
.PHONY: help demo test test-torch lint format bench wheel clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 18

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "pip>=25.1"

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing openeo-cloudmask[$(EXTRAS)] into $(VENV) ..."
	$(PIP) install --editable ".[$(EXTRAS)]"
	@touch $@

# openeo-processes-dask asks for a "gdal" that it never imports and that rarely builds.
$(VENV)/.openeo: pyproject.toml $(VENV)/.run
	@echo "installing openEO's client and local processes into $(VENV) ..."
	$(PIP) install --editable ".[$(EXTRAS),openeo-local]"
	$(PIP) install --no-deps "openeo-processes-dask>=2026.9"
	@touch $@

$(BACKENDS)/%/.made: pyproject.toml
	@echo "installing the openEO back-end $* into $(BACKENDS) ..."
	$(PYTHON) -m venv $(BACKENDS)/$*
	$(BACKENDS)/$*/bin/python -m pip --disable-pip-version-check --quiet install "pip>=25.1"
	$(BACKENDS)/$*/bin/python -m pip --disable-pip-version-check --quiet install \
		--editable ".[ukis]" --group backend-$*
	@touch $@

# clouds2mask asks for a timm that nothing else here can live with; its code runs with a newer one.
$(VENV)/torch/.made: pyproject.toml
	@echo "installing torch and the authors' networks into $(VENV)/torch ..."
	$(PYTHON) -m venv $(VENV)/torch
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install "pip>=25.1"
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install --group torch
	$(VENV)/torch/bin/python -m pip --disable-pip-version-check --quiet install --no-deps clouds2mask==1.1.3
	@touch $@

$(VENV)/.%: pyproject.toml $(VENV)/.run
	@echo "installing the $* tools into $(VENV) ..."
	$(PIP) install --group $*
	@touch $@

demo: $(VENV)/.run ## simulate a scene, mask it with a trained network, draw it (demo/)
	$(BIN)/cloudmask demo --output demo

test: $(VENV)/.test $(VENV)/.openeo $(BACKENDS)/driver/.made $(BACKENDS)/titiler/.made ## run all tests but those that need torch
	$(BIN)/python -m pytest --ignore=tests/export/torch

test-torch: $(VENV)/.test $(VENV)/torch/.made ## compare exports with the authors' networks (installs torch)
	CLOUDMASK_REQUIRE_TORCH=1 $(BIN)/python -m pytest tests/export/torch

lint: $(VENV)/.test $(VENV)/.openeo $(VENV)/.lint $(VENV)/.bench ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.lint ## rewrite the sources in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## measure us and the peers, update the README's tables
	$(BIN)/python -m benchmarks.run

wheel: $(VENV)/.lint ## build the wheel and the source archive into dist/
	$(BIN)/python -m build

clean: ## remove what the other tasks made
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
