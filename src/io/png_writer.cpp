#include "gigacat/io/png_writer.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <exception>
#include <limits>

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {
namespace {

constexpr size_t kChunk = 1 << 16;  // bytes of an IDAT

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 128; });
}

std::vector<png_text> as_chunks(const PngTexts& texts) {
  std::vector<png_text> chunks;
  for (const auto& [key, value] : texts) {
    GIGACAT_CHECK(!key.empty() && key.size() < 80 && is_ascii(key), "PNG text of the key \"", key, "\"");
    png_text chunk{};
    chunk.compression = is_ascii(value) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(key.c_str());
    chunk.text = const_cast<char*>(value.c_str());
    chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace

struct PngWriter::Stream {
  std::function<void(std::string_view)> sink;
  int64_t height = 0, bytes = 0, written = 0;  // bytes of a row, rows so far
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::exception_ptr failure;  // of the sink, which must not pass through libpng
  std::string fault;

  ~Stream() { png_destroy_write_struct(&png, &info); }

  // Runs calls into libpng, which leaves by longjmp. The frames that it leaves hold nothing to destroy.
  template <class Calls>
  void guarded(const Calls& calls) {
    if (setjmp(png_jmpbuf(png)) == 0) return calls();
    if (failure) std::rethrow_exception(failure);
    fail<InternalError>("libpng: ", fault);
  }

  static void on_error(png_structp png, png_const_charp message) {
    static_cast<Stream*>(png_get_error_ptr(png))->fault = message;
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}
  static void on_bytes(png_structp png, png_bytep data, size_t size) {
    auto* stream = static_cast<Stream*>(png_get_io_ptr(png));
    try {
      stream->sink({reinterpret_cast<const char*>(data), size});
    } catch (...) {
      stream->failure = std::current_exception();
    }
    if (stream->failure) png_error(png, "the sink failed");
  }
  static void on_flush(png_structp /*png*/) {}
};

PngWriter::PngWriter(std::function<void(std::string_view)> sink, int64_t height, int64_t width, int64_t channels,
                     const std::string& icc, const PngTexts& texts, int compression)
    : stream_(std::make_unique<Stream>()) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  GIGACAT_CHECK(channels == 1 || channels == 3 || channels == 4, channels, " channels");
  if (height < 1 || width < 1 || height > kMost || width > kMost / 4)
    fail("a PNG of ", width, " x ", height, " pixels is not possible");
  Stream& s = *stream_;
  s.sink = std::move(sink);
  s.height = height;
  s.bytes = width * channels;
  s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, Stream::on_error, Stream::on_warning);
  if (s.png) s.info = png_create_info_struct(s.png);
  GIGACAT_CHECK(s.info, "libpng cannot start");
  const std::vector<png_text> chunks = as_chunks(texts);
  s.guarded([&] {
    png_set_write_fn(s.png, &s, Stream::on_bytes, Stream::on_flush);
    png_set_user_limits(s.png, kMost, kMost);
    png_set_benign_errors(s.png, 1);
    png_set_compression_level(s.png, compression);
    png_set_compression_buffer_size(s.png, kChunk);
    const int color = channels == 1 ? PNG_COLOR_TYPE_GRAY : channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGBA;
    png_set_IHDR(s.png, s.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8, color,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
    if (!icc.empty())
      png_set_iCCP(s.png, s.info, "ICC profile", PNG_COMPRESSION_TYPE_BASE,
                   reinterpret_cast<png_const_bytep>(icc.data()), static_cast<png_uint_32>(icc.size()));
    png_set_text(s.png, s.info, chunks.data(), static_cast<int>(chunks.size()));
    png_write_info(s.png, s.info);
  });
}

PngWriter::~PngWriter() = default;

void PngWriter::write_rows(const uint8_t* pixels, int64_t count) {
  Stream& s = *stream_;
  GIGACAT_CHECK(s.written + count <= s.height, s.written + count, " rows of ", s.height);
  s.guarded([&] {
    for (int64_t y = 0; y < count; ++y) png_write_row(s.png, pixels + y * s.bytes);
  });
  s.written += count;
}

void PngWriter::finish() {
  Stream& s = *stream_;
  GIGACAT_CHECK(s.written == s.height, s.written, " rows of ", s.height);
  s.guarded([&] { png_write_end(s.png, nullptr); });
}

std::string encode_png(const Image& image, const PngTexts& texts, int compression) {
  check_size(image);
  std::string file;
  PngWriter writer([&](std::string_view bytes) { file += bytes; }, image.height, image.width, image.channels, "", texts,
                   compression);
  writer.write_rows(image.pixels.data(), image.height);
  writer.finish();
  return file;
}

std::string encode_png(const Image& image, int compression) { return encode_png(image, {}, compression); }

}  // namespace gigacat::io
