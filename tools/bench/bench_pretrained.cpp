// Images a second of the frozen networks with random weights, on the CPU.
//
//   bench_pretrained [--benchmark_filter=inception]
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <cmath>

#include "gigacat/eval/statistics.h"
#include "gigacat/nn/state.h"
#include "gigacat/pretrained/autoencoder_kl.h"
#include "gigacat/pretrained/clip.h"
#include "gigacat/pretrained/dinov2.h"
#include "gigacat/pretrained/inception.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/pretrained/taesd.h"

using namespace gigacat;

namespace {

// Weights that keep the scale of what passes through.
template <class Module>
Module randomised(Module module) {
  for (const auto& [name, tensor] : nn::state_of(*module))
    tensor.normal_(0, 1 / std::sqrt(tensor.dim() > 1 ? static_cast<double>(tensor[0].numel()) : 100));
  return module;
}

// Runs `forward` on batches [B, C, S, S] and reports images a second.
template <class Forward>
void run(benchmark::State& state, int64_t channels, int64_t side, Forward&& forward) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::rand({state.range(0), channels, side, side});
  for (auto _ : state) benchmark::DoNotOptimize(forward(x));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void inception(benchmark::State& state) {
  auto network = randomised(pretrained::Inception());
  run(state, 3, 299, [&](const at::Tensor& x) { return network->forward(x).pool; });
}

void lpips_vgg(benchmark::State& state) {
  auto network = randomised(pretrained::Lpips(pretrained::LpipsNet::vgg));
  run(state, 3, 256, [&](const at::Tensor& x) { return network->forward(x, x.flip(3)); });
}

void taesd_encode(benchmark::State& state) {
  auto network = randomised(pretrained::Taesd(pretrained::TaesdConfig()));
  run(state, 3, 256, [&](const at::Tensor& x) { return network->encode(x); });
}

void taesd_decode(benchmark::State& state) {
  auto network = randomised(pretrained::Taesd(pretrained::TaesdConfig()));
  run(state, 4, 32, [&](const at::Tensor& x) { return network->decode(x); });
}

void kl_decode(benchmark::State& state) {
  auto network = randomised(pretrained::AutoencoderKl(pretrained::AutoencoderKlConfig()));
  run(state, 4, 32, [&](const at::Tensor& x) { return network->decode(x); });
}

void dinov2_b(benchmark::State& state) {
  const pretrained::Dinov2Config config{.width = 768, .depth = 12, .heads = 12, .hidden = 3072};
  auto network = randomised(pretrained::Dinov2(config));
  run(state, 3, 224, [&](const at::Tensor& x) { return network->forward(x).cls; });
}

void clip_b32(benchmark::State& state) {
  const pretrained::ClipConfig config{.text = {512, 12, 8, 2048}, .image = {768, 12, 12, 3072}};
  auto network = randomised(pretrained::Clip(config));
  run(state, 3, 224, [&](const at::Tensor& x) { return network->image(x).embedding; });
}

// The distance of two Gaussians of FID's width, square root and all.
void frechet(benchmark::State& state) {
  const at::Tensor mix = at::randn({state.range(0), state.range(0)}, at::kDouble) / 45;
  const auto gaussian = [&](const at::Tensor& rows) {
    eval::Moments moments;
    moments.add(rows);
    return moments.gaussian();
  };
  const at::Tensor rows = at::randn({2 * state.range(0), state.range(0)}, at::kDouble);
  const eval::Gaussian a = gaussian(rows), b = gaussian(at::matmul(rows, mix));
  for (auto _ : state) benchmark::DoNotOptimize(eval::frechet_distance(a, b));
}

}  // namespace

BENCHMARK(frechet)->Arg(2048)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(inception)->Arg(16)->Arg(50)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(lpips_vgg)->Arg(4)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(taesd_encode)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(taesd_decode)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(kl_decode)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(dinov2_b)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(clip_b32)->Arg(16)->Unit(benchmark::kMillisecond)->UseRealTime();
