// Tensor names of the official GAT code. They are those used here, but for a few that nothing here needs.
#pragma once

#include <string>
#include <vector>

#include "gigacat/io/pickle.h"
#include "gigacat/nn/state.h"

namespace gigacat::apply {

// Without the wrappers of torch.compile and DistributedDataParallel.
std::string plain_name(std::string name);
// A buffer in the official code: it takes no number in the optimiser.
bool is_buffer(const std::string& name);
// The tensors by plain name, without those that nothing here uses (the generator's x_embedder, rotary tables); their
// names are added to `dropped`. With nullptr all are kept.
nn::TensorMap own_tensors(const nn::TensorMap& tensors, std::vector<std::string>* dropped);
// An integer or a real number as double; 0 for anything else.
double number_of(const io::PickleValue& value);

// Names in the order of the official module's state dict, buffers and unused tensors included, for a network with
// `depth` blocks and `stages` final layers. The order of its parameters is that of the optimiser.
std::vector<std::string> official_generator_names(int64_t depth, int64_t stages, bool qk_norm);
std::vector<std::string> official_discriminator_names(int64_t depth, bool qk_norm, bool aligned);

}  // namespace gigacat::apply
