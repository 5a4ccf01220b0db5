// WebP by libwebp, its container by libwebpmux.
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <memory>

#include "gigacat/core/error.h"
#include "gigacat/io/animation.h"
#include "image_internal.h"

namespace gigacat::io {
namespace {

using Mux = std::unique_ptr<WebPMux, decltype(&WebPMuxDelete)>;
using AnimationEncoder = std::unique_ptr<WebPAnimEncoder, decltype(&WebPAnimEncoderDelete)>;
using Picture = std::unique_ptr<WebPPicture, decltype(&WebPPictureFree)>;

WebPData view(Bytes bytes) { return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}; }

// Bytes that libwebp has made, then freed.
std::string taken(WebPData& data) {
  std::string text(reinterpret_cast<const char*>(data.bytes), data.size);
  WebPDataClear(&data);
  return text;
}

std::string with_profile(const std::string& file, const std::string& icc) {
  const WebPData whole = view(as_bytes(file)), profile = view(as_bytes(icc));
  const Mux mux(WebPMuxCreate(&whole, 0), WebPMuxDelete);
  WebPData out{};
  const bool done = mux && WebPMuxSetChunk(mux.get(), "ICCP", &profile, 0) == WEBP_MUX_OK &&
                    WebPMuxAssemble(mux.get(), &out) == WEBP_MUX_OK;
  GIGACAT_CHECK(done, "libwebpmux adds no profile");
  return taken(out);
}

}  // namespace

Image decode_webp(Bytes bytes, std::string_view name, const ImageHeader& header) {
  if (load_le<uint32_t>(bytes, 4) > bytes.size() - 8) fail(name, ": truncated WebP");
  const auto* const data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures found;
  if (WebPGetFeatures(data, bytes.size(), &found) != VP8_STATUS_OK) fail(name, ": damaged or truncated webp");
  if (found.has_animation) fail(name, ": animated WebP is not supported");
  if (found.height != header.height || found.width != header.width) fail(name, ": damaged webp: it has two sizes");
  Image image = Image::filled(header.height, header.width, found.has_alpha ? 4 : 3, 0);
  const auto decode = found.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(data, bytes.size(), image.pixels.data(), image.pixels.size(),
              static_cast<int>(image.width * image.channels)))
    fail(name, ": damaged or truncated webp");
  return image;
}

std::string webp_profile(Bytes bytes) {
  const WebPData file = view(bytes);
  const Mux mux(WebPMuxCreate(&file, 0), WebPMuxDelete);
  WebPData profile{};
  if (!mux || WebPMuxGetChunk(mux.get(), "ICCP", &profile) != WEBP_MUX_OK || profile.size > kMostProfile) return "";
  return {reinterpret_cast<const char*>(profile.bytes), profile.size};
}

std::string encode_webp(const Image& image, int quality, const std::string& icc) {
  check_size(image);
  GIGACAT_CHECK(image.channels == 3 || image.channels == 4, image.channels, " channels");
  if (image.width > WEBP_MAX_DIMENSION || image.height > WEBP_MAX_DIMENSION)
    fail("a WebP of ", image.width, " x ", image.height, " pixels is not possible: ", WEBP_MAX_DIMENSION,
         " are the most");
  const auto width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  const int stride = width * static_cast<int>(image.channels);
  const uint8_t* pixels = image.pixels.data();
  WebPData out{};
  uint8_t* made = nullptr;
  if (quality > 100)
    out.size =
        (image.channels == 3 ? WebPEncodeLosslessRGB : WebPEncodeLosslessRGBA)(pixels, width, height, stride, &made);
  else
    out.size = (image.channels == 3 ? WebPEncodeRGB : WebPEncodeRGBA)(pixels, width, height, stride,
                                                                      static_cast<float>(quality), &made);
  out.bytes = made;
  GIGACAT_CHECK(out.size > 0, "libwebp encodes no ", width, " x ", height, " pixels");
  const std::string file = taken(out);
  return icc.empty() ? file : with_profile(file, icc);
}

std::string encode_webp_animation(const std::vector<Image>& frames, int milliseconds) {
  constexpr float kEffort = 70;  // of lossless packing, as WebPEncodeLosslessRGB has it
  GIGACAT_CHECK(!frames.empty(), "no frames");
  const auto width = static_cast<int>(frames[0].width), height = static_cast<int>(frames[0].height);
  WebPAnimEncoderOptions options;
  WebPConfig config;
  GIGACAT_CHECK(WebPAnimEncoderOptionsInit(&options) && WebPConfigInit(&config), "another version of libwebp");
  config.lossless = 1;
  config.quality = kEffort;
  const AnimationEncoder encoder(WebPAnimEncoderNew(width, height, &options), WebPAnimEncoderDelete);
  bool done = encoder != nullptr;
  int time = 0;
  for (const Image& frame : frames) {
    GIGACAT_CHECK(frame.width == width && frame.height == height && frame.channels == 3, "frames of ", frame.width,
                  " x ", frame.height, " x ", frame.channels);
    WebPPicture plain;
    done = done && WebPPictureInit(&plain);
    const Picture picture(&plain, WebPPictureFree);
    plain.use_argb = 1;
    plain.width = width;
    plain.height = height;
    done = done && WebPPictureImportRGB(&plain, frame.pixels.data(), 3 * width) &&
           WebPAnimEncoderAdd(encoder.get(), &plain, time, &config);
    time += milliseconds;
  }
  WebPData out{};
  done =
      done && WebPAnimEncoderAdd(encoder.get(), nullptr, time, nullptr) && WebPAnimEncoderAssemble(encoder.get(), &out);
  if (!done) fail<InternalError>("libwebp: ", encoder ? WebPAnimEncoderGetError(encoder.get()) : "no encoder");
  return taken(out);
}

}  // namespace gigacat::io
