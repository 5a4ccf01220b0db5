// Autocast of this thread for a scope.
#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>

namespace gigacat::nn {

struct AutocastState {
  bool enabled;
  at::ScalarType type;
  // As it stands now for tensors of a device.
  static AutocastState current(at::DeviceType device) {
    return {at::autocast::is_autocast_enabled(device), at::autocast::get_autocast_dtype(device)};
  }
};

// Holds a state while it lives and brings back the one before.
class AutocastScope {
 public:
  AutocastScope(at::DeviceType device, AutocastState state) : device_(device), before_(AutocastState::current(device)) {
    set(state);
  }
  ~AutocastScope() { set(before_); }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  void set(AutocastState state) {
    at::autocast::set_autocast_enabled(device_, state.enabled);
    at::autocast::set_autocast_dtype(device_, state.type);
  }
  at::DeviceType device_;
  AutocastState before_;
};

// While one lives, operations on the device of x (any shape) run in the types they are given. GigaGAN's islands of
// float32 are what holds one: demodulation, norms, the mapping, distances of L2 attention, minibatch deviation, R1.
class FloatIsland : public AutocastScope {
 public:
  explicit FloatIsland(const at::Tensor& x)
      : AutocastScope(x.device().type(), {false, AutocastState::current(x.device().type()).type}) {}
};

}  // namespace gigacat::nn
