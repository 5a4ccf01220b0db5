// Pictures of emoji from a colour bitmap font: HarfBuzz picks the glyph of a sequence, FreeType gives its bitmap.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "gigacat/io/image.h"

namespace gigacat::data {

// One face; not thread-safe, so each thread opens its own.
class EmojiFont {
 public:
  // Errors: Error when the file is no font or holds no colour bitmaps.
  explicit EmojiFont(const std::filesystem::path& path);
  ~EmojiFont();
  EmojiFont(const EmojiFont&) = delete;
  EmojiFont& operator=(const EmojiFont&) = delete;

  // The glyph's bitmap, RGBA with the colours multiplied by alpha; an image without pixels when the font has no single
  // glyph for the sequence. Errors: Error for a bitmap that is broken or not in colour.
  io::Image render(std::span<const uint32_t> code_points) const;

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

// Fits `glyph` (RGBA, premultiplied) into size x size with a margin of 1/16 on each side.
// `background`: "white" or "black" give RGB, "transparent" RGBA with straight alpha.
io::Image compose_emoji(const io::Image& glyph, int64_t size, std::string_view background);

}  // namespace gigacat::data
