#include "gigacat/weights/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/text.h"
#include "gigacat/weights/identify.h"
#include "gigacat/weights/known_weights.h"
#include "gigacat/weights/torch_file.h"

namespace gigacat::weights {

const at::Tensor& Weights::at(const std::string& name, const std::string& wanted) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) refuse(*this, wanted, cat("it has no tensor ", name));
  return found->second;
}

Weights read_weights(const std::filesystem::path& file) {
  if (!is_torch_file(file)) return {nn::read_tensors(file), file.string()};
  nn::TensorMap tensors = TorchFile(file).tensors();
  std::optional<IdentifiedWeights> known = identify(tensors);  // takes wrappers off the names
  return {known ? std::move(known->tensors) : std::move(tensors), file.string()};
}

std::vector<std::filesystem::path> weight_files(const std::string& given) {
  std::vector<std::filesystem::path> files;
  for (const std::string& part : split(given, ',')) {
    const std::filesystem::path path = locate(trim(part));
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    if (files.size() == before) fail(path.string(), " holds no .safetensors file");
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string short_hash(const std::vector<std::filesystem::path>& files) {
  std::string digests;
  for (const auto& file : files) digests += sha256_file(file);
  if (files.size() != 1) digests = sha256(std::as_bytes(std::span(digests)));
  return digests.substr(0, 8);
}

std::string describe(const nn::TensorMap& tensors) {
  if (tensors.empty()) return "no tensor";
  try {
    if (const auto known = identify(tensors)) return known->what;
  } catch (const Error& error) {
    return error.what();
  }
  return cat(tensors.size(), " tensors such as ", tensors.begin()->first);
}

void refuse(const Weights& weights, const std::string& wanted, const std::string& why) {
  fail(weights.origin, " holds ", describe(weights.tensors), ", where ", wanted, " is wanted: ", why);
}

void assign(torch::nn::Module& module, const Weights& weights, const std::string& wanted, const LoadOptions& options) {
  try {
    nn::assign_state(module, weights.tensors, "it", options.device, options.dtype);
  } catch (const Error& error) {
    refuse(weights, wanted, error.what());
  }
  module.eval();
}

}  // namespace gigacat::weights
