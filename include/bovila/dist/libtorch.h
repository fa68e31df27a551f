// What most of this program uses of LibTorch: tensors and their functions.
// A file that needs more includes it itself: torch/autograd.h (derivatives of its own) costs each
// file that includes it as much again, torch/torch.h (modules, optimizers, loaders) twice that.
#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>
