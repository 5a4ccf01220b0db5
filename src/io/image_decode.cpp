#include <webp/decode.h>

#include <climits>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

// Samples keep their high byte.
uint8_t high_byte(uint8_t sample) { return sample; }
uint8_t high_byte(uint16_t sample) { return static_cast<uint8_t>(sample >> 8); }

uint8_t blend(int color, int alpha, int background) {
  return static_cast<uint8_t>((color * alpha + background * (255 - alpha) + 127) / 255);
}

// One row of grey, BGR or BGRA samples to RGB or, when alpha is kept, RGBA.
template <class Sample>
void row_to_rgb(const Sample* from, int channels, int64_t width, const DecodeOptions& options, uint8_t* to) {
  const int red = channels == 1 ? 0 : 2, green = channels == 1 ? 0 : 1;
  const bool keep = options.keep_alpha && channels == 4;
  for (int64_t x = 0; x < width; ++x, from += channels, to += keep ? 4 : 3) {
    to[0] = high_byte(from[red]);
    to[1] = high_byte(from[green]);
    to[2] = high_byte(from[0]);
    if (channels != 4 || options.as_stored) continue;
    const int alpha = high_byte(from[3]);
    if (keep) {
      to[3] = static_cast<uint8_t>(alpha);
      continue;
    }
    for (int c = 0; c < 3; ++c) to[c] = blend(to[c], alpha, options.background);
  }
}

Image to_rgb(const cv::Mat& mat, const DecodeOptions& options, std::string_view name) {
  const int channels = mat.channels(), depth = mat.depth();
  if ((depth != CV_8U && depth != CV_16U) || (channels != 1 && channels != 3 && channels != 4)) {
    fail(name, ": pixels of an unknown kind (", channels, " channels)");
  }
  Image image{
      .height = mat.rows, .width = mat.cols, .channels = options.keep_alpha && channels == 4 ? 4 : 3, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(image.height * image.width * image.channels));
  for (int y = 0; y < mat.rows; ++y) {
    if (depth == CV_8U) {
      row_to_rgb(mat.ptr<uint8_t>(y), channels, image.width, options, image.row(y));
    } else {
      row_to_rgb(mat.ptr<uint16_t>(y), channels, image.width, options, image.row(y));
    }
  }
  return image;
}

cv::Mat decode_opencv(Bytes bytes, int flags, std::string_view name, const ImageHeader& header) {
  if (bytes.size() > static_cast<size_t>(INT_MAX)) fail(name, ": an image file of ", bytes.size(), " bytes is refused");
  const cv::Mat file(1, static_cast<int>(bytes.size()), CV_8U, const_cast<std::byte*>(bytes.data()));
  cv::Mat mat = cv::imdecode(file, flags | cv::IMREAD_IGNORE_ORIENTATION);
  if (mat.empty()) fail(name, ": damaged or truncated ", header.format);
  if (mat.rows != header.height || mat.cols != header.width)
    fail(name, ": damaged ", header.format, ": it has two sizes");
  return mat;
}

// OpenCV expands transparency of palette and RGB, not that of one grey value.
void clear_transparent_grey(cv::Mat& mat, const PngParts& parts, uint8_t background) {
  constexpr int kGrey = 0;
  if (parts.color_type != kGrey || parts.transparency.size() < 2) return;
  int key = load_be<uint16_t>(as_bytes(parts.transparency), 0);
  if (parts.bit_depth < 8) key = key * 255 / ((1 << parts.bit_depth) - 1);
  mat.setTo(cv::Scalar(mat.depth() == CV_16U ? background * 257 : background), mat == key);
}

Image decode_png(Bytes bytes, std::string_view name, const ImageHeader& header, const DecodeOptions& options) {
  const PngParts parts = read_png(bytes, name);
  cv::Mat mat = decode_opencv(as_bytes(parts.file), cv::IMREAD_UNCHANGED, name, header);
  if (!options.as_stored && !options.keep_alpha) clear_transparent_grey(mat, parts, options.background);
  return to_rgb(mat, options, name);
}

