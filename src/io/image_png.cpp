// PNG read by libpng. What it complains of is kept and thrown, not printed.
#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <limits>

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {
namespace {

constexpr std::string_view kCut = "truncated";
constexpr std::array<std::string_view, 2> kChecksums = {": CRC error", ": incorrect data check"};  // of libpng, of zlib

class PngReader {
 public:
  // Of the chunks that do not decide pixels only those of `kept` (names of four letters and a zero each) are read.
  // `most_chunk`: bytes of a chunk, packed and unpacked; 0: as many as it has.
  PngReader(Bytes bytes, std::string_view kept, size_t most_chunk) : bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_) info_ = png_create_info_struct(png_);
    GIGACAT_CHECK(info_, "libpng cannot start");
    constexpr auto kMostSide = std::numeric_limits<int32_t>::max();
    constexpr int kMostChunks = 100;
    const bool set = guarded([&] {
      png_set_read_fn(png_, this, on_read);
      png_set_user_limits(png_, kMostSide, kMostSide);
      png_set_chunk_malloc_max(png_, most_chunk);
      png_set_chunk_cache_max(png_, kMostChunks);
      png_set_benign_errors(png_, 1);
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      if (!kept.empty())
        png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<png_const_bytep>(kept.data()),
                                    static_cast<int>(kept.size() / 5));
    });
    GIGACAT_CHECK(set, "libpng: ", fault_);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() {
    return guarded([&] { png_read_info(png_, info_); });
  }

  // Whether the file has alpha: a channel, or values that are transparent.
  bool has_alpha() const {
    return (png_get_color_type(png_, info_) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  }

  // After read_header: fills [height, width, 3 or 4 with alpha].
  bool read_pixels(Image& out) {
    return guarded([&] {
      png_set_expand(png_);
      png_set_strip_16(png_);
      png_set_gray_to_rgb(png_);
      const int passes = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
      if (png_get_rowbytes(png_, info_) != static_cast<size_t>(out.width * out.channels)) png_error(png_, "odd rows");
      for (int pass = 0; pass < passes; ++pass)
        for (int64_t y = 0; y < out.height; ++y) png_read_row(png_, out.row(y), nullptr);
      png_read_end(png_, nullptr);
    });
  }

  // After read_header: what stands behind the pixels, which are skipped.
  bool read_end() {
    return guarded([&] {
      png_read_update_info(png_, info_);
      png_read_end(png_, info_);
    });
  }

  std::string_view profile() {
    png_charp name = nullptr;
    int packing = 0;
    png_bytep data = nullptr;
    png_uint_32 size = 0;
    if (png_get_iCCP(png_, info_, &name, &packing, &data, &size) == 0) return "";
    return {reinterpret_cast<const char*>(data), size};
  }

  std::span<const png_text> texts() {
    png_textp first = nullptr;
    int count = 0;
    png_get_text(png_, info_, &first, &count);
    return {first, static_cast<size_t>(count)};
  }

  [[noreturn]] void refuse(std::string_view name) const {
    const std::string_view fault = fault_;
    if (fault == kCut) fail(name, ": truncated PNG: it has no IEND");
    for (const std::string_view checksum : kChecksums)
      if (fault.ends_with(checksum))
        fail(name, ": damaged PNG: the checksum of ", shown(fault.substr(0, fault.size() - checksum.size())),
             " is wrong");
    fail(name, ": damaged PNG: ", shown(fault));
  }

 private:
  // Runs calls into libpng; false when it left by longjmp. The frames that it leaves hold nothing to destroy.
  template <class Calls>
  bool guarded(const Calls& calls) {
    if (setjmp(png_jmpbuf(png_))) return false;
    calls();
    return true;
  }

  static void on_error(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(reader->fault_, message, sizeof reader->fault_ - 1);
    png_longjmp(png, 1);
  }

  // libpng does without a chunk whose checksum is wrong; without transparency the pixels would be others.
  static void on_warning(png_structp png, png_const_charp message) {
    if (std::string_view(message) == "tRNS: CRC error") png_error(png, message);
  }

  static void on_read(png_structp png, png_bytep to, size_t count) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader->bytes_.size()) png_error(png, kCut.data());
    std::memcpy(to, reader->bytes_.data(), count);
    reader->bytes_ = reader->bytes_.subspan(count);
  }

  Bytes bytes_;  // not yet read
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char fault_[200] = {};
};

std::string from_latin1(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 128) out += static_cast<char>(0xC0 | byte >> 6);
    out += static_cast<char>(byte < 128 ? byte : 0x80 | (byte & 0x3F));
  }
  return out;
}

}  // namespace

Image decode_png(Bytes bytes, std::string_view name, const ImageHeader& header) {
  PngReader reader(bytes, "", 0);
  if (!reader.read_header()) reader.refuse(name);
  Image image = Image::filled(header.height, header.width, reader.has_alpha() ? 4 : 3, 0);
  if (!reader.read_pixels(image)) reader.refuse(name);
  return image;
}

std::string png_profile(Bytes bytes) {
  PngReader reader(bytes, std::string_view("iCCP\0", 5), kMostProfile);
  return reader.read_header() ? std::string(reader.profile()) : "";
}

PngTexts png_texts(Bytes file, std::string_view name) {
  constexpr size_t kMostText = 16 << 20;  // bytes
  if (!starts_with(file, "\x89PNG\r\n\x1a\n")) fail(name, ": not a PNG file");
  PngReader reader(file, std::string_view("tEXt\0zTXt\0iTXt\0", 15), kMostText);
  if (!reader.read_header() || !reader.read_end()) reader.refuse(name);
  PngTexts texts;
  for (const png_text& text : reader.texts()) {
    const bool utf8 = text.compression >= PNG_ITXT_COMPRESSION_NONE;
    const std::string_view value = text.text ? text.text : "";
    texts.emplace_back(from_latin1(text.key), utf8 ? std::string(value) : from_latin1(value));
  }
  return texts;
}

}  // namespace gigacat::io
