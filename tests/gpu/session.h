// What main of the GPU tests has set up: MPI's session and this rank's device.
#pragma once

#include "bovila/dist/libtorch.h"
#include "tests/mpi/session.h"

extern const torch::Device* test_device;
