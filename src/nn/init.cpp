#include "gigacat/nn/init.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "gigacat/core/random.h"

namespace gigacat::nn {
namespace {

constexpr int64_t kChunk = 4096;  // values of one counter "sample": fixed, so that threads do not matter

template <class Fill>
at::Tensor filled(at::IntArrayRef shape, const Fill& fill) {
  at::Tensor out = at::empty(shape, at::kFloat);
  float* data = out.data_ptr<float>();
  const int64_t count = out.numel();
  at::parallel_for(0, (count + kChunk - 1) / kChunk, 8, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kChunk;
      fill(chunk, std::span<float>(data + first, std::min(kChunk, count - first)));
    }
  });
  return out;
}

}  // namespace

Init Init::zeros() {
  Init init(0, "");
  init.zeros_ = true;
  return init;
}

Init Init::operator/(std::string_view child) const {
  Init init = *this;
  init.path_ += "." + std::string(child);
  return init;
}

at::Tensor Init::xavier_uniform(std::string_view name, at::IntArrayRef shape, double gain) const {
  if (zeros_) return at::zeros(shape, at::kFloat);
  double fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= static_cast<double>(shape[i]);
  const float bound = static_cast<float>(gain * std::sqrt(6.0 / (fan_in + static_cast<double>(shape[0]))));
  const Stream stream(seed_, "init." + path_ + "." + std::string(name));
  return filled(shape, [&](int64_t chunk, std::span<float> out) {
    stream.uniform(0, chunk, out);
    for (float& v : out) v = bound * (2 * v - 1);
  });
}

at::Tensor Init::normal(std::string_view name, at::IntArrayRef shape, double deviation) const {
  if (zeros_) return at::zeros(shape, at::kFloat);
  const Stream stream(seed_, "init." + path_ + "." + std::string(name));
  return filled(shape, [&](int64_t chunk, std::span<float> out) {
    stream.normal(0, chunk, out);
    for (float& v : out) v *= static_cast<float>(deviation);
  });
}

}  // namespace gigacat::nn
