// Checkpoints: a folder of safetensors that counts once its last file, COMMIT, is there.
//
//   step-0001000/
//     generator.safetensors  discriminator.safetensors  ema.safetensors
//     optimizer_generator.safetensors  optimizer_discriminator.safetensors   NAME.exp_avg, NAME.exp_avg_sq, by parameter name
//     state.json     step, images seen, loss scale, skipped steps, ranks, data identity
//     config.yaml    the resolved config
//     COMMIT         JSON: size and CRC-32C of each other file
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gigacat::train {

using TensorMap = std::map<std::string, at::Tensor>;

// Everything in a checkpoint, on the CPU.
struct Checkpoint {
  int64_t step = 0;
  std::map<std::string, TensorMap> tensors;  // file stem -> tensors
  nlohmann::json state;
  std::string config_yaml;
};

// Writes checkpoints on a background thread, one at a time.
class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path folder, int64_t keep_last, int64_t keep_every);
  // Waits for the write under way.
  ~CheckpointWriter();
  // Takes the checkpoint (already copied to host) and returns at once, after waiting for the one before it. The folder appears by rename, complete.
  // Errors of the write before are thrown here.
  void write(Checkpoint checkpoint);
  // Waits until all is on disk. Errors: Error of the write.
  void wait();

 private:
  std::filesystem::path folder_;
  int64_t keep_last_, keep_every_;
  std::future<void> pending_;
};

// Steps of committed checkpoints in a folder, ascending.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& folder);
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);
// Empty, or what is wrong with a checkpoint folder: no COMMIT, a size or checksum that differs, a file that is missing.
std::string verify_checkpoint(const std::filesystem::path& checkpoint);
// The newest checkpoint that verifies; broken ones are named in the log. Nothing when there is none.
std::optional<std::filesystem::path> newest_good_checkpoint(const std::filesystem::path& folder);
// Errors: Error when it does not verify. `stems`: which tensor files to read; empty: all.
Checkpoint read_checkpoint(const std::filesystem::path& checkpoint, const std::vector<std::string>& stems = {});

}  // namespace gigacat::train
