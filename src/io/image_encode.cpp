#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "gigacat/core/error.h"
#include "gigacat/io/animation.h"
#include "image_internal.h"

namespace gigacat::io {

namespace {

// OpenCV's order of channels.
cv::Mat to_bgr(const Image& image) {
  const auto size = static_cast<size_t>(image.height * image.width * image.channels);
  GIGACAT_CHECK(image.pixels.size() == size && size > 0, image.pixels.size(), " bytes of ", size);
  const auto channels = static_cast<int>(image.channels);
  const cv::Mat view(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC(channels),
                     const_cast<uint8_t*>(image.pixels.data()));
  if (channels == 1) return view;
  cv::Mat mat;
  cv::cvtColor(view, mat, channels == 3 ? cv::COLOR_RGB2BGR : cv::COLOR_RGBA2BGRA);
  return mat;
}

std::string encode(const char* extension, const Image& image, const std::vector<int>& settings) try {
  set_up_opencv();
  std::vector<uchar> bytes;
  if (!cv::imencode(extension, to_bgr(image), bytes, settings)) fail<InternalError>("OpenCV wrote no ", extension);
  return {bytes.begin(), bytes.end()};
} catch (const cv::Exception& error) {
  fail<InternalError>("OpenCV cannot write ", extension, ": ", error.err);
}

}  // namespace

std::string encode_png(const Image& image, int compression) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3 || image.channels == 4, image.channels, " channels");
  return encode(".png", image, {cv::IMWRITE_PNG_COMPRESSION, compression});
}

std::string encode_jpeg(const Image& image, int quality) {
  GIGACAT_CHECK(image.channels == 1 || image.channels == 3, image.channels, " channels");
  return encode(".jpg", image, {cv::IMWRITE_JPEG_QUALITY, quality});
}

std::string encode_webp(const Image& image, int quality) {
  GIGACAT_CHECK(image.channels == 3 || image.channels == 4, image.channels, " channels");
  return encode(".webp", image, {cv::IMWRITE_WEBP_QUALITY, quality});
}

namespace {

void put(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

// A RIFF chunk: four letters, length, contents, padded to an even length.
std::string chunk(const std::string& kind, const std::string& contents) {
  std::string out = kind;
  put(out, static_cast<uint32_t>(contents.size()), 4);
  out += contents;
  if (contents.size() % 2 != 0) out += '\0';
  return out;
}

}  // namespace

std::string encode_webp_animation(const std::vector<Image>& frames, int milliseconds) {
  constexpr size_t kFileHeader = 12;  // RIFF, size, WEBP: what follows is the chunk of the picture
  constexpr int kLossless = 101;      // OpenCV: qualities over 100
  constexpr uint32_t kAnimated = 0x02, kNoBlend = 0x02;
  GIGACAT_CHECK(!frames.empty(), "no frames");
  const auto width = static_cast<uint32_t>(frames[0].width), height = static_cast<uint32_t>(frames[0].height);
  std::string head, loop, body;
  put(head, kAnimated, 4);
  put(head, width - 1, 3);
  put(head, height - 1, 3);
  put(loop, 0xffffffff, 4);  // background
  put(loop, 0, 2);           // for ever
  body = "WEBP" + chunk("VP8X", head) + chunk("ANIM", loop);
  for (const Image& frame : frames) {
    GIGACAT_CHECK(frame.width == frames[0].width && frame.height == frames[0].height && frame.channels == 3,
                  "frames of ", frame.width, " x ", frame.height, " x ", frame.channels);
    std::string one;
    put(one, 0, 3);  // left
    put(one, 0, 3);  // top
    put(one, width - 1, 3);
    put(one, height - 1, 3);
    put(one, static_cast<uint32_t>(milliseconds), 3);
    put(one, kNoBlend, 1);
    one += encode(".webp", frame, {cv::IMWRITE_WEBP_QUALITY, kLossless}).substr(kFileHeader);
    body += chunk("ANMF", one);
  }
  return chunk("RIFF", body);
}

}  // namespace gigacat::io
