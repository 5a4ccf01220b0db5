// Trained generators in the formats of other programs.
#pragma once

#include <filesystem>
#include <string>

namespace gigacat::exports {

struct ExportRequest {
  std::filesystem::path from;  // run folder or checkpoint folder; for all but "official" a generator file too
  std::filesystem::path out;
  std::string to = "safetensors";   // "safetensors", "torchscript", "huggingface" or "official"
  std::string weights = "ema";      // "ema" or "generator"
  std::string dtype = "fp32";       // of the weights: "fp32", "fp16", "bf16"
  std::string license = "unknown";  // what the card of "huggingface" says
};

struct ExportReport {
  std::filesystem::path out;
  std::string checkpoint;  // that the weights came from
};

// "safetensors": OUT.safetensors with config.yaml and the names of its classes beside it, which `sample` takes; OUT may
// be a folder.
// "torchscript": a file that torch.jit.load runs: forward(z, labels, truncation=1.0), of a model of text forward(z,
// tokens, end, truncation=1.0), gives images [B, C, H, W].
// "huggingface": a folder with model.safetensors, config.json, a card and a program of Python that draws.
// "official": all networks and optimisers of a GAT run as one .pt file that the official PyTorch code resumes from.
// Errors: UsageError for an unknown format, a run that the format cannot hold (with the reason), no checkpoint.
ExportReport export_run(const ExportRequest& request);

}  // namespace gigacat::exports
