// What `train.precision` means: autocast around the forward pass, TF32 switches, loss scaling.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace gigacat::train {

// While one lives, matrix products of this thread run in `type` on the device; without a type it does nothing. The
// outermost one drops the casts of weights at its end: they hold only as long as the weights do not change.
class Autocast {
 public:
  Autocast(at::DeviceType device, std::optional<at::ScalarType> type);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool active_, enabled_before_ = false;
  at::ScalarType type_before_ = at::kFloat;
};

class Precision {
 public:
  // "fp32", "tf32", "bf16", "fp16". Sets the process's TF32 switches: on for tf32 alone.
  Precision(const std::string& name, at::Device device);
  Autocast autocast() const { return Autocast(device_, type_); }
  bool scales_loss() const { return type_ == at::kHalf; }

 private:
  at::DeviceType device_;
  std::optional<at::ScalarType> type_;
};

// Lets the C library keep freed memory for the next tensors. By itself it returns large blocks to the system and has
// every page of them cleared again at the next step, which costs some 6 % of a step on a CPU.
void keep_freed_memory();

}  // namespace gigacat::train
