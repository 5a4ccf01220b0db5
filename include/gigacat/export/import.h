// Weight files of other programs brought into the formats used here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gigacat::exports {

struct ImportRequest {
  std::filesystem::path file;  // .safetensors, or a file of torch.save or TorchScript
  // A .safetensors file or a folder for one; for a whole GAT checkpoint the folder of runs. Empty: beside the cache's
  // weights (gigacat weights where), or "runs".
  std::filesystem::path out;
  std::vector<std::string> overrides;  // of the config of a GAT run, as data.path=DIR
  std::string command;                 // for the JSON
};

struct ImportReport {
  std::string kind, what;     // see weights::IdentifiedWeights; "gat-checkpoint"
  std::filesystem::path out;  // the file or the run folder
  std::string sha256;         // of the file that was read
  int64_t tensors = 0;
  std::vector<std::string> dropped;  // tensors that nothing here uses
};

// Reads the file as data (nothing in it is executed), says what it is from its tensors' names, renames them, and writes
// OUT.safetensors with OUT.json (source, SHA-256, kind, architecture). A checkpoint of the official GAT code
// (generator, discriminator, ema, optG, optD, steps) becomes a run folder that `train --resume` and `sample` take; its
// sizes are read off the shapes, the number of heads where it cannot be from the presets.
// Errors: Error for a file that cannot be read or is nothing known; UsageError for overrides that do not fit.
ImportReport import_file(const ImportRequest& request);

}  // namespace gigacat::exports