// Not by OpenCV: a file that its WebP decoder refuses goes on to all others that were built into it, among them GDAL
// and GDCM, and what looks like DICOM to the latter can end the process by an assertion.
Image decode_webp(Bytes bytes, std::string_view name, const ImageHeader& header, const DecodeOptions& options) {
  if (load_le<uint32_t>(bytes, 4) > bytes.size() - 8) fail(name, ": truncated WebP");
  const auto* const data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures found;
  if (WebPGetFeatures(data, bytes.size(), &found) != VP8_STATUS_OK) fail(name, ": damaged or truncated webp");
  if (found.has_animation) fail(name, ": animated WebP is not supported");
  if (found.height != header.height || found.width != header.width) fail(name, ": damaged webp: it has two sizes");
  cv::Mat mat(found.height, found.width, found.has_alpha ? CV_8UC4 : CV_8UC3);
  const auto decode = found.has_alpha ? WebPDecodeBGRAInto : WebPDecodeBGRInto;
  const size_t stride = mat.step[0], size = stride * static_cast<size_t>(mat.rows);
  if (decode(data, bytes.size(), mat.data, size, static_cast<int>(stride)) == nullptr)
    fail(name, ": damaged or truncated webp");
  return to_rgb(mat, options, name);
}

Image decode_bmp(Bytes bytes, std::string_view name, const ImageHeader& header, const DecodeOptions& options) {
  constexpr uint32_t kPlain = 0, kRunLength8 = 1, kRunLength4 = 2, kBitFields = 3;
  const bool old = load_le<uint32_t>(bytes, 14) == 12;
  if (bytes.size() < (old ? 26 : 54)) fail(name, ": truncated BMP");
  const uint32_t packing = old ? kPlain : load_le<uint32_t>(bytes, 30);
  if (packing > kBitFields) fail(name, ": BMP of packing ", packing, " is not supported");
  const int64_t bits = load_le<uint16_t>(bytes, old ? 24 : 28);
  const int64_t needed = load_le<uint32_t>(bytes, 10) + (header.width * bits + 31) / 32 * 4 * header.height;
  const bool run_length = packing == kRunLength8 || packing == kRunLength4;
  if (!run_length && needed > static_cast<int64_t>(bytes.size())) fail(name, ": truncated BMP");
  return to_rgb(decode_opencv(bytes, cv::IMREAD_COLOR, name, header), options, name);
}

void refuse(const ImageHeader& header, std::string_view name, const DecodeOptions& options) {
  if (header.format == "gif") fail(name, ": ", header.format, " is not supported; convert it to PNG or JPEG");
  const uint64_t pixels = static_cast<uint64_t>(header.height) * static_cast<uint64_t>(header.width);
  if (pixels > options.most_pixels) {
    fail(name, ": ", header.width, " x ", header.height, " pixels are more than the ", options.most_pixels, " allowed");
  }
}

Image decode_pixels(Bytes bytes, std::string_view name, const ImageHeader& header, const DecodeOptions& options) {
  if (header.format == "jpeg") return decode_jpeg(bytes, name, header);
  if (header.format == "png") return decode_png(bytes, name, header, options);
  if (header.format == "webp") return decode_webp(bytes, name, header, options);
  GIGACAT_CHECK(header.format == "bmp", header.format);
  return decode_bmp(bytes, name, header, options);
}

}  // namespace

void set_up_opencv() {
  static std::once_flag once;
  std::call_once(once, [] {
    cv::setNumThreads(0);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    cv::redirectError([](int, const char*, const char*, const char*, int, void*) { return 0; });
  });
}

Image decode_image(Bytes bytes, std::string_view name, const DecodeOptions& options) try {
  const ImageHeader header = probe_image(bytes, name);
  refuse(header, name, options);
  set_up_opencv();
  Image image = decode_pixels(bytes, name, header, options);
  return options.as_stored ? image : apply_orientation(std::move(image), header.orientation);
} catch (const cv::Exception& error) {
  fail(name, ": cannot be decoded: ", error.err);
}

}  // namespace gigacat::io
