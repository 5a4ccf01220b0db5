// PNG row by row: memory does not grow with the height of the image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gigacat/io/image.h"

namespace gigacat::io {

class PngWriter {
 public:
  // `sink` takes the file's bytes in order; what it throws comes out of the call that wrote. 8-bit samples of 1 (grey),
  // 3 (RGB) or 4 (RGBA) channels; `icc`: a colour profile, or "", left out where it is damaged or not one of such
  // pixels. Errors: InternalError for other channels or keys of texts, Error for sides over 2^31 - 1.
  PngWriter(std::function<void(std::string_view)> sink, int64_t height, int64_t width, int64_t channels,
            const std::string& icc = "", const PngTexts& texts = {}, int compression = 3);
  ~PngWriter();
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  // `count` rows [count, W, C] from the top on. Errors: InternalError for more rows than the image has.
  void write_rows(const uint8_t* pixels, int64_t count);
  // After the last row. Errors: InternalError when rows are missing.
  void finish();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace gigacat::io
