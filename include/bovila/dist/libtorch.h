// What this program uses of LibTorch: tensors, their functions, automatic differentiation.
// torch/torch.h has the neural network modules, optimizers and data loaders besides, whose inline
// functions every file would compile again: it takes twice as long.
#pragma once

#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>
