#include "gigacat/nn/random_draws.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "dist/device_random.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"

namespace gigacat::nn {

StreamDraws::StreamDraws(uint64_t seed, int64_t step, std::vector<int64_t> positions, at::Device device)
    : seed_(seed), step_(step), positions_(std::move(positions)), device_(device) {
  if (device_.is_cuda()) device_positions_ = dist::send(at::tensor(positions_, at::kLong), device_);
}

namespace {

int64_t product(at::IntArrayRef sizes) {
  int64_t n = 1;
  for (const int64_t size : sizes) n *= size;
  return n;
}

// [B, n] values, row i filled by fill(i, row); samples in parallel.
template <class T, class Fill>
at::Tensor rows(int64_t count, int64_t n, at::ScalarType type, const Fill& fill) {
  at::Tensor out = at::empty({count, n}, type);
  T* data = out.data_ptr<T>();
  at::parallel_for(0, count, std::max<int64_t>(1, 4096 / std::max<int64_t>(n, 1)), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) fill(i, std::span<T>(data + i * n, n));
  });
  return out;
}

}  // namespace

at::Tensor StreamDraws::normal(std::string_view purpose, at::IntArrayRef leading, at::IntArrayRef per_sample) const {
  const Stream stream(seed_, purpose);
  const int64_t count = static_cast<int64_t>(positions_.size()), outer = product(leading), inner = product(per_sample);
  const at::Tensor values = device_.is_cuda()
                                ? dist::device_normal(stream, step_, device_positions_, outer * inner)
                                : rows<float>(count, outer * inner, at::kFloat, [&](int64_t i, std::span<float> row) {
                                    stream.normal(step_, positions_[i], row);
                                  });
  std::vector<int64_t> shape = leading.vec();
  shape.push_back(count);
  shape.insert(shape.end(), per_sample.begin(), per_sample.end());
  return values.view({count, outer, inner}).transpose(0, 1).reshape(shape);
}

at::Tensor StreamDraws::uniform(std::string_view purpose, at::IntArrayRef per_sample) const {
  const Stream stream(seed_, purpose);
  const int64_t count = static_cast<int64_t>(positions_.size());
  const at::Tensor values =
      device_.is_cuda() ? dist::device_uniform(stream, step_, device_positions_, product(per_sample))
                        : rows<float>(count, product(per_sample), at::kFloat, [&](int64_t i, std::span<float> row) {
                            stream.uniform(step_, positions_[i], row);
                          });
  std::vector<int64_t> shape{count};
  shape.insert(shape.end(), per_sample.begin(), per_sample.end());
  return values.view(shape);
}

at::Tensor StreamDraws::chance(std::string_view purpose, double probability) const {
  return (uniform(purpose, {}) < probability).to(at::kFloat);
}

at::Tensor StreamDraws::integers(std::string_view purpose, int64_t low, int64_t high) const {
  const Stream stream(seed_, purpose);
  const int64_t count = static_cast<int64_t>(positions_.size());
  const at::Tensor values = rows<int64_t>(count, 1, at::kLong, [&](int64_t i, std::span<int64_t> row) {
    stream.integers(step_, positions_[i], low, high, row);
  });
  return dist::send(values.view({count}), device_);
}

}  // namespace gigacat::nn
