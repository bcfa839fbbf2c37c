# Everything a user or contributor runs. `make demo` and `make test` set up first; set-up skips what is done.
PYTHON ?= python3
PYTHONS ?= python3.10 python3.11 python3.12
POSE := .venv/bin/pose
RUN := .venv/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help setup setup-train demo test test-all say-what-lacks check fix bench gallery golden fuzz soak train models lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

setup:  ## virtual environment, ROS 2, models, demo videos, colcon build
	@$(PYTHON) scripts/set_up.py

setup-train:
	@$(PYTHON) scripts/set_up.py --with train

demo: setup  ## the demo video through the whole pipeline; results in out/demo/
	@$(POSE) demo

test: setup-train say-what-lacks  ## all tests but the long ones; make test TESTS=src/pose_core/test for some
	@$(RUN) pytest -m "not slow and not browser" $(TESTS)

test-all: setup-train say-what-lacks  ## all tests, those that take minutes or a browser too, and the share of branches they take
	@$(RUN) coverage run -m pytest
	@$(RUN) coverage report

say-what-lacks:
	@.venv/bin/python -c "import launch_ros" 2>/dev/null || printf '\n%s\n%s\n\n' \
	  '*** launch_ros is not installed: launch files are checked without running them.' \
	  '*** An installed ROS 2 has it: source its setup.bash, then make test.'

check: setup  ## format, lint, types, directions of imports
	@$(RUN) ruff format --check
	@$(RUN) ruff check
	@$(RUN) mypy
	@.venv/bin/lint-imports --no-cache

fix: setup  ## format, and mend what the linter can
	@$(RUN) ruff format
	@$(RUN) ruff check --fix

bench: setup  ## throughput, latency and memory on the demo video, as ratios
	@$(POSE) bench

gallery: setup  ## draw the pictures of docs/drawing.md anew, from the demo videos
	@.venv/bin/python scripts/gallery.py

golden:  ## whether all is computed as at a revision; make golden REV=main DATA=folder of motion capture
	@$(PYTHON) scripts/golden.py "$(REV)" $(if $(DATA),--data "$(DATA)")

fuzz: setup-train  ## feed every reader of files with damaged ones; make fuzz SECONDS=600 for each reader, READERS="c3d trc"
	@.venv/bin/python scripts/fuzz.py $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(READERS)

soak: setup  ## the live pipeline on a looped video for ten minutes, and what grows; make soak MINUTES=60
	@.venv/bin/python scripts/soak.py $(if $(MINUTES),--minutes $(MINUTES))

train: setup-train  ## train the default lifter anew; make train DATA=folder of motion capture
	@$(POSE) train lifter --model streaming_tcn $(if $(DATA),--data "$(DATA)")

models: setup-train  ## evaluate every lifter and write docs/models.md; DATA as above
	@$(POSE) evaluate lifters $(if $(DATA),--data "$(DATA)")

lock:  ## move requirements/constraints.txt to the newest versions; make lock KEEP=1 only adds what is new
	@cd scripts && $(PYTHON) lock.py $(if $(KEEP),--keep) $(PYTHONS)

clean:  ## remove what set-up and runs made; downloads stay in the cache
	rm -rf .venv .setup build install log out
