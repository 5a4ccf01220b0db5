// JPEG by libjpeg. Its warnings that mean lost pixels are errors: a scan that ends early would come back half grey.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>  // needs FILE and size_t before it

#include <jerror.h>  // needs jpeglib.h before it

#include "gigacat/core/error.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

constexpr int kMostScans = 100;  // a progressive file may ask for a pass over the image a thousand times

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr codec) {
  auto* manager = reinterpret_cast<ErrorManager*>(codec->err);
  manager->base.format_message(codec, manager->text);
  std::longjmp(manager->back, 1);
}

// Warnings that mean lost pixels are errors; others (stray bytes between segments, odd version marks) are not.
void on_message(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      leave(codec);
    default:
      break;
  }
}

void on_progress(j_common_ptr codec) {
  auto* manager = reinterpret_cast<ErrorManager*>(codec->err);
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number <= kMostScans) return;
  std::snprintf(manager->text, sizeof manager->text, "more than %d scans", kMostScans);
  std::longjmp(manager->back, 1);
}

// Runs calls into libjpeg; false when one of them failed. The frames that longjmp leaves hold nothing to destroy.
template <class Calls>
bool guarded(ErrorManager& manager, const Calls& calls) {
  if (setjmp(manager.back)) return false;
  calls();
  return true;
}

// Adobe stores CMYK inverted: each sample says how much light is left.
void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int64_t width) {
  for (int64_t x = 0; x < width; ++x, from += 4, to += 3) {
    for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(from[3] - ((255 - from[c]) * from[3] + 127) / 255);
  }
}

class JpegDecoder {
 public:
  explicit JpegDecoder(Bytes bytes) {
    codec_.err = jpeg_std_error(&manager_.base);
    manager_.base.error_exit = leave;
    manager_.base.emit_message = on_message;
    progress_.progress_monitor = on_progress;
    created_ = guarded(manager_, [&] {
      jpeg_create_decompress(&codec_);
      codec_.progress = &progress_;
      jpeg_mem_src(&codec_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    });
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&codec_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header() {
    return created_ && guarded(manager_, [&] {
             jpeg_read_header(&codec_, TRUE);
             codec_.out_color_space = codec_.num_components == 4 ? JCS_CMYK : JCS_RGB;
           });
  }

  // Fills height x width x 3.
  bool read_pixels(Image& out) {
    const bool cmyk = codec_.out_color_space == JCS_CMYK;
    row_.resize(cmyk ? static_cast<size_t>(out.width) * 4 : 0);
    return guarded(manager_, [&] {
      jpeg_start_decompress(&codec_);
      while (codec_.output_scanline < codec_.output_height) {
        uint8_t* target = out.row(codec_.output_scanline);
        uint8_t* row = cmyk ? row_.data() : target;
        jpeg_read_scanlines(&codec_, &row, 1);
        if (cmyk) cmyk_to_rgb(row, target, out.width);
      }
      jpeg_finish_decompress(&codec_);
    });
  }

  // The ICC profile; "" where there is none or it lacks a part.
  std::string read_profile() {
    std::string profile;
    JOCTET* data = nullptr;
    unsigned size = 0;
    const bool found = created_ && guarded(manager_, [&] {
                         jpeg_save_markers(&codec_, JPEG_APP0 + 2, 0xFFFF);
                         jpeg_read_header(&codec_, TRUE);
                         if (!jpeg_read_icc_profile(&codec_, &data, &size)) size = 0;
                       });
    if (found && size <= kMostProfile) profile.assign(reinterpret_cast<const char*>(data), size);
    std::free(data);
    return profile;
  }

  int64_t height() const { return codec_.image_height; }
  int64_t width() const { return codec_.image_width; }
  const char* fault() const { return manager_.text; }

 private:
  ErrorManager manager_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct codec_{};
  std::vector<uint8_t> row_;
  bool created_ = false;
};

class JpegEncoder {
 public:
  JpegEncoder() {
    codec_.err = jpeg_std_error(&manager_.base);
    manager_.base.error_exit = leave;
    manager_.base.emit_message = on_message;
  }
  ~JpegEncoder() {
    jpeg_destroy_compress(&codec_);
    std::free(data_);
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  bool write(const Image& image, int quality, const std::string& icc) {
    return guarded(manager_, [&] {
      jpeg_create_compress(&codec_);
      jpeg_mem_dest(&codec_, &data_, &size_);
      codec_.image_width = static_cast<JDIMENSION>(image.width);
      codec_.image_height = static_cast<JDIMENSION>(image.height);
      codec_.input_components = static_cast<int>(image.channels);
      codec_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_set_defaults(&codec_);
      jpeg_set_quality(&codec_, quality, TRUE);
      jpeg_start_compress(&codec_, TRUE);
      if (!icc.empty())
        jpeg_write_icc_profile(&codec_, reinterpret_cast<const JOCTET*>(icc.data()), static_cast<unsigned>(icc.size()));
      while (codec_.next_scanline < codec_.image_height) {
        auto* row = const_cast<uint8_t*>(image.row(codec_.next_scanline));
        jpeg_write_scanlines(&codec_, &row, 1);
      }
      jpeg_finish_compress(&codec_);
    });
  }

  std::string_view file() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const char* fault() const { return manager_.text; }

 private:
  ErrorManager manager_{};
  jpeg_compress_struct codec_{};
  unsigned char* data_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::string encode_jpeg(const Image& image, int quality, const std::string& icc) {
  check_size(image);
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3, image.channels, " channels");
  JpegEncoder encoder;
  if (!encoder.write(image, quality, icc))
    fail("a JPEG of ", image.width, " x ", image.height, " pixels is not possible: ", encoder.fault());
  return std::string(encoder.file());
}

std::string jpeg_profile(Bytes bytes) { return JpegDecoder(bytes).read_profile(); }

Image decode_jpeg(Bytes bytes, std::string_view name, const ImageHeader& header) {
  JpegDecoder decoder(bytes);
  if (!decoder.read_header()) fail(name, ": damaged JPEG: ", decoder.fault());
  if (decoder.height() != header.height || decoder.width() != header.width) {
    fail(name, ": damaged JPEG: it has two sizes");
  }
  Image image{.height = header.height, .width = header.width, .channels = 3, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(header.height * header.width * 3));
  if (!decoder.read_pixels(image)) fail(name, ": damaged or truncated JPEG: ", decoder.fault());
  return image;
}

}  // namespace gigacat::io
