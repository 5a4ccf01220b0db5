// Beginning a run with the weights of another.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/nn/state.h"
#include "train/state.h"

namespace gigacat::train {

// Which tensors of a network came from elsewhere, by name.
struct Adopted {
  std::vector<std::string> taken, rows, drawn, left;  // whole; of some classes; as they were; without a place here
};

// Copies tensors of `source` into those of `network` with the same name and shape. Tables with a row for each class (of
// nn::LabelTable, and mean styles by class) take the rows of the classes that both sides name; where one side names
// none, they are taken when the shapes are equal.
Adopted adopt(const torch::nn::Module& network, const nn::TensorMap& source, const std::vector<std::string>& classes,
              const std::vector<std::string>& source_classes);

// Errors: UsageError when there is nothing at `from` that start_from() could read. "" is fine.
void check_initial_weights(const std::filesystem::path& from);

// Rank 0's: the generator and its average from the averaged weights at `from` (a run, a checkpoint or a generator's
// .safetensors file), the discriminator where a checkpoint has one. Says what was taken in the log and, tensor by
// tensor, in init.json of `run`. Errors: UsageError when `from` holds no weights or none that fit.
void start_from(TrainState& state, const std::filesystem::path& from, const std::vector<std::string>& classes,
                const std::filesystem::path& run);

}  // namespace gigacat::train
