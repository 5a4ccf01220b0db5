// Images: decoding hostile files into uint8 RGB, encoding, grids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gigacat/core/error.h"

namespace gigacat::io {

// Row-major interleaved pixels.
struct Image {
  int64_t height = 0, width = 0, channels = 3;
  std::vector<uint8_t> pixels;  // [H, W, C]
  static Image filled(int64_t height, int64_t width, int64_t channels, uint8_t value = 255) {
    return {height, width, channels, std::vector<uint8_t>(static_cast<size_t>(height * width * channels), value)};
  }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
};

struct DecodeOptions {
  uint8_t background = 255;            // what transparent pixels are composited on: 255 white, 0 black
  uint64_t most_pixels = 100'000'000;  // refused before decoding by the header's size
  bool keep_alpha = false;             // RGBA where the file has an alpha channel
  bool as_stored =
      false;  // alpha dropped and no EXIF orientation, as PIL's open().convert("RGB"), which evaluators use
};

// What a file's first bytes say.
struct ImageHeader {
  std::string format;             // "jpeg", "png", "webp", "gif", "bmp"
  int64_t height = 0, width = 0;  // as stored, before the orientation is applied
  int orientation = 1;            // EXIF's, 1 to 8; from 5 on the sides are exchanged
};
// `bytes` may be a prefix of the file; an EXIF block beyond it is not seen.
// Errors: Error when the bytes are no image of a known format or are cut within the header.
ImageHeader probe_image(std::span<const std::byte> bytes, std::string_view name);

// Decodes JPEG, PNG, WebP or BMP into RGB: EXIF orientation applied, alpha composited, grey and palette expanded,
// 16-bit reduced to its high byte, CMYK JPEG by Adobe's inverted convention. Truncated files are errors, never grey
// halves. Errors: Error naming `name` and the fault.
Image decode_image(std::span<const std::byte> bytes, std::string_view name, const DecodeOptions& options = {});

// The ICC profile of the RGB pixels of a JPEG, PNG or WebP; "" where there is none, it is damaged or one of grey or
// CMYK samples.
std::string icc_profile(std::span<const std::byte> file);

// Keys and values of text in a PNG file, in their order. Keys: 1 to 79 characters of ASCII; values: UTF-8.
using PngTexts = std::vector<std::pair<std::string, std::string>>;
// The texts of a PNG file (tEXt, zTXt, iTXt). Errors: Error naming `name` when it is no PNG or is damaged.
PngTexts png_texts(std::span<const std::byte> file, std::string_view name);

// PNG of a grey (1), RGB (3) or RGBA (4) image, `compression` from 0 (none) to 9 (smallest). Errors: InternalError for
// other channels or keys.
std::string encode_png(const Image& image, int compression = 3);
std::string encode_png(const Image& image, const PngTexts& texts, int compression = 3);
// JPEG of a grey or RGB image, WebP of an RGB or RGBA image (lossless where quality is over 100), with a colour profile
// unless `icc` is "". Errors: InternalError for other channels, Error for sides that the format does not have.
std::string encode_jpeg(const Image& image, int quality = 95, const std::string& icc = "");
std::string encode_webp(const Image& image, int quality = 95, const std::string& icc = "");

// Resampling as guided-diffusion's centre crop does it: box halvings while the short side is at least twice `size`,
// then PIL's bicubic, then the middle size x size cut. Source: guided-diffusion image_datasets.center_crop_arr.
Image center_crop_adm(const Image& image, int64_t size);
// PIL-bicubic (a = -0.5, antialias, rounded after each pass) to height x width.
Image resize_bicubic(const Image& image, int64_t height, int64_t width);
// The same with PIL's Lanczos (three lobes), box and bilinear (a triangle).
Image resize_lanczos(const Image& image, int64_t height, int64_t width);
Image resize_box(const Image& image, int64_t height, int64_t width);
Image resize_bilinear(const Image& image, int64_t height, int64_t width);
// The middle square of the short side. `half_to_even`: its offset is (long - short) / 2 rounded to the even neighbour,
// as torchvision's center_crop does; otherwise rounded down, as StyleGAN's and CMMD's do.
Image crop_square(const Image& image, bool half_to_even);
// Short side to `size` by resize_bicubic, long side in proportion, rounded down, then the middle size x size cut with
// offsets rounded to even. Source: OpenAI CLIP's preprocessing by torchvision.
Image resize_and_crop_clip(const Image& image, int64_t size);

// Resampling in float32 without rounding, as the evaluators of generated images do it.
enum class Resampling {
  tf1_bilinear,  // TensorFlow 1's resize_bilinear: no half-pixel centres, no antialias; guided-diffusion, StyleGAN
  bilinear,      // half-pixel centres, no antialias; pytorch-fid, clean-fid's legacy_pytorch
  bicubic,       // PIL's of mode F (a = -0.5, antialias), clipped to 0..255; clean-fid's clean
  lanczos,       // PIL's of mode F, clipped
  box,           // PIL's of mode F
};
// RGB or grey image to planes [3, height, width], 0..255 (grey: three equal planes). Errors: InternalError for other
// channel counts or sizes that do not fit.
void resize_planes(const Image& image, Resampling method, int64_t height, int64_t width, std::span<float> planes);

// A window; the image mirrored left to right.
Image crop(const Image& image, int64_t y, int64_t x, int64_t height, int64_t width);
Image flip_horizontal(const Image& image);

// Images of one size in rows of `columns` with `gap` pixels of `fill` between them. Errors: InternalError for unequal
// sizes.
Image make_grid(const std::vector<Image>& images, int64_t columns, int64_t gap = 2, uint8_t fill = 255);

// A grey or RGB grid of captions.size() rows, `gap` pixels apart, with each row's caption black on white at its left.
// A caption breaks into the lines that its row has room for and is cut after them; a character that DejaVu Sans lacks
// shows as a box. Errors: InternalError when the height is not that of so many rows.
Image caption_rows(const Image& grid, const std::vector<std::string>& captions, int64_t gap = 2);

// float pixels in [-1, 1], planes [C, H, W] with C = 1 or 3, to RGB, rounded and clamped.
Image from_planes(std::span<const float> planes, int64_t channels, int64_t height, int64_t width);

}  // namespace gigacat::io
