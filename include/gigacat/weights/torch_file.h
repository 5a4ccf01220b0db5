// Files of torch.save and TorchScript archives, read and written as data: nothing in them is executed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/io/pickle.h"
#include "gigacat/nn/state.h"

namespace gigacat::weights {

// A file of torch.save, in its zip form (PyTorch 1.6 and later) or the older form of several pickles, or a TorchScript
// archive, of which the attributes are read and the code is not. Storages stay mapped.
class TorchFile {
 public:
  // Errors: Error naming the file and the fault: neither form, damaged, a pickle that io::PickleArena refuses.
  explicit TorchFile(const std::filesystem::path& path);
  ~TorchFile();
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  const io::PickleValue& root() const;
  // The tensor that a value stands for, or nothing when it stands for something else. Not to be written to.
  // Errors: Error for sizes that do not fit the storage and for storages that are missing or of an unknown type.
  std::optional<at::Tensor> tensor(const io::PickleValue& value) const;
  // All tensors below a value, by their keys joined with dots; those of modules that were saved whole have the names of
  // their state dict. Errors: as tensor(), and for values nested more than 64 deep or referred to millions of times.
  nn::TensorMap tensors(const io::PickleValue& value) const;
  nn::TensorMap tensors() const { return tensors(root()); }

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// True when the file begins as one that TorchFile reads.
bool is_torch_file(const std::filesystem::path& path);

// Builds a file that torch.load reads with weights_only=True.
class TorchWriter {
 public:
  // Values of the file; the arena must be used for all of them.
  io::PickleArena& arena() { return arena_; }
  // A value for a CPU tensor of any shape, stored contiguous.
  io::PickleValue* tensor(const at::Tensor& tensor);
  // A dictionary of tensors by name, in the order of `names`.
  io::PickleValue* tensors(const nn::TensorMap& tensors, const std::vector<std::string>& names);
  // Writes atomically. Errors: Error (system); InternalError for a tensor of a type that torch has no storage for.
  void write(const std::filesystem::path& path, const io::PickleValue& root) const;

 private:
  io::PickleArena arena_;
  std::vector<at::Tensor> storages_;
};

}  // namespace gigacat::weights
