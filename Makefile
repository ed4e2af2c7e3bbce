# Every target installs what it needs first; see scripts/. `make` alone lists them.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help run up down test test-distributed check chaos fuzz bench pictures reset uninstall

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

run: ## Install what is missing, start everything, stay in the foreground
	@scripts/make-target run

up: ## The same, detached: returns when ready
	@scripts/make-target up

down: ## Stop what `up` or `run` started
	@scripts/make-target down

test: ## Install what tests need and run all of them
	@scripts/make-target test

test-distributed: ## Engines of the distributed profile: contract suites, a whole stack, outages
	@scripts/make-target test-distributed

check: ## Formatting, lint, types, layers, generated pages
	@scripts/make-target check

chaos: ## Break everything by seed: SEEDS=20 FROM=1 FROZEN=60 ROUNDS=4; or 2,000 posts: POSTS=2000
	@scripts/make-target chaos

fuzz: ## Throw octets at every parser and edge: SECONDS=600
	@FUZZ_S="$(or $(SECONDS),600)" scripts/make-target fuzz

bench: ## Measure rates, CPU, latency and memory (QUICK=1: five minutes; DOCS=1: into docs/; PROFILES=1: both)
	@scripts/make-target bench

pictures: ## Take the pictures of docs/pictures
	@scripts/make-target pictures

reset: ## Delete all mail, users and settings (asks first)
	@scripts/make-target reset

uninstall: ## Remove what was made here, list the packages that were added (asks first)
	@scripts/make-target uninstall
