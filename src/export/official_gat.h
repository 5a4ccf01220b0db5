// Between a run here and a checkpoint of the official GAT code (github.com/hse1032/GAT, train.py).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/nn/state.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/config.h"
#include "gigacat/weights/torch_file.h"

namespace gigacat::exports {

// True when the file's root has the keys of an official checkpoint.
bool is_official_gat(const io::PickleValue& root);

// The whole file as a checkpoint with the config that its shapes tell. `dropped` gets the names of tensors that are not
// used here (the generator's x_embedder, rotary tables). Errors: Error for missing keys and shapes that contradict each
// other; UsageError for overrides that do not fit.
run::Checkpoint read_official_gat(const weights::TorchFile& file, const std::string& what,
                                  const std::vector<std::string>& overrides, std::vector<std::string>& dropped);

// A GAT checkpoint as a file that the official code resumes from and loads strictly. Errors: UsageError for a run that
// the official code has no model for (another recipe, other than 4 stages or 64 latent channels).
void write_official_gat(const run::Checkpoint& checkpoint, const std::filesystem::path& out);

}  // namespace gigacat::exports
