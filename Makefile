# make demo and make test are all that a newcomer needs; everything lives in .venv.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_WORKERS ?= 2

.PHONY: venv demo test lint bench faults cases clean

venv: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

demo: venv
	$(BIN)/famulus run experiments/tiles/first-light.yaml

test: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: venv
	@for name in loop startup; do echo "== $$name"; $(BIN)/python -m benchmarks $$name --quick; done

faults: venv
	$(BIN)/python -m pytest tests/faults

cases: venv
	$(BIN)/famulus cases

clean:
	rm -rf .venv build dist
