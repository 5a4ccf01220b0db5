// One golden case: a folder with case.json (config, weights by formula, tolerance) and data.safetensors (inputs,
// outputs).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "gigacat/models/shape.h"
#include "gigacat/nn/state.h"

namespace gigacat::golden {

// Element i of the weight called `name`: offset + scale * (2u - 1), u = (splitmix64(fnv1a64(name) + i) >> 40) / 2^24.
at::Tensor formula_tensor(const std::string& name, const std::vector<int64_t>& shape, double offset, double scale);

// Why a case cannot be run here.
struct Skip {
  std::string reason;
};

class Case {
 public:
  // Errors: Error naming the folder and what is missing in it.
  explicit Case(const std::filesystem::path& folder);

  // Inputs, and the networks that fill() fills, are on the CPU until another device is named.
  void place(at::Device device);

  const std::string& name() const { return name_; }
  at::Device device() const { return device_; }
  const nlohmann::json& config() const { return config_; }
  const nlohmann::json& description() const { return description_; }  // all of case.json
  bool has(const std::string& tensor) const { return data_.contains(tensor); }
  // A stored tensor, "input.z". Errors: Error when the case has none of that name.
  const at::Tensor& stored(const std::string& tensor) const;
  at::Tensor labels(const std::string& tensor = "input.labels") const;

  // The manifest's weights by name without `prefix`, on the CPU as a file's are; all count as used.
  nn::TensorMap weights(const std::string& prefix = "");
  // An input given by formula. Errors: Error when the case has none of that name.
  at::Tensor formula_input(const std::string& input) const;
  // A file that the case names: below the case's folder or one of the folders above it. Errors: Skip where it is not.
  std::filesystem::path find_file(const std::string& relative) const;

  // Moves a module to the device and fills its parameters and buffers from the manifest; names there carry `prefix`.
  // Each manifest entry may be used once. Errors: Error for weights that are missing (position tables may be: they are
  // built), unused or misshapen.
  void fill(torch::nn::Module& module, const std::string& prefix = "");
  // Errors: Error when manifest entries were used by no fill().
  void check_all_used() const;
  // Parameters in the order of the case's vectors: `network` "" is the manifest's order, otherwise order[network].
  std::vector<std::string> order(const std::string& network = "") const;

  // Compares a computed tensor with the stored output of that name at the case's tolerance.
  void compare(const std::string& output, const at::Tensor& computed);
  // The same with `allowed` as the largest absolute difference, or as a share of the output's largest magnitude (at the
  // case's "relative" tolerance).
  void compare_within(const std::string& output, const at::Tensor& computed, double allowed);
  void compare_relative(const std::string& output, const at::Tensor& computed, double allowed);
  void compare_relative(const std::string& output, const at::Tensor& computed);
  // A number of the case's tolerances, by its keys. Errors: Error when there is none.
  double tolerance(const std::string& key, const std::string& below = "") const;
  // An output that records what is not to be matched.
  void leave_out(const std::string& output) { compared_.insert(output); }
  const nn::TensorMap& data() const { return data_; }
  // Counts an output as compared: it is off by that much, of what is allowed.
  void judge(const std::string& output, double off, double allowed);
  // Counts an output as seen that is not a target: the reference's own error, or of a network that is not built here.
  void skip(const std::string& output) { compared_.insert(output); }
  // Norms and first values of one tensor per parameter: compares PREFIX_norm and PREFIX_head. Undefined entries count
  // as zero.
  void compare_vectors(const std::string& prefix, const std::vector<at::Tensor>& values);
  // Problems so far, and outputs that nothing was compared with.
  std::vector<std::string> finish();
  double worst() const { return worst_; }  // largest deviation as a share of what is allowed

 private:
  double factor_of(const std::string& output, bool by_entry_or_row) const;
  std::vector<bool> skipped_rows(const std::string& output, int64_t rows) const;

  at::Tensor formula(const nlohmann::json& entry) const;

  std::filesystem::path folder_;
  at::Device device_ = at::kCPU;
  std::string name_;
  nlohmann::json description_, config_;
  nn::TensorMap data_;
  std::set<std::string> used_, compared_;
  std::vector<std::string> problems_;
  double worst_ = 0;
};

}  // namespace gigacat::golden
