// Tensors of the official GAT code (github.com/hse1032/GAT): names are those used here, but for a few that nothing here
// needs (the generator's x_embedder, rotary tables).
#pragma once

#include <string>
#include <vector>

#include "gigacat/models/gat/config.h"
#include "gigacat/models/model.h"
#include "gigacat/nn/state.h"

namespace gigacat::models::gat {

// Without the wrappers of torch.compile and DistributedDataParallel.
std::string plain_name(std::string name);
// A buffer in the official code: it takes no number in the optimiser.
bool is_official_buffer(const std::string& name);
// The tensors by plain name, without those that nothing here uses; their names are added to `dropped`. With nullptr all
// are kept.
nn::TensorMap own_tensors(const nn::TensorMap& tensors, std::vector<std::string>* dropped);

// Overrides of a GAT config ("model.generator.depth=12", ...) that the shapes of both networks determine; the number of
// heads, where no tensor says it, is that of the preset of the same width. `what` names the file. Errors: Error for
// missing tensors.
std::vector<std::string> deduce_config(const nn::TensorMap& generator, const nn::TensorMap& discriminator,
                                       const std::string& what);

// One network as the official module holds it. Errors: UsageError for sizes that the official code has no model for
// (other than 4 stages or 64 latent channels).
OfficialNetwork official_generator(const GeneratorConfig& config, const ImageShape& shape, nn::TensorMap tensors);
OfficialNetwork official_discriminator(const DiscriminatorConfig& config, const ImageShape& shape,
                                       nn::TensorMap tensors);

}  // namespace gigacat::models::gat
