// Lines of text at the left of pictures, shaped by HarfBuzz, drawn by FreeType.
#include <ft2build.h>
#include <hb-ft.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include FT_FREETYPE_H  // named by ft2build.h

#include "gigacat/core/error.h"
#include "gigacat/io/image.h"

// The font is part of the program, so that no machine lacks it.
extern "C" {
extern const unsigned char gigacat_caption_font[], gigacat_caption_font_end[];
}
asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".hidden gigacat_caption_font\n.globl gigacat_caption_font\ngigacat_caption_font:\n"
    ".incbin \"" GIGACAT_CAPTION_FONT
    "\"\n"
    ".hidden gigacat_caption_font_end\n.globl gigacat_caption_font_end\ngigacat_caption_font_end:\n"
    ".byte 0\n"
    ".popsection\n");

namespace gigacat::io {
namespace {

constexpr unsigned kSize = 11;                             // pixels of the font's em square
constexpr int64_t kLine = 13, kMargin = 4, kWidest = 190;  // pixels: line to line, around a line, of a line

class CaptionFont {
 public:
  CaptionFont() {
    const auto size = static_cast<FT_Long>(gigacat_caption_font_end - gigacat_caption_font);
    const bool opened = FT_Init_FreeType(&library_) == 0 &&
                        FT_New_Memory_Face(library_, gigacat_caption_font, size, 0, &face_) == 0 &&
                        FT_Set_Pixel_Sizes(face_, 0, kSize) == 0;
    GIGACAT_CHECK(opened, "FreeType does not open the font of captions");
    font_ = hb_ft_font_create_referenced(face_);
    hb_ft_font_set_load_flags(font_, FT_LOAD_TARGET_LIGHT);
  }
  ~CaptionFont() {
    hb_font_destroy(font_);
    FT_Done_Face(face_);
    FT_Done_FreeType(library_);
  }
  CaptionFont(const CaptionFont&) = delete;
  CaptionFont& operator=(const CaptionFont&) = delete;

  // Pixels from the first glyph's origin to the end of the last; draw(glyph bitmap, x) is called for each glyph.
  template <class Draw>
  int64_t shape(const std::string& line, const Draw& draw) {
    const std::unique_ptr<hb_buffer_t, decltype(&hb_buffer_destroy)> buffer(hb_buffer_create(), hb_buffer_destroy);
    hb_buffer_add_utf8(buffer.get(), line.data(), static_cast<int>(line.size()), 0, -1);
    hb_buffer_guess_segment_properties(buffer.get());
    hb_shape(font_, buffer.get(), nullptr, 0);
    unsigned count = 0;
    const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer.get(), &count);
    const hb_glyph_position_t* places = hb_buffer_get_glyph_positions(buffer.get(), &count);
    int64_t x = 0;  // in 64ths of a pixel, as all lengths of HarfBuzz here
    for (unsigned i = 0; i < count; ++i) {
      draw(glyphs[i].codepoint, (x + places[i].x_offset + 32) >> 6, (places[i].y_offset + 32) >> 6);
      x += places[i].x_advance;
    }
    return (x + 63) >> 6;
  }

  int64_t width(const std::string& line) {
    return shape(line, [](unsigned, int64_t, int64_t) {});
  }

  // Black; `left` and `base`: where the line's first glyph stands.
  void draw(Image& out, const std::string& line, int64_t left, int64_t base) {
    shape(line, [&](unsigned glyph, int64_t x, int64_t y) {
      if (FT_Load_Glyph(face_, glyph, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT) != 0) return;
      const FT_Bitmap& ink = face_->glyph->bitmap;
      for (int64_t row = 0; row < ink.rows; ++row)
        for (int64_t column = 0; column < ink.width; ++column)
          darken(out, base - y - face_->glyph->bitmap_top + row, left + x + face_->glyph->bitmap_left + column,
                 ink.buffer[row * ink.pitch + column]);
    });
  }

 private:
  static void darken(Image& out, int64_t y, int64_t x, int ink) {
    if (y < 0 || y >= out.height || x < 0 || x >= out.width) return;
    uint8_t* pixel = out.row(y) + x * out.channels;
    for (int64_t c = 0; c < out.channels; ++c) pixel[c] = static_cast<uint8_t>(pixel[c] * (255 - ink) / 255);
  }

  FT_Library library_ = nullptr;
  FT_Face face_ = nullptr;
  hb_font_t* font_ = nullptr;
};

// Bytes of the longest beginning of `text` that is at most `widest` pixels wide; cut at a space where there is one,
// never within a character.
size_t fitting(CaptionFont& font, const std::string& text, int64_t widest) {
  size_t fits = 0;
  for (size_t end = 1; end <= text.size(); ++end) {
    if (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) continue;
    if (font.width(text.substr(0, end)) > widest) {
      const size_t space = text.rfind(' ', fits);
      return space == std::string::npos || space == 0 ? std::max<size_t>(fits, 1) : space;
    }
    fits = end;
  }
  return text.size();
}

// The caption in lines of at most kWidest pixels, at most `most` of them.
std::vector<std::string> lines_of(CaptionFont& font, const std::string& caption, size_t most) {
  constexpr std::string_view kCut = "…";
  std::vector<std::string> lines;
  std::string rest = caption;
  std::replace_if(
      rest.begin(), rest.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  while (!rest.empty()) {
    const size_t end = fitting(font, rest, kWidest);
    if (lines.size() + 1 == most && end < rest.size()) {
      const size_t cut = fitting(font, rest, kWidest - font.width(std::string(kCut)));
      lines.push_back(rest.substr(0, cut).append(kCut));
      return lines;
    }
    lines.push_back(rest.substr(0, end));
    rest.erase(0, std::min(rest.find_first_not_of(' ', end), rest.size()));
  }
  return lines;
}

}  // namespace

Image caption_rows(const Image& grid, const std::vector<std::string>& captions, int64_t gap) {
  const auto rows = static_cast<int64_t>(captions.size());
  GIGACAT_CHECK(rows > 0 && (grid.height + gap) % rows == 0, rows, " captions for ", grid.height, " pixels");
  GIGACAT_CHECK(grid.channels == 1 || grid.channels == 3, grid.channels, " channels");
  const int64_t step = (grid.height + gap) / rows, height = step - gap;
  CaptionFont font;
  std::vector<std::vector<std::string>> texts;
  int64_t width = 0;
  for (const std::string& caption : captions) {
    texts.push_back(lines_of(font, caption, static_cast<size_t>(std::max<int64_t>(1, height / kLine))));
    for (const std::string& line : texts.back()) width = std::max(width, font.width(line));
  }
  const int64_t left = width + 2 * kMargin, bytes = grid.width * grid.channels;
  Image out = Image::filled(grid.height, left + grid.width, grid.channels);
  for (int64_t y = 0; y < grid.height; ++y) std::copy_n(grid.row(y), bytes, out.row(y) + left * grid.channels);
  for (int64_t row = 0; row < rows; ++row) {
    const auto& lines = texts[static_cast<size_t>(row)];
    const int64_t block = std::ssize(lines) * kLine;
    for (int64_t i = 0; i < std::ssize(lines); ++i) {
      const int64_t base = row * step + (height - block) / 2 + (i + 1) * kLine - kLine / 4;
      font.draw(out, lines[static_cast<size_t>(i)], kMargin, base);
    }
  }
  return out;
}

}  // namespace gigacat::io
