// Checkpoints: a folder of safetensors that counts once its last file, COMMIT, is there.
//
//   step-0001000/
//     generator.safetensors  discriminator.safetensors  ema.safetensors
//     optimizer_generator.safetensors  optimizer_discriminator.safetensors   NAME.exp_avg, NAME.exp_avg_sq by parameter
//                    name, step; no NAME.exp_avg where beta1 is 0
//     state.json     step, images seen, skipped steps, ranks, loader position, data identity
//     config.yaml    the resolved config
//     classes.json   names of the classes, where the data has any
//     COMMIT         JSON: size and CRC-32C of each other file
//
// A checkpoint is written to a folder .tmp-*, every file and folder synced, and renamed when complete.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gigacat::run {

using TensorMap = std::map<std::string, at::Tensor>;

// Everything in a checkpoint, on the CPU.
struct Checkpoint {
  int64_t step = 0;
  std::map<std::string, TensorMap> tensors;  // file stem -> tensors
  nlohmann::json state;
  std::string config_yaml;
  std::vector<std::string> class_names;  // of a model of classes, where they are known
};

// Writes checkpoints on a background thread, one at a time. One writer a folder (see RunLock).
class CheckpointWriter {
 public:
  // Makes the folder and removes what a killed writer left. keep_last >= 1: that many newest checkpoints stay;
  // keep_every: multiples of it stay for good, 0: none. Errors: Error.
  CheckpointWriter(std::filesystem::path folder, int64_t keep_last, int64_t keep_every);
  // Waits for the write under way; its error, if any, goes to the log.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  // Takes the checkpoint (already copied to host) and returns at once, after waiting for the one before it. The folder
  // appears by rename, complete; one of the same step is replaced. Errors of the write before are thrown here.
  void write(Checkpoint checkpoint);
  // From the next write on the newest checkpoint before `step` stays as well: the last good one of a run that diverges.
  void keep_before(std::optional<int64_t> step) { keep_before_ = step; }
  // Waits until all is on disk. Errors: Error of the write.
  void wait();
  // How long the last finished write took, and how much longer the one under way will take if it is like that; 0: none.
  double seconds_of_last() const { return seconds_of_last_; }
  double seconds_left() const;

 private:
  std::filesystem::path folder_;
  int64_t keep_last_, keep_every_;
  std::optional<int64_t> keep_before_;
  std::future<void> pending_;
  std::chrono::steady_clock::time_point began_;
  std::atomic<double> seconds_of_last_ = 0;
};

// Steps of committed checkpoints in a folder, ascending.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& folder);
// FOLDER/step-NNNNNNN.
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);
// Empty, or what is wrong with a checkpoint folder: no COMMIT, a size or checksum that differs, a file that is missing.
// `files`: the tensor files that are read and compared, besides the small ones; empty: all.
std::string verify_checkpoint(const std::filesystem::path& checkpoint, const std::vector<std::string>& files = {});
// The newest checkpoint that verifies, as above; broken ones are named in the log. Nothing when there is none.
std::optional<std::filesystem::path> newest_good_checkpoint(const std::filesystem::path& folder,
                                                            const std::vector<std::string>& files = {});
// CRC-32C as eight hexadecimal digits: what COMMIT says of a file of a committed checkpoint, and that of a file's
// bytes.
std::string recorded_checksum(const std::filesystem::path& checkpoint, const std::string& file);
std::string file_checksum(const std::filesystem::path& file);
// `stems`: which tensor files to read; empty: all. Tensors are mapped from the files, not to be written to. `verified`:
// the caller has just verified it. Errors: Error when it does not verify or a stem is not there.
Checkpoint read_checkpoint(const std::filesystem::path& checkpoint, const std::vector<std::string>& stems = {},
                           bool verified = false);

}  // namespace gigacat::run
