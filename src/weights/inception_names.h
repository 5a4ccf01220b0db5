// Names of the FID Inception's convolutions in the two files that it is published in.
#pragma once

#include <string>
#include <vector>

#include "gigacat/nn/state.h"

namespace gigacat::weights {

// pytorch-fid's names, in the order of the network: "Conv2d_1a_3x3", ..., "Mixed_7c.branch_pool".
std::vector<std::string> inception_convolutions();

// The tensors of the TorchScript inception-2015-12-05.pt by pytorch-fid's names. Its batch normalisation has no weight
// (it is 1) and names the rest beta, mean, var. Errors: Error when a tensor is missing.
nn::TensorMap inception_from_torchscript(const nn::TensorMap& script);

}  // namespace gigacat::weights
