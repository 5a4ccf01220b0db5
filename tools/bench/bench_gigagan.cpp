// Time and peak memory of GigaGAN's layers, forward and backward, beside the ways their definitions read. float32.
//
//   bench_gigagan [--batch 4] [--rounds 5] [--only conv|attention]
//
// The two take turns, and the fastest round counts. Memory is what the process grew by at its highest, gradients
// included.
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>

#include "gigacat/core/error.h"
#include "gigacat/core/random.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/modulated_conv.h"
#include "train/precision.h"
#include "train/stopwatch.h"

using namespace gigacat;

namespace {

using Inputs = std::vector<at::Tensor>;
using Layer = std::function<at::Tensor(const Inputs&)>;

struct Figure {
  double milliseconds = 1e30, megabytes = 0;
};

at::Tensor random(at::IntArrayRef shape, const char* purpose) {
  at::Tensor values = at::empty(shape);
  Stream(0, purpose).normal(0, 0, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  return values;
}

// The kernel then counts its peak anew.
void forget_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

double pass(const Layer& layer, const Inputs& values) {
  Inputs in;
  for (const at::Tensor& value : values) in.push_back(value.detach().requires_grad_(true));
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor y = layer(in);
  y.backward(at::ones_like(y));
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double megabytes(const Layer& layer, const Inputs& values) {
  forget_peak();
  const double before = train::memory_used(at::kCPU).resident;
  pass(layer, values);
  return (train::memory_used(at::kCPU).peak_resident - before) / 1048576;
}

void compare(const std::string& name, const Layer& plain, const Layer& ours, const Inputs& values, int rounds) {
  Figure of_plain, of_ours;
  of_plain.megabytes = megabytes(plain, values);
  of_ours.megabytes = megabytes(ours, values);
  for (int i = 0; i < rounds; ++i) {
    of_plain.milliseconds = std::min(of_plain.milliseconds, pass(plain, values));
    of_ours.milliseconds = std::min(of_ours.milliseconds, pass(ours, values));
  }
  std::printf("| %s | %.1f | %.1f | %.2f | %.0f | %.0f | %.2f |\n", name.c_str(), of_plain.milliseconds,
              of_ours.milliseconds, of_plain.milliseconds / of_ours.milliseconds, of_plain.megabytes, of_ours.megabytes,
              of_ours.megabytes / of_plain.megabytes);
  std::fflush(stdout);
}

void head(const char* what) {
  std::printf(
      "| %s | plain, ms | gigacat, ms | speed | plain, MiB | gigacat, MiB | memory |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n",
      what);
}

struct Shape {
  int64_t side, channels, bank;
};

void convolutions(int64_t batch, int rounds) {
  head("adaptive convolution");
  const std::vector<Shape> shapes{{8, 1600, 1}, {16, 1024, 2}, {32, 512, 4}, {64, 256, 8}, {16, 64, 2}, {32, 32, 4}};
  for (const auto& [side, channels, bank] : shapes) {
    const Inputs values{random({batch, channels, side, side}, "x"), random({bank, channels, channels, 3, 3}, "bank"),
                        at::softmax(random({batch, bank}, "selection"), 1), random({batch, channels}, "style") + 1};
    const auto layer = [bank = bank](auto convolution) {
      return [bank, convolution](const Inputs& in) {
        return convolution(in[0], in[1], bank > 1 ? in[2] : at::Tensor(), in[3], nn::ModulatedOptions{});
      };
    };
    char name[64];
    std::snprintf(name, sizeof(name), "%lld px, %lld channels, N = %lld", static_cast<long long>(side),
                  static_cast<long long>(channels), static_cast<long long>(bank));
    compare(name, layer(nn::adaptive_conv_reference), layer(nn::adaptive_conv), values, rounds);
  }
}

at::Tensor naive_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor distances = q.square().sum(-1, true) + k.square().sum(-1).unsqueeze(2) -
                               2 * at::matmul(q, k.transpose(2, 3));  // [B, h, T, S]
  return at::matmul(at::softmax(-distances * scale, -1), v);
}

void attentions(int64_t batch, int rounds) {
  head("L2 attention, 8 heads of 64");
  for (const int64_t tokens : {1024, 4096}) {
    const int64_t images = tokens > 1024 ? 1 : batch;
    const std::vector<int64_t> shape{images, 8, tokens, 64};
    const Inputs values{random(shape, "q"), random(shape, "k"), random(shape, "v")};
    const Layer plain = [](const Inputs& in) { return naive_attention(in[0], in[1], in[2]); };
    const Layer ours = [](const Inputs& in) { return nn::l2_attention(in[0], in[1], in[2]); };
    compare(std::to_string(tokens) + " tokens, " + std::to_string(images) + " images", plain, ours, values, rounds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  int64_t batch = 4;
  int rounds = 5, threads = 0;
  std::string only;
  CLI::App app("Times GigaGAN's layers beside the ways their definitions read");
  app.add_option("--batch", batch, "images")->check(CLI::Range(1, 64));
  app.add_option("--rounds", rounds, "timed rounds")->check(CLI::Range(1, 1000));
  app.add_option("--threads", threads, "threads; 0: LibTorch's choice");
  app.add_option("--only", only, "conv or attention")->check(CLI::IsMember({"conv", "attention"}));
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) at::set_num_threads(threads);
  if (only != "attention") convolutions(batch, rounds);
  if (only != "conv") attentions(batch, rounds);
  return 0;
}
