#include "data/emoji_font.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include <hb-ft.h>
#include <hb.h>

#include <algorithm>

#include "gigacat/core/error.h"

namespace gigacat::data {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, Deleter<Free>>;

io::Image transparent(int64_t height, int64_t width) {
  io::Image image{.height = height, .width = width, .channels = 4, .pixels = {}};
  image.pixels.resize(static_cast<size_t>(height * width * 4));
  return image;
}

// FreeType's rows of premultiplied BGRA.
io::Image from_bitmap(const FT_Bitmap& bitmap) {
  io::Image image = transparent(bitmap.rows, bitmap.width);
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* from = bitmap.buffer + y * bitmap.pitch;
    uint8_t* to = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, from += 4, to += 4) {
      to[0] = from[2];
      to[1] = from[1];
      to[2] = from[0];
      to[3] = from[3];
    }
  }
  return image;
}

// Bicubic weights overshoot at edges, so that a premultiplied colour may pass its alpha: clamped here.
uint8_t straight(uint8_t colour, uint8_t alpha) {
  return alpha == 0 ? 0 : static_cast<uint8_t>(std::min(255, (colour * 255 + alpha / 2) / alpha));
}

uint8_t over(uint8_t colour, uint8_t alpha, uint8_t background) {
  return static_cast<uint8_t>(std::min(255, colour + ((255 - alpha) * background + 127) / 255));
}

io::Image centred(const io::Image& glyph, int64_t size) {
  io::Image canvas = transparent(size, size);
  const int64_t top = (size - glyph.height) / 2, left = (size - glyph.width) / 2;
  for (int64_t y = 0; y < glyph.height; ++y) {
    std::copy_n(glyph.row(y), glyph.width * 4, canvas.row(top + y) + left * 4);
  }
  return canvas;
}

}  // namespace

struct EmojiFont::Handles {
  std::string path;
  Owned<FT_Library, FT_Done_FreeType> library;
  Owned<FT_Face, FT_Done_Face> face;
  Owned<hb_font_t*, hb_font_destroy> shaper;
  Owned<hb_buffer_t*, hb_buffer_destroy> buffer;
};

EmojiFont::EmojiFont(const std::filesystem::path& path) : handles_(std::make_unique<Handles>()) {
  handles_->path = path.string();
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) fail("FreeType cannot be started");
  handles_->library.reset(library);
  FT_Face face = nullptr;
  if (const FT_Error fault = FT_New_Face(library, path.c_str(), 0, &face); fault != 0) {
    fail("cannot read ", path.string(), " as a font (FreeType error ", fault, ")");
  }
  handles_->face.reset(face);
  if (!FT_HAS_COLOR(face) || face->num_fixed_sizes == 0 || FT_Select_Size(face, 0) != 0) {
    fail(path.string(), " holds no colour bitmaps; give a font with a CBDT table such as NotoColorEmoji.ttf");
  }
  handles_->shaper.reset(hb_ft_font_create_referenced(face));
  handles_->buffer.reset(hb_buffer_create());
}

EmojiFont::~EmojiFont() = default;

io::Image EmojiFont::render(std::span<const uint32_t> code_points) const {
  hb_buffer_t* buffer = handles_->buffer.get();
  hb_buffer_clear_contents(buffer);
  const int count = static_cast<int>(code_points.size());
  hb_buffer_add_utf32(buffer, code_points.data(), count, 0, count);
  hb_buffer_guess_segment_properties(buffer);
  hb_buffer_set_flags(buffer, HB_BUFFER_FLAG_REMOVE_DEFAULT_IGNORABLES);
  hb_shape(handles_->shaper.get(), buffer, nullptr, 0);
  unsigned int glyphs = 0;
  const hb_glyph_info_t* infos = hb_buffer_get_glyph_infos(buffer, &glyphs);
  // Several glyphs: the font has no picture of this sequence, only of its parts.
  if (glyphs != 1 || infos[0].codepoint == 0) return {};

  FT_Face face = handles_->face.get();
  if (const FT_Error fault = FT_Load_Glyph(face, infos[0].codepoint, FT_LOAD_COLOR); fault != 0) {
    fail(handles_->path, ": glyph ", infos[0].codepoint, " cannot be loaded (FreeType error ", fault,
         "; a FreeType built without PNG support cannot)");
  }
  const FT_Bitmap& bitmap = face->glyph->bitmap;
  if (bitmap.pixel_mode != FT_PIXEL_MODE_BGRA || bitmap.rows == 0 || bitmap.width == 0) {
    fail(handles_->path, ": glyph ", infos[0].codepoint, " is no colour bitmap");
  }
  return from_bitmap(bitmap);
}

io::Image compose_emoji(const io::Image& glyph, int64_t size, std::string_view background) {
  const int64_t inner = std::max<int64_t>(1, size - 2 * (size / 16));
  const int64_t longest = std::max(glyph.height, glyph.width);
  const auto fitted = [&](int64_t side) { return std::max<int64_t>(1, (side * inner + longest / 2) / longest); };
  const io::Image canvas = centred(io::resize_bicubic(glyph, fitted(glyph.height), fitted(glyph.width)), size);

  const bool keeps_alpha = background == "transparent";
  const uint8_t behind = background == "white" ? 255 : 0;
  io::Image out{.height = size, .width = size, .channels = keeps_alpha ? 4 : 3, .pixels = {}};
  out.pixels.reserve(static_cast<size_t>(size * size * out.channels));
  for (size_t i = 0; i < canvas.pixels.size(); i += 4) {
    const uint8_t* pixel = &canvas.pixels[i];
    for (int c = 0; c < 3; ++c) {
      out.pixels.push_back(keeps_alpha ? straight(pixel[c], pixel[3]) : over(pixel[c], pixel[3], behind));
    }
    if (keeps_alpha) out.pixels.push_back(pixel[3]);
  }
  return out;
}

}  // namespace gigacat::data
