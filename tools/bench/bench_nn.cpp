// Speed of the parts of a GAT step at the sizes of the presets S and B, forward and backward, and of what follows it.
//
// N images, T + 1 tokens (latents of 32 x 32 in patches of 2, and the class token), D width.
#include <ATen/Functions.h>
#include <benchmark/benchmark.h>

#include "gigacat/models/gat/discriminator.h"
#include "gigacat/models/gat/generator.h"
#include "gigacat/train/optimizer.h"
#include "train/ema.h"

using namespace gigacat;
namespace gat = models::gat;

namespace {

constexpr int64_t kGrid = 16, kTokens = kGrid * kGrid + 1, kHead = 64, kDepth = 12;
constexpr models::ImageShape kShape = {.channels = 4, .height = 32, .width = 32, .num_classes = 1000};

template <class Config>
Config sizes(int64_t width) {
  auto config = config::defaults<Config>();
  config.depth = kDepth;
  config.hidden = width;
  config.heads = width / kHead;
  config.patch = 2;
  return config;
}

at::Tensor random(at::IntArrayRef shape, const char* purpose) {
  at::Tensor values = at::empty(shape);
  Stream(0, purpose).normal(0, 0, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  return values;
}

void set_rate(benchmark::State& state, double flop, int64_t images) {
  state.counters["FLOP/s"] = benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
  state.SetItemsProcessed(state.iterations() * images);
}

// Arguments N, D.
void attention(benchmark::State& state) {
  const int64_t images = state.range(0), width = state.range(1);
  nn::Attention layer(width, width / kHead, true, nn::Init(0, "D"));
  const nn::Rotary rotary = nn::rotary_table(kGrid, kGrid, kHead, 1);
  const at::Tensor x = random({images, kTokens, width}, "x").requires_grad_();
  for (auto _ : state) layer(x, rotary).sum().backward();
  const auto forward = static_cast<double>(images * kTokens * width * (8 * width + 4 * kTokens));
  set_rate(state, 3 * forward, images);
}

void block(benchmark::State& state) {
  const int64_t images = state.range(0), width = state.range(1);
  auto config = sizes<gat::DiscriminatorConfig>(width);
  config.depth = 1;  // block_flops counts the whole depth
  gat::Block layer(config, nn::Init(0, "D"));
  const nn::Rotary rotary = nn::rotary_table(kGrid, kGrid, kHead, 1);
  const at::Tensor x = random({images, kTokens, width}, "x").requires_grad_();
  for (auto _ : state) layer->forward(x, rotary, {}).sum().backward();
  set_rate(state, 3 * static_cast<double>(images) * gat::block_flops(config, {kTokens}), images);
}

void discriminator(benchmark::State& state) {
  const int64_t images = state.range(0);
  gat::Discriminator network(sizes<gat::DiscriminatorConfig>(state.range(1)), kShape, 4, 0, nn::Init(0, "D"));
  const at::Tensor x = random({4, images, kShape.channels, kShape.height, kShape.width}, "x");
  const at::Tensor labels = at::arange(images, at::kLong);
  for (auto _ : state) network(x, labels).logits.sum().backward();
  set_rate(state, 3 * static_cast<double>(images) * network->flops(), images);
}

// Clipping, AdamW and the moving average of a generator. Argument D.
void optimizer(benchmark::State& state) {
  const auto config = sizes<gat::GeneratorConfig>(state.range(0));
  gat::Generator network(config, kShape, nn::Init(0, "G")), average(config, kShape, nn::Init::zeros());
  const auto settings = config::defaults<run::OptimizerConfig>();
  train::Optimizer adam(*network, settings);
  train::Ema ema(*network, average.ptr(), settings);
  int64_t weights = 0;
  for (at::Tensor& parameter : network->parameters()) {
    parameter.mutable_grad() = at::full_like(parameter, 1e-3);
    weights += parameter.numel();
  }
  int64_t step = 0;
  for (auto _ : state) {
    adam.step(1e-4);
    ema.update(step++);
  }
  state.SetItemsProcessed(state.iterations() * weights);
}

const std::vector<std::vector<int64_t>> kCases = {{4, 16}, {384, 768}};
BENCHMARK(attention)->ArgsProduct(kCases)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(block)->ArgsProduct(kCases)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(discriminator)->Args({4, 384})->Args({4, 768})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(optimizer)->Arg(384)->Arg(768)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
