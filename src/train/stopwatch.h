// Where the time of a step goes.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <chrono>

namespace gigacat::train {

enum class Part { data, discriminator, generator, other };

// Splits wall-clock time into parts. A GPU works behind the clock's back: there only steps begun with `exact` are
// measured, and the device is waited for at each mark of theirs.
class Stopwatch {
 public:
  explicit Stopwatch(at::Device device) : device_(device) {}
  // At the beginning of each step. `exact`: this step's split will be shown.
  void begin(bool exact);
  // The time since the mark before belongs to `part`.
  void mark(Part part);
  // Fractions of the time measured since the last call, in the order of Part; they add up to 1.
  std::array<double, 4> take();

 private:
  at::Device device_;
  bool exact_ = true;
  std::array<double, 4> seconds_{};
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Waits until the device has done all that was asked of it; nothing on a CPU.
void synchronize(at::Device device);

struct Memory {
  double resident = 0, peak_resident = 0;  // bytes of the process in main memory
  double device = 0, peak_device = 0;      // bytes of tensors on the GPU
};
Memory memory_used(at::Device device);

}  // namespace gigacat::train
