#include "train/precision.h"

#include <malloc.h>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace gigacat::train {

Autocast::Autocast(at::DeviceType device, std::optional<at::ScalarType> type)
    : device_(device), active_(type.has_value()) {
  if (!active_) return;
  enabled_before_ = at::autocast::is_autocast_enabled(device_);
  type_before_ = at::autocast::get_autocast_dtype(device_);
  // A backward pass that computes blocks again leaves casts of weights that have been updated since.
  if (at::autocast::increment_nesting() == 1) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, *type);
}

Autocast::~Autocast() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, enabled_before_);
  at::autocast::set_autocast_dtype(device_, type_before_);
}

Precision::Precision(const std::string& name, at::Device device) : device_(device.type()) {
  if (name == "bf16") type_ = at::kBFloat16;
  if (name == "fp16") type_ = at::kHalf;
  at::globalContext().setAllowTF32CuBLAS(name == "tf32");
  at::globalContext().setAllowTF32CuDNN(name == "tf32");
}

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);         // all from the heap, none mapped and unmapped by itself
  mallopt(M_TRIM_THRESHOLD, -1);  // the heap never shrinks
  mallopt(M_TOP_PAD, 256 << 20);
#endif
}

}  // namespace gigacat::train
