# make demo and make test are all that a newcomer needs; everything lives in .venv.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_WORKERS ?= 2

.PHONY: venv demo test test-lowest lint bench faults cases clean

venv: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

demo: venv
	$(BIN)/famulus run experiments/tiles/first-light.yaml

test: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile

# The order of sums, and with it the last digits, is that of a processor's widest instructions. So
# that tests hold on any, those of what computes run once more with the narrowest instructions that
# every x86 processor has. Left out: training, launch, diagnosis and journal, which build on these,
# and four files that train through the loop or the command line and compare runs with runs.
TRAINING := codes/test_codes_resume tiles/test_tiles_stacked scroll/test_scroll_commands qsm/test_apply

test-lowest: venv
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile \
		tests/tasks tests/nets tests/images tests/volumes tests/feed \
		$(TRAINING:%=--ignore=tests/tasks/%.py)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.check_types

bench: venv
	@for name in loop startup; do echo "== $$name"; $(BIN)/python -m benchmarks $$name --quick; done

faults: venv
	$(BIN)/python -m pytest tests/faults

cases: venv
	$(BIN)/famulus cases

clean:
	rm -rf .venv build dist
