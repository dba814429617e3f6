# Everything from a clean checkout: `make serve`, `make test`. Needs Python 3.11 or newer.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: serve test unit check format lint types audit eval index clean browser

serve: .venv/installed
	$(BIN)/xhqa serve --host $(HOST) --port $(PORT)

index: .venv/installed
	$(BIN)/xhqa index

eval: .venv/installed
	$(BIN)/xhqa eval

test: .venv/developed browser
	$(BIN)/pytest

unit: .venv/developed
	$(BIN)/pytest -m "not integration"

check: format lint types audit test

format: .venv/developed
	$(BIN)/ruff format --check .

lint: .venv/developed
	$(BIN)/ruff check .

# ui/ and eval/ are installed under other names; the links let mypy find them under those.
types: .venv/developed
	mkdir -p .venv/typing
	ln -sfn $(CURDIR)/ui .venv/typing/xhqa_ui
	ln -sfn $(CURDIR)/eval .venv/typing/xhqa_eval
	MYPYPATH=src:.venv/typing $(BIN)/mypy -p xhqa -p xhqa_ui -p xhqa_eval

# Known vulnerabilities of what is installed; only where the index that lists them can be reached.
audit: .venv/developed
	@if $(BIN)/python -c "import urllib.request as r; r.urlopen('https://pypi.org/pypi/pip/json', timeout=9)" 2>/dev/null; \
	then $(BIN)/pip-audit --skip-editable; else echo "pypi.org cannot be reached: pip-audit did not run"; fi

# Browser tests want Debian's Chromium; where it cannot be installed they say so at the end.
browser:
	@command -v chromium >/dev/null 2>&1 || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk fonts-wqy-zenhei >/dev/null; \
	} || echo "Chromium could not be installed: the browser tests will not run"

.venv/installed: pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "xhqa needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11"; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	touch $@

.venv/developed: .venv/installed
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
