#include "gigacat/data/inspect.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>
#include <span>

#include "data/prepare.h"
#include "gigacat/core/error.h"
#include "gigacat/core/parallel.h"
#include "gigacat/core/progress.h"
#include "gigacat/data/loader.h"
#include "gigacat/io/enlarge.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

namespace {

constexpr size_t kMostListed = 20;
constexpr int64_t kMostQuiet = 10'000;  // samples of an inspection without a closing line

std::string size_text(int64_t height, int64_t width) { return cat(width, "x", height); }

// What one sample adds to an inspection.
struct Look {
  bool labelled = false, captioned = false;
  std::string size;   // "WxH"
  std::string fault;  // "" when the sample is good
};

std::string latent_size(const RawSample& sample) {
  const io::FloatArray array = io::read_npy_float(sample.bytes, sample.name);
  if (array.shape.size() < 2) fail(sample.name, " is [", join(array.shape), "], which is no latent");
  const bool finite = std::all_of(array.values.begin(), array.values.end(), [](float v) { return std::isfinite(v); });
  if (!finite) fail(sample.name, " holds values that are not finite");
  return size_text(array.shape[array.shape.size() - 2], array.shape.back());
}

// Size as stored; the sample is taken through all that the loader does to it, where the config sets a size.
std::string image_size(const RawSample& sample, const DataConfig& config, int64_t position) {
  const io::ImageHeader header = io::probe_image(std::as_bytes(std::span<const char>(sample.bytes)), sample.name);
  if (config.target_height() > 0) {
    std::vector<uint8_t> planes(static_cast<size_t>(config.channels * config.target_height() * config.target_width()));
    decode_sample(sample, config, 0, position, planes.data());
  } else {
    decode(sample.bytes, sample.name, config);
  }
  return size_text(header.height, header.width);
}

Look look_at(const Source& source, const DataConfig& config, int64_t index) {
  Look look;
  try {
    const RawSample sample = source.read(index);
    look.labelled = sample.label >= 0;
    look.captioned = !sample.caption.empty();
    if (source.content() == Content::image)
      look.size = image_size(sample, config, index);
    else if (source.content() == Content::pixels)
      look.size = size_text(source.pixel_shape()[0], source.pixel_shape()[1]);
    else
      look.size = latent_size(sample);
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    look.fault = error.what();
    if (look.fault.find(source.name(index)) == std::string::npos)
      look.fault = cat(source.name(index), ": ", look.fault);
  }
  return look;
}

void count(Look& look, Inspection& result) {
  result.with_label += look.labelled;
  result.with_caption += look.captioned;
  if (look.fault.empty()) {
    ++result.sizes[look.size];
    return;
  }
  ++result.bad;
  if (result.first_bad.size() < kMostListed) result.first_bad.push_back(look.fault);
}

// Colour range of a latent's first three channels stretched to bytes.
io::Image latent_image(const RawSample& sample) {
  const io::FloatArray array = io::read_npy_float(sample.bytes, sample.name);
  const size_t axes = array.shape.size();
  if (axes < 3) fail(sample.name, " is no latent");
  const int64_t height = array.shape[axes - 2], width = array.shape[axes - 1], plane = height * width;
  const int64_t channels = array.shape[axes - 3] >= 3 ? 3 : 1;
  std::vector<float> values(array.values.begin(), array.values.begin() + channels * plane);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float middle = (*low + *high) / 2, half = std::max((*high - *low) / 2, 1e-6f);
  for (float& value : values) value = (value - middle) / half;
  return io::from_planes(values, channels, height, width);
}

io::Image tile(const Source& source, const DataConfig& config, int64_t index) {
  const RawSample sample = source.read(index);
  if (is_latent(source.content())) return latent_image(sample);
  if (source.content() == Content::image) return fit(decode(sample.bytes, sample.name, config), config, 0, index);
  io::Image image{
      .height = source.pixel_shape()[0], .width = source.pixel_shape()[1], .channels = source.pixel_shape()[2]};
  image.pixels.assign(sample.bytes.begin(), sample.bytes.end());
  return fit(std::move(image), config, 0, index);
}

// Grids are RGB.
io::Image to_rgb(const io::Image& image) {
  if (image.channels == 3) return image;
  io::Image rgb{.height = image.height, .width = image.width, .channels = 3};
  rgb.pixels.reserve(image.pixels.size() * 3);
  for (const uint8_t value : image.pixels) rgb.pixels.insert(rgb.pixels.end(), 3, value);
  return rgb;
}

}  // namespace

Inspection inspect(const Source& source, const DataConfig& config, int64_t limit) {
  Inspection result;
  const int64_t looks = limit > 0 ? std::min(limit, source.size()) : source.size();
  result.samples = looks;
  std::vector<Look> seen(looks);
  const auto began = std::chrono::steady_clock::now();
  Progress progress("inspecting", "sample", looks);
  std::mutex mutex;
  int64_t done = 0;
  parallel_for(looks, config.worker_count(), [&](int64_t i) {
    seen[i] = look_at(source, config, i * source.size() / looks);
    const std::lock_guard lock(mutex);
    progress.update(++done);
  });
  if (looks >= kMostQuiet) progress.finish();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  result.images_per_second = static_cast<double>(looks) / std::max(took.count(), 1e-9);
  for (Look& look : seen) count(look, result);
  for (int64_t i = 0; i < source.size(); ++i) {
    if (const int64_t label = source.label(i); label >= 0) ++result.classes[label];
  }
  result.format = source.format();
  result.left_out = source.left_out();
  result.identity = identity_of(source);
  result.provenance = source.provenance();
  return result;
}

std::string contact_sheet(const Source& source, const DataConfig& config, int64_t rows, int64_t columns) {
  if (rows <= 0 || columns <= 0) fail<UsageError>("a contact sheet needs at least one row and column");
  constexpr int64_t kTile = 128;
  DataConfig sized = config;
  if (sized.target_height() <= 0 || sized.target_width() <= 0) sized.height = sized.width = kTile;
  std::vector<io::Image> tiles;
  const int64_t wanted = std::min(rows * columns, source.size());
  for (int64_t i = 0; i < wanted; ++i) {
    try {
      tiles.push_back(to_rgb(tile(source, sized, i * source.size() / wanted)));
    } catch (const InternalError&) {
      throw;
    } catch (const Error&) {
      continue;  // inspect() names the bad ones
    }
  }
  if (tiles.empty()) fail("none of the samples chosen for the contact sheet can be read");
  const int64_t height = tiles.front().height, width = tiles.front().width;  // latents may differ
  std::erase_if(tiles, [&](const io::Image& image) { return image.height != height || image.width != width; });
  return io::encode_png(io::enlarged_grid(tiles, columns));
}

}  // namespace gigacat::data
