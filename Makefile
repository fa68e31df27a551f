# What a person types. `make demo` and `make test` do all set-up themselves, once.
#
# Settings, given on make's command line:
#   BUILD=build             build folder              JOBS=2         parallel compile jobs
#   PREFIX=/usr/local       where `make install` puts the program and all that goes with it
#   SYSTEM_PACKAGES=no      the site provides the libraries: do not look at Debian's packages
#   LIBTORCH=DIR            the site's LibTorch       CUDA_HOME=DIR  its CUDA runtime
#   NCCL_HOME=DIR           the site's NCCL           CMAKE_ARGS=... any further CMake settings
#                           (MPI: -DMPI_HOME=DIR, HDF5: -DHDF5_ROOT=DIR)

BUILD      ?= build
JOBS       ?= $(shell nproc)
PREFIX     ?= /usr/local
LIBTORCH   ?=
CUDA_HOME  ?=
NCCL_HOME  ?=
CMAKE_ARGS ?=
GOLDEN     ?= tests/golden/mini
TRIES      ?= 100
FUZZ_SECONDS ?= 600

cmake_settings = $(if $(LIBTORCH),-DBOVILA_LIBTORCH=$(abspath $(LIBTORCH))) \
                 $(if $(CUDA_HOME),-DBOVILA_CUDA_HOME=$(abspath $(CUDA_HOME))) \
                 $(if $(NCCL_HOME),-DBOVILA_NCCL_HOME=$(abspath $(NCCL_HOME))) $(CMAKE_ARGS)

$(foreach setting,BUILD PREFIX,$(if $(strip $($(setting))),, \
  $(error $(setting)= is empty (a variable of the shell that is not set?))))

.DEFAULT_GOAL := help
.PHONY: help deps configure build demo demo-smollm test test-deps test-golden test-slurm test-bundle \
  test-gpu test-mpich test-aarch64 soak bench bundle install format lint lint-deps sanitize fuzz

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@sed -n '/^# Settings/,/^$$/{s/^# \{0,1\}//;p}' $(firstword $(MAKEFILE_LIST))

deps: ## install what a build needs: Debian packages (as root), LibTorch into .deps/
	@SYSTEM_PACKAGES='$(SYSTEM_PACKAGES)' LIBTORCH='$(LIBTORCH)' tools/deps.sh

configure: deps
	@cmake -S . -B $(BUILD) -G Ninja -Wno-dev --log-level=WARNING $(cmake_settings) >/dev/null
	@for tool in pth2h5 sets2jsonl llama2bovila ckpt2pth; do ln -sf ../$(BUILD)/bin/$$tool tools/$$tool; done
	@ln -sf ../$(BUILD)/bin/bovila-hang tools/hang

compile = BUILD=$(BUILD) JOBS=$(JOBS) tools/build.sh

build: configure ## compile the program, the tools and the tests into $(BUILD)
	@$(compile)

demo: configure ## train BoViLA on the digits demo with two ranks and show what it learned
	@$(compile) bovila bovila-hang pth2h5
	@BUILD=$(BUILD) tools/demo.sh

demo-smollm: configure ## the same with a real language model, SmolLM2-135M; takes much longer
	@tools/deps.sh smollm
	@$(compile) bovila pth2h5 ckpt2pth perplexity
	@BUILD=$(BUILD) tools/demo_smollm.sh

test: build test-deps ## all tests: units, golden numbers, MPI ranks, command line, Slurm
	@BUILD=$(BUILD) GOLDEN=$(GOLDEN) tests/run.sh

test-deps: deps ## install what tests need besides: Slurm, a browser, libraries to compare with
	@tools/deps.sh tests

test-golden: build ## the golden tests on any folder of their form: make test-golden GOLDEN=DIR
	@BUILD=$(BUILD) GOLDEN=$(GOLDEN) tests/run.sh golden

test-slurm: build test-deps ## the jobs on a real Slurm of two virtual nodes, started for the test
	@BUILD=$(BUILD) tests/run.sh slurm

test-bundle: build test-deps ## the bundle where nothing else is: a bare Debian with Python's torch
	@BUILD=$(BUILD) tests/run.sh bundle

test-gpu: build ## the tests that need GPUs, on 1 rank to as many as the machine has GPUs
	@BUILD=$(BUILD) tests/run.sh gpu

