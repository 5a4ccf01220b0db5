// Letters: H x W image, S scale of one pass.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/random.h"
#include "gigacat/models/aura_sr/tile_upsampler.h"
#include "gigacat/models/model.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/image_tensor.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/config.h"
#include "gigacat/run/weight_source.h"
#include "gigacat/upsample/upsample.h"
#include "upsample/strip_resampler.h"
#include "upsample/tiling.h"

namespace gigacat::upsample {
namespace {

constexpr uint64_t kMemory = 1ull << 30;
constexpr double kProgram = 320 << 20;  // bytes of the program and its libraries
constexpr int64_t kMostAtOnce = 16;     // tiles

// [C, H, W] in [0, 1] of channels `first` and on.
at::Tensor to_planes(const io::Image& image, int64_t first, int64_t count) {
  return nn::to_pixels(image).narrow(0, first, count).to(at::kFloat).div_(255);
}

// Standard normal values of each pixel by seed and place, [3, H, W]: the same wherever a tile cuts them.
at::Tensor place_noise(uint64_t seed, int64_t pass, int64_t height, int64_t width) {
  const Stream stream(seed, "upsample.noise");
  at::Tensor noise = at::empty({3, height, width});
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t y = 0; y < height; ++y)
      stream.normal(static_cast<uint64_t>(3 * pass + c), static_cast<uint64_t>(y),
                    {noise[c][y].data_ptr<float>(), static_cast<size_t>(width)});
  return noise;
}

// The widest part of a tile: the last levels' branches and their input, at full size.
double bytes_of_tile(const models::TileUpsamplerSizes& sizes, int64_t tile) {
  const double side = static_cast<double>(tile * sizes.scale);
  return 10 * static_cast<double>(sizes.width) * side * side * 4;
}

// What is left for tiles and rows.
double usable(uint64_t memory) {
  const auto bytes = static_cast<double>(memory);
  return std::max(bytes - kProgram, bytes / 4);
}

// Sums of three colours and of weights over the rows that tiles in the making touch, for an image W wide.
double bytes_of_strip(const models::TileUpsamplerSizes& sizes, int64_t tile, int64_t width) {
  return 16 * static_cast<double>(4 * tile * sizes.scale) * static_cast<double>(width * sizes.scale);
}

}  // namespace

struct Upsampler::Network {
  std::unique_ptr<run::RunConfig> config;  // of a run's, with its model
  std::unique_ptr<models::Model> model;
  std::unique_ptr<models::TileUpsampler> tiles;
  fs::path file;  // of the weights
  nn::AutocastState autocast{false, at::kBFloat16};
  const models::TileUpsamplerSizes& sizes() const { return tiles->sizes(); }

  static Network open(const fs::path& weights, const weights::LoadOptions& where) {
    const bool is_folder = fs::is_directory(weights);
    Network opened;
    if (fs::exists((is_folder ? weights : fs::absolute(weights).parent_path()) / "config.yaml")) {
      const run::WeightSource source = run::find_weights(weights, "ema");
      opened.config = run::parse_config(read_file(source.config), source.config.string());
      opened.model = opened.config->build_model(nn::Init::zeros());
      nn::assign_state(opened.model->generator(), nn::read_tensors(source.weights), source.weights.string(),
                       where.device, at::kFloat);
      opened.model->generator().eval();
      opened.tiles = opened.model->tile_upsampler();
      opened.file = source.weights;
      opened.autocast.enabled = where.dtype != at::kFloat;
    } else {
      opened.tiles = models::aura_sr::load_tile_upsampler(weights, where);
      opened.file = is_folder ? weights / "model.safetensors" : weights;
    }
    return opened;
  }
};

Upsampler::Upsampler(const std::filesystem::path& weights, const UpsampleOptions& options,
                     const weights::LoadOptions& where)
    : options_(options), where_(where), network_(std::make_unique<Network>(Network::open(weights, where))) {
  const models::TileUpsamplerSizes& sizes = network_->sizes();
  if (options_.memory == 0) options_.memory = kMemory;
  if (options_.tile != 0 && (options_.tile < sizes.multiple || options_.tile % sizes.multiple != 0))
    fail<UsageError>("a tile of ", options_.tile, " px does not fit the network: it must be a multiple of ",
                     sizes.multiple);
  if (options_.scale == 0) options_.scale = sizes.scale;
  if (options_.scale < 2 || options_.scale > 64) fail<UsageError>("scale ", options_.scale, ": 2 to 64 are possible");
  for (int64_t reached = 1; reached < options_.scale; reached *= sizes.scale) ++passes_;
}

Upsampler::~Upsampler() = default;

int64_t Upsampler::tile(int64_t width) const {
  if (options_.tile > 0) return options_.tile;
  const models::TileUpsamplerSizes& sizes = network_->sizes();
  const auto is_too_much = [&](int64_t tile) {
    return bytes_of_tile(sizes, tile) + bytes_of_strip(sizes, tile, width) > usable(options_.memory);
  };
  int64_t tile = sizes.tile;
  while (tile % (2 * sizes.multiple) == 0 && is_too_much(tile)) tile /= 2;
  return tile;
}

