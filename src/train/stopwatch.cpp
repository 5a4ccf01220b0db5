#include "train/stopwatch.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <fstream>
#include <string>

namespace gigacat::train {

void Stopwatch::begin(bool exact) {
  exact_ = exact || device_.is_cpu();
  if (!exact_ || device_.is_cpu()) return;
  synchronize(device_);
  seconds_ = {};
  last_ = std::chrono::steady_clock::now();
}

void Stopwatch::mark(Part part) {
  if (!exact_) return;
  synchronize(device_);
  const auto now = std::chrono::steady_clock::now();
  seconds_[static_cast<size_t>(part)] += std::chrono::duration<double>(now - last_).count();
  last_ = now;
}

std::array<double, 4> Stopwatch::take() {
  double total = 0;
  for (const double seconds : seconds_) total += seconds;
  std::array<double, 4> fractions{0, 0, 0, 1};
  if (total > 0)
    for (size_t i = 0; i < fractions.size(); ++i) fractions[i] = seconds_[i] / total;
  seconds_ = {};
  return fractions;
}

void synchronize(at::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

Memory memory_used(at::Device device) {
  Memory memory;
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    double kib = 0;
    if (key == "VmRSS:" && status >> kib) memory.resident = kib * 1024;
    if (key == "VmHWM:" && status >> kib) memory.peak_resident = kib * 1024;
  }
  if (device.is_cpu()) return memory;
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  const auto& bytes = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  memory.device = static_cast<double>(bytes.current);
  memory.peak_device = static_cast<double>(bytes.peak);
  return memory;
}

}  // namespace gigacat::train