test-mpich: test-deps ## the tests with ranks on Debian's MPICH, in a build of its own
	@SYSTEM_PACKAGES='$(SYSTEM_PACKAGES)' tools/deps.sh mpich
	@cmake -S . -B $(BUILD)-mpich -G Ninja -Wno-dev --log-level=WARNING $(cmake_settings) \
	  -DMPI_CXX_COMPILER=mpicxx.mpich
	@BUILD=$(BUILD)-mpich JOBS=$(JOBS) tools/build.sh bovila pth2h5 faults mpi_tests nccl_tests rank_death rank_death_double
	@BUILD=$(BUILD)-mpich tests/run.sh mpich

test-aarch64: ## the tests that need no LibTorch, compiled for aarch64 and run by an emulator
	@SYSTEM_PACKAGES='$(SYSTEM_PACKAGES)' tools/deps.sh aarch64
	@cmake -S . -B $(BUILD)-aarch64 -G Ninja -Wno-dev --log-level=WARNING $(CMAKE_ARGS) \
	  --toolchain tools/aarch64.cmake -DBOVILA_TORCH=OFF
	@BUILD=$(BUILD)-aarch64 JOBS=$(JOBS) tools/build.sh
	@BUILD=$(BUILD)-aarch64 tests/run.sh aarch64

soak: build test-deps ## for long: runs disturbed TRIES=100 times at random, long runs, many ranks, large inputs
	@BUILD=$(BUILD) TRIES=$(TRIES) tests/run.sh soak

bench: build ## measure: training and evaluation beside naive forms; a data set of TVQA's size
	@tests/bench/speed.py $(BUILD)/bin/speed
	@BUILD=$(BUILD) tests/bench/annotations.sh

bundle: build ## pack it all into one file for machines with nothing but Python's torch
	@tools/deps.sh bundle
	@BUILD=$(BUILD) tools/bundle.sh

install: configure ## put bovila, the tools, decks, jobs and the manual page under PREFIX
	@$(compile) bovila bovila-hang pth2h5 sets2jsonl llama2bovila ckpt2pth pages
	@cmake --install $(BUILD) --prefix "$(abspath $(PREFIX))"

lint-deps:
	@tools/deps.sh lint

format: lint-deps ## format every source with clang-format
	@git ls-files '*.h' '*.cpp' | xargs clang-format-14 -i

# clang-tidy reads neither gcc's precompiled header nor the options that go with it and ccache, nor
# gcc's OpenMP: it gets compile commands of its own, of which none is ever run.
lint: deps lint-deps ## check formats, and sources with clang-tidy; takes long
	@git ls-files '*.h' '*.cpp' | xargs clang-format-14 --dry-run --Werror
	@cmake -S . -B $(BUILD)-lint -G Ninja -Wno-dev --log-level=WARNING $(cmake_settings) \
	  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON -DCCACHE=no \
	  -DBOVILA_UNITY=OFF
	@git ls-files 'src/*.cpp' 'tools/*.cpp' | \
	  xargs -P $(JOBS) -n 1 clang-tidy-14 --quiet -p $(BUILD)-lint

sanitize: deps ## unit and golden tests under the address, undefined and thread sanitizers
	@cmake -S . -B $(BUILD)-sanitize -G Ninja -Wno-dev --log-level=WARNING $(cmake_settings) \
	  -DBOVILA_SANITIZE=address,undefined
	@cmake --build $(BUILD)-sanitize -j $(JOBS) -t base_tests fuzz_replay torch_tests golden_tests pth2h5
	@cmake -S . -B $(BUILD)-sanitize-threads -G Ninja -Wno-dev --log-level=WARNING $(cmake_settings) \
	  -DBOVILA_SANITIZE=thread
	@cmake --build $(BUILD)-sanitize-threads -j $(JOBS) -t thread_tests
	@BUILD=$(BUILD)-sanitize tests/run.sh asan
	@BUILD=$(BUILD)-sanitize-threads tests/run.sh tsan

fuzz: ## the parsers under libFuzzer and the sanitizers, each for FUZZ_SECONDS=600, on all cores
	@SYSTEM_PACKAGES='$(SYSTEM_PACKAGES)' tools/deps.sh fuzz
	@cmake -S . -B $(BUILD)-fuzz -G Ninja -Wno-dev --log-level=WARNING $(CMAKE_ARGS) \
	  -DBOVILA_FUZZ=ON -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14
	@cmake --build $(BUILD)-fuzz -j $(JOBS)
	@BUILD=$(BUILD)-fuzz JOBS=$(JOBS) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.sh fuzz
