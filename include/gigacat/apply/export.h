// Trained generators in the formats of other programs.
#pragma once

#include <filesystem>
#include <string>

namespace gigacat::apply {

struct ExportRequest {
  std::filesystem::path from;  // run folder or checkpoint folder; for all but "official" a generator file too
  std::filesystem::path out;
  std::string to = "safetensors";  // "safetensors" or "official"
  std::string weights = "ema";     // "ema" or "generator"
  std::string dtype = "float32";   // "float32", "float16", "bfloat16"; of "safetensors"
};

struct ExportReport {
  std::filesystem::path out;
  std::string checkpoint;  // that the weights came from
};

// "safetensors": OUT.safetensors with config.yaml beside it, which `sample` takes; OUT may be a folder.
// "official": all networks and optimisers of a GAT run as one .pt file that the official PyTorch code resumes from.
// Errors: UsageError for an unknown format, a run that the format cannot hold (with the reason), no checkpoint.
ExportReport export_run(const ExportRequest& request);

}  // namespace gigacat::apply
