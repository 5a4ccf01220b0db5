// What an array of numbers holds: images in one of the forms in which people save them, or latents.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gigacat/data/source.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

// "float32 [8, 3, 16, 16]".
std::string array_text(const io::NpyHeader& header);

// Whether an axis of that length may be that of colours: grey or RGB.
constexpr bool is_colours(int64_t length) { return length == 1 || length == 3; }

// Between what the values of an array lie.
struct ValueRange {
  float low = 0, high = 0;
  bool whole = true, finite = true;  // all values are whole, finite numbers
  void add(std::span<const float> values);

  bool is_unit() const { return finite && low >= 0 && high <= 1; }
  bool is_symmetric() const { return finite && low >= -1 && high <= 1; }
  bool is_bytes() const { return finite && whole && low >= 0 && high <= 255; }

 private:
  bool any_ = false;
};

// Whether floats [C, H, W] or [H, W, C], of which only first and last axis matter, are an image rather than a latent of
// data.channels channels: one axis is that of colours, and the values are those of pixels.
bool looks_like_image(int64_t first, int64_t last, const ValueRange& range, int64_t channels);

// How the samples of an array of N are read.
struct ArrayLayout {
  enum class Scale { bytes, unit, symmetric, whole };  // as stored, 255 v, 127.5 (v + 1), v

  Content content = Content::pixels;
  int64_t height = 0, width = 0, channels = 0;  // of pixels
  bool channels_first = false;
  Scale scale = Scale::bytes;
  std::string text;  // for the log: "float32 [8, 3, 16, 16] in [0, 1], channels first: images"

  // Bytes [H, W, C] of one sample's values as they are stored. Errors: Error for values outside of the scale.
  std::string to_pixels(std::span<const std::byte> item, const io::NpyHeader& header, const std::string& name) const;
};

// Reads the layout off type, shape and values; `range` gives the values' and is only asked of floats. `where` stands
// for the array in errors. Errors: UsageError for what is neither images nor latents of data.channels.
ArrayLayout array_layout(const io::NpyHeader& header, const std::function<ValueRange()>& range,
                         const std::string& where, const DataConfig& config);

}  // namespace gigacat::data