Tiling Upsampler::tiling(int64_t width) const {
  const models::TileUpsamplerSizes& sizes = network_->sizes();
  const int64_t side = tile(width);
  const double left = usable(options_.memory) - bytes_of_strip(sizes, side, width);
  return {.tile = side,
          .scale = sizes.scale,
          .blend = options_.blend,
          .overlap = std::min(options_.overlap, side / 4),
          .batch = std::clamp<int64_t>(static_cast<int64_t>(left / bytes_of_tile(sizes, side)), 1, kMostAtOnce)};
}

void Upsampler::set_prompt(const std::string& caption) {
  if (!network_->sizes().reads_text || caption == options_.prompt) return;
  options_.prompt = caption;
  styled_ = -1;
}

std::string Upsampler::hash() const { return weights::short_hash({network_->file}); }

// One pass of the network over [3, H, W] -> rows [3, n, S W].
void Upsampler::pass(const at::Tensor& image, int64_t number, const std::function<void(const at::Tensor&)>& rows,
                     const std::function<void(int64_t)>& progress) {
  const models::TileUpsamplerSizes& sizes = network_->sizes();
  models::TileUpsampler& network = *network_->tiles;
  if (styled_ != number) {
    at::Tensor z = at::empty({1, sizes.z_dim});
    Stream(options_.seed, "upsample.z")
        .normal(static_cast<uint64_t>(number), 0, {z.data_ptr<float>(), static_cast<size_t>(sizes.z_dim)});
    network.set_style(z.to(where_.device), options_.prompt);
    styled_ = number;
  }
  const at::Tensor noise = place_noise(options_.seed, number, image.size(1), image.size(2));
  upscale(
      at::cat({image, noise}), tiling(image.size(2)),
      [&](const at::Tensor& tiles) {
        const nn::AutocastScope autocast(where_.device.type(), network_->autocast);
        const at::Tensor on_device = tiles.to(where_.device);
        return network.upsample(on_device.narrow(1, 0, 3), on_device.narrow(1, 3, 3));
      },
      rows, progress);
}

void Upsampler::run(const io::Image& image, const std::function<void(const io::Image&)>& strips,
                    const std::function<void(double)>& progress) {
  const int64_t step = network_->sizes().scale;
  const auto factor = [step](int64_t number) { return static_cast<int64_t>(std::pow(step, number)); };
  const auto tiles_of = [&](int64_t number) {
    return count_tiles(image.height * factor(number), image.width * factor(number),
                       tiling(image.width * factor(number)));
  };
  int64_t all = 0, before = 0;
  for (int64_t number = 0; number < passes_; ++number) all += tiles_of(number);
  const auto report = [&](int64_t tiles) {
    if (progress) progress(static_cast<double>(before + tiles) / static_cast<double>(all));
  };

  const int64_t height = image.height * options_.scale, width = image.width * options_.scale;
  const at::Tensor alpha = image.channels == 4 ? to_planes(image, 3, 1) : at::Tensor();
  int64_t done = 0;
  const auto give_out = [&](const at::Tensor& rows) {  // [3, n, S W]
    const int64_t last = done + rows.size(1);
    const at::Tensor whole = alpha.defined() ? at::cat({rows, resampled_rows(alpha, height, width, done, last)}) : rows;
    strips(nn::to_image((whole * 255).round_().clamp_(0, 255).to(at::kByte)));
    done = last;
  };
  StripResampler down(image.height * factor(passes_), height, width, give_out);

  at::Tensor planes = to_planes(image, 0, 3);
  for (int64_t number = 0; number < passes_; ++number) {
    if (number + 1 == passes_) {
      const bool is_exact = factor(passes_) == options_.scale;
      pass(
          planes, number, [&](const at::Tensor& rows) { is_exact ? give_out(rows) : down.add(rows); }, report);
      break;
    }
    at::Tensor larger = at::empty({3, planes.size(1) * step, planes.size(2) * step});
    int64_t filled = 0;
    pass(
        planes, number,
        [&](const at::Tensor& rows) {
          larger.narrow(1, filled, rows.size(1)).copy_(rows);
          filled += rows.size(1);
        },
        report);
    before += tiles_of(number);
    planes = larger;
  }
}

io::Image Upsampler::operator()(const io::Image& image, const std::function<void(double)>& progress) {
  io::Image whole{image.height * options_.scale, image.width * options_.scale, image.channels, {}};
  whole.pixels.reserve(static_cast<size_t>(whole.height * whole.width * whole.channels));
  run(
      image,
      [&](const io::Image& strip) {
        whole.pixels.insert(whole.pixels.end(), strip.pixels.begin(), strip.pixels.end());
      },
      progress);
  return whole;
}

}  // namespace gigacat::upsample
