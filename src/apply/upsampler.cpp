// Letters: H x W image, S scale of one pass.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "apply/pixels.h"
#include "apply/tiling.h"
#include "gigacat/apply/upsample.h"
#include "gigacat/core/error.h"
#include "gigacat/core/random.h"

namespace gigacat::apply {
namespace {

constexpr uint64_t kMemory = 1ull << 30;

// [3, H, W] in [0, 1] of the first three channels.
at::Tensor to_planes(const io::Image& image) {
  const at::Tensor bytes =
      at::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, image.channels}, at::kByte);
  return bytes.narrow(2, 0, 3).permute({2, 0, 1}).to(at::kFloat).div_(255).contiguous();
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

// Alpha as a grey image of the new size beside the colours.
io::Image with_alpha(const io::Image& colours, const io::Image& original) {
  io::Image alpha{original.height, original.width, 3, std::vector<uint8_t>(original.pixels.size() / 4 * 3)};
  for (size_t i = 0; i < original.pixels.size() / 4; ++i)
    for (size_t c = 0; c < 3; ++c) alpha.pixels[3 * i + c] = original.pixels[4 * i + 3];
  alpha = io::resize_bicubic(alpha, colours.height, colours.width);
  io::Image joined{colours.height, colours.width, 4, std::vector<uint8_t>(colours.pixels.size() / 3 * 4)};
  for (size_t i = 0; i < joined.pixels.size() / 4; ++i) {
    for (size_t c = 0; c < 3; ++c) joined.pixels[4 * i + c] = colours.pixels[3 * i + c];
    joined.pixels[4 * i + 3] = alpha.pixels[3 * i];
  }
  return joined;
}

}  // namespace

Upsampler::Upsampler(const std::filesystem::path& weights, const UpsampleOptions& options,
                     const pretrained::LoadOptions& where)
    : options_(options), where_(where), network_(pretrained::load_aura_sr(weights, where)) {
  const pretrained::AuraSrConfig& config = network_->config();
  file_ = std::filesystem::is_directory(weights) ? weights / "model.safetensors" : weights;
  const auto cells = int64_t{1} << config.down_mults.size();
  if (options_.tile == 0) options_.tile = config.input_image_size;
  if (options_.tile < cells || options_.tile % cells != 0)
    fail<UsageError>("a tile of ", options_.tile, " px does not fit the network: it must be a multiple of ", cells);
  options_.overlap = std::min(options_.overlap, options_.tile / 4);
  if (options_.scale < 2 || options_.scale > 64) fail<UsageError>("scale ", options_.scale, ": 2 to 64 are possible");
  for (int64_t reached = 1; reached < options_.scale; reached *= config.scale()) ++passes_;
  // The widest part of a tile: the last levels' branches and their input, at full size.
  const double side = static_cast<double>(options_.tile * config.scale());
  const double bytes = 8 * static_cast<double>(config.dim) * side * side * 4;
  const uint64_t memory = options_.memory > 0 ? options_.memory : kMemory;
  batch_ = std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(memory) / bytes), 1, 16);
}

// One pass of the network over [3, H, W] -> [3, S H, S W].
at::Tensor Upsampler::pass(const at::Tensor& image, int64_t number, const std::function<void(int64_t)>& progress) {
  const pretrained::AuraSrConfig& config = network_->config();
  if (folded_ != number) {
    at::Tensor z = at::empty({1, config.z_dim});
    Stream(options_.seed, "upsample.z")
        .normal(static_cast<uint64_t>(number), 0, {z.data_ptr<float>(), static_cast<size_t>(config.z_dim)});
    network_->fold(z.to(where_.device));
    folded_ = number;
  }
  const at::Tensor noise = place_noise(options_.seed, number, image.size(1), image.size(2));
  at::Tensor out = at::empty({3, image.size(1) * config.scale(), image.size(2) * config.scale()});
  int64_t done = 0;
  upscale(
      at::cat({image, noise}),
      {.tile = options_.tile,
       .scale = config.scale(),
       .blend = options_.blend,
       .overlap = options_.overlap,
       .batch = batch_},
      [&](const at::Tensor& tiles) {
        const at::Tensor on_device = tiles.to(where_.device);
        return network_->forward(on_device.narrow(1, 0, 3), on_device.narrow(1, 3, 3));
      },
      [&](const at::Tensor& rows) {
        out.narrow(1, done, rows.size(1)).copy_(rows);
        done += rows.size(1);
      },
      progress);
  return out;
}

io::Image Upsampler::operator()(const io::Image& image, const std::function<void(double)>& progress) {
  const int64_t step = network_->config().scale();
  const auto tiles_of = [&](int64_t number) {
    const auto factor = static_cast<int64_t>(std::pow(step, number));
    return count_tiles(image.height * factor, image.width * factor,
                       {.tile = options_.tile, .scale = step, .blend = options_.blend, .overlap = options_.overlap});
  };
  int64_t all = 0, before = 0;
  for (int64_t number = 0; number < passes_; ++number) all += tiles_of(number);

  at::Tensor planes = to_planes(image);
  for (int64_t number = 0; number < passes_; ++number) {
    planes = pass(planes, number, [&](int64_t tiles) {
      if (progress) progress(static_cast<double>(before + tiles) / static_cast<double>(all));
    });
    before += tiles_of(number);
  }
  io::Image colours = image_of(planes.mul_(255).round_().clamp_(0, 255).to(at::kByte));
  const int64_t height = image.height * options_.scale, width = image.width * options_.scale;
  if (colours.height != height) colours = io::resize_bicubic(colours, height, width);
  return image.channels == 4 ? with_alpha(colours, image) : colours;
}

}  // namespace gigacat::apply
