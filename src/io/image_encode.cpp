#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "gigacat/core/error.h"
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

}  // namespace gigacat::io
