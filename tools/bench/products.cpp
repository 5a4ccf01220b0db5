#include "products.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <utility>
#include <vector>

#include "gigacat/nn/transformer.h"
#include "train/stopwatch.h"

namespace gigacat::bench {
namespace {

constexpr int kRepeats = 5;

// y = x W^T with x [M, K], W [N, K].
struct Product {
  at::Tensor x, weight, y;
};

double run_all(std::vector<Product>& products, int repeats, at::Device device) {
  train::synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i)
    for (Product& p : products) at::mm_out(p.y, p.x, p.weight.t());
  train::synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double product_gflops(int64_t rows, int64_t width, at::ScalarType type, at::Device device) {
  const at::NoGradGuard no_grad;
  const at::TensorOptions options = at::TensorOptions(device).dtype(type);
  const int64_t hidden = nn::SwiGluImpl::hidden_width(width);
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {width, 3 * width}, {width, width}, {width, 2 * hidden}, {hidden, width}};
  std::vector<Product> products;
  double flop = 0;
  for (const auto& [in, out] : shapes) {
    products.push_back({at::ones({rows, in}, options), at::ones({out, in}, options), at::empty({rows, out}, options)});
    flop += 2.0 * static_cast<double>(rows * in * out);
  }
  run_all(products, 1, device);  // touches the memory
  return kRepeats * flop / run_all(products, kRepeats, device) / 1e9;
}

}  // namespace gigacat::bench
