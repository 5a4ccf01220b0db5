#include "data/array_layout.h"

#include <algorithm>
#include <cmath>

#include "data/latents.h"
#include "gigacat/core/error.h"

namespace gigacat::data {

namespace {

using Scale = ArrayLayout::Scale;

std::string type_text(const io::NpyHeader& header) {
  if (header.kind == 'b') return "bool";
  const std::string kind = header.kind == 'f' ? "float" : header.kind == 'u' ? "uint" : "int";
  return cat(kind, header.item * 8);
}

// Height, width and channels from the shape [N, ...] of images; false when no axis is that of colours.
bool set_size(const std::vector<int64_t>& shape, ArrayLayout& layout) {
  if (shape.size() == 3) {
    layout.height = shape[1], layout.width = shape[2], layout.channels = 1;
    return true;
  }
  layout.channels_first = !is_colours(shape[3]);
  if (layout.channels_first && !is_colours(shape[1])) return false;
  const size_t rows = layout.channels_first ? 2 : 1;
  layout.height = shape[rows], layout.width = shape[rows + 1];
  layout.channels = layout.channels_first ? shape[1] : shape[3];
  return true;
}

Scale scale_of(const ValueRange& range) {
  return range.is_unit() ? Scale::unit : range.is_symmetric() ? Scale::symmetric : Scale::whole;
}

std::string_view scale_text(Scale scale) {
  return scale == Scale::bytes       ? ""
         : scale == Scale::unit      ? " in [0, 1]"
         : scale == Scale::symmetric ? " in [-1, 1]"
                                     : " of whole numbers to 255";
}

[[noreturn]] void refuse(const io::NpyHeader& header, const std::string& where) {
  const std::vector<int64_t>& shape = header.shape;
  const bool four = shape.size() == 4 && (shape[1] == 4 || shape[3] == 4);
  const std::string_view hint =
      four                                     ? "; leave out the alpha channel of RGBA"
      : header.kind == 'b'                     ? "; convert it by (255 * a).astype(numpy.uint8)"
      : header.kind == 'u' && header.item == 2 ? "; convert it by (a // 257).astype(numpy.uint8)"
      : header.kind != 'f'                     ? "; where its values are in 0..255 convert it by .astype(numpy.uint8)"
                                               : "";
  fail<UsageError>(
      "data.path: ", where, " is ", array_text(header),
      "; wanted images, uint8 or floats [N, H, W, 1 or 3] or [N, 1 or 3, H, W], or latents, floats [N, C, H, W]", hint);
}

// Floats with an axis of colours whose values are neither those of pixels nor said to be latents.
[[noreturn]] void refuse_range(const io::NpyHeader& header, const ValueRange& range, const std::string& where) {
  fail<UsageError>("data.path: ", where, " is ", array_text(header), " with values from ", range.low, " to ",
                   range.high, range.finite ? "" : " and some that are not finite",
                   ": images have them in [0, 1], [-1, 1] or as whole numbers to 255; latents need data.kind=latents");
}

ArrayLayout float_layout(const io::NpyHeader& header, const ValueRange& range, const std::string& where,
                         const DataConfig& config) {
  const std::vector<int64_t>& shape = header.shape;
  ArrayLayout layout;
  const bool has_colours = set_size(shape, layout);
  const bool said = config.kind == "latents" && shape.size() == 4;
  const bool image = shape.size() == 3 ? range.is_symmetric() || range.is_bytes()
                                       : looks_like_image(shape[1], shape[3], range, config.channels);
  if (has_colours && image && !said) {
    layout.scale = scale_of(range);
    layout.text = cat(array_text(header), scale_text(layout.scale));
    return layout;
  }
  if (shape.size() != 4) refuse_range(header, range, where);
  const bool default_channels = is_colours(config.channels);
  if (has_colours && !said && default_channels) refuse_range(header, range, where);
  layout.content = latent_content(shape[1], where, config);
  layout.channels_first = true;
  layout.text = cat(array_text(header), " with values from ", range.low, " to ", range.high);
  return layout;
}

}  // namespace

std::string array_text(const io::NpyHeader& header) { return cat(type_text(header), " [", join(header.shape), "]"); }

void ValueRange::add(std::span<const float> values) {
  for (const float value : values) {
    if (!std::isfinite(value)) {
      finite = false;
      continue;
    }
    low = any_ ? std::min(low, value) : value;
    high = any_ ? std::max(high, value) : value;
    whole = whole && value == std::floor(value);
    any_ = true;
  }
}

bool looks_like_image(int64_t first, int64_t last, const ValueRange& range, int64_t channels) {
  if (!is_colours(first) && !is_colours(last)) return false;
  return range.is_symmetric() || (range.is_bytes() && is_colours(channels));
}

ArrayLayout array_layout(const io::NpyHeader& header, const std::function<ValueRange()>& range,
                         const std::string& where, const DataConfig& config) {
  const std::vector<int64_t>& shape = header.shape;
  if ((shape.size() != 3 && shape.size() != 4) || header.elements() <= 0) refuse(header, where);
  ArrayLayout layout;
  if (header.kind == 'f')
    layout = float_layout(header, range(), where, config);
  else if (header.kind != 'u' || header.item != 1 || !set_size(shape, layout))
    refuse(header, where);
  else
    layout.text = array_text(header);
  if (layout.content == Content::pixels)
    layout.text += cat(layout.channels_first ? ", channels first" : "", ": images of ", layout.width, "x",
                       layout.height, layout.scale == ArrayLayout::Scale::bytes ? "" : ", not latents");
  else
    layout.text += layout.content == Content::moments ? ": moments of latents" : ": latents";
  return layout;
}

std::string ArrayLayout::to_pixels(std::span<const std::byte> item, const io::NpyHeader& header,
                                   const std::string& name) const {
  std::string pixels;
  if (scale == Scale::bytes) {
    pixels.assign(reinterpret_cast<const char*>(item.data()), item.size());
  } else {
    std::string npy = io::npy_header(cat("<f", header.item), std::vector{height * width * channels});
    npy.append(reinterpret_cast<const char*>(item.data()), item.size());
    for (const float value : io::read_npy_float(npy, name).values) {
      const float byte = scale == Scale::unit ? value * 255 : scale == Scale::symmetric ? (value + 1) * 127.5f : value;
      // Beyond a rounding error it is no pixel; NaN fails the comparison.
      if (!(byte >= -0.5f && byte <= 255.5f)) fail("holds the value ", value, ", which is outside", scale_text(scale));
      pixels += static_cast<char>(static_cast<uint8_t>(std::clamp(std::nearbyint(byte), 0.0f, 255.0f)));
    }
  }
  if (!channels_first || channels == 1) return pixels;
  std::string turned(pixels.size(), '\0');
  const int64_t plane = height * width;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < plane; ++i) turned[i * channels + c] = pixels[c * plane + i];
  }
  return turned;
}

}  // namespace gigacat::data
