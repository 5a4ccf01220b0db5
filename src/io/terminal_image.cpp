#include "gigacat/io/terminal_image.h"

#include <algorithm>
#include <array>

#include "gigacat/core/text.h"

namespace gigacat::io {
namespace {

constexpr int64_t kBand = 6;  // rows of pixels in a line of sixels
constexpr int kRed = 6, kGreen = 7, kBlue = 6;

// Nearest of `levels` equal steps of 0..255.
int level(uint8_t value, int levels) { return (value * (levels - 1) + 127) / 255; }

std::string colour_text(const uint8_t* pixel, TerminalColours colours) {
  if (colours == TerminalColours::all) return cat("2;", int{pixel[0]}, ";", int{pixel[1]}, ";", int{pixel[2]});
  // Steps of the cube: 0, 95, 135, 175, 215, 255.
  const auto step = [](uint8_t value) { return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40; };
  return cat("5;", 16 + 36 * step(pixel[0]) + 6 * step(pixel[1]) + step(pixel[2]));
}

int sixel_colour(const uint8_t* pixel) {
  return (level(pixel[0], kRed) * kGreen + level(pixel[1], kGreen)) * kBlue + level(pixel[2], kBlue);
}

std::string palette() {
  std::string text;
  for (int red = 0; red < kRed; ++red)
    for (int green = 0; green < kGreen; ++green)
      for (int blue = 0; blue < kBlue; ++blue)
        text += cat("#", (red * kGreen + green) * kBlue + blue, ";2;", 100 * red / (kRed - 1), ";",
                    100 * green / (kGreen - 1), ";", 100 * blue / (kBlue - 1));
  return text;
}

// Characters with equal neighbours as a count.
std::string run_lengths(const std::string& text) {
  std::string out;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    while (end < text.size() && text[end] == text[begin]) ++end;
    if (end - begin > 3)
      out += cat("!", end - begin, text[begin]);
    else
      out.append(end - begin, text[begin]);
  }
  return out;
}

// Six rows: for each colour in them a bit mask a column.
std::string band_text(const Image& image, int64_t top) {
  std::array<std::string, kRed * kGreen * kBlue> masks;
  for (int64_t y = top; y < std::min(top + kBand, image.height); ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      std::string& mask = masks[static_cast<size_t>(sixel_colour(image.row(y) + 3 * x))];
      if (mask.empty()) mask.assign(static_cast<size_t>(image.width), '?');  // '?': no bit
      char& column = mask[static_cast<size_t>(x)];
      column = static_cast<char>('?' + ((column - '?') | 1 << (y - top)));
    }
  std::string text;
  for (size_t colour = 0; colour < masks.size(); ++colour)
    if (!masks[colour].empty()) text += cat("#", colour, run_lengths(masks[colour]), "$");
  return text + "-";
}

}  // namespace

std::string half_blocks(const std::vector<Image>& images, TerminalColours colours) {
  GIGACAT_CHECK(!images.empty(), "no image");
  const Image& first = images.front();
  for (const Image& image : images)
    GIGACAT_CHECK(image.channels == 3 && image.height == first.height && image.width == first.width, image.height,
                  " x ", image.width, " x ", image.channels);
  std::string text;
  for (int64_t y = 0; y < first.height; y += 2) {
    for (size_t i = 0; i < images.size(); ++i) {
      if (i > 0) text += "\033[0m ";
      for (int64_t x = 0; x < first.width; ++x) {
        text += "\033[38;" + colour_text(images[i].row(y) + 3 * x, colours);
        // Below the last row of an odd height the terminal's own background shows.
        text += y + 1 < first.height ? ";48;" + colour_text(images[i].row(y + 1) + 3 * x, colours) : ";49";
        text += "m\u2580";
      }
    }
    text += "\033[0m\n";
  }
  return text;
}

std::string sixels(const Image& image) {
  GIGACAT_CHECK(image.channels == 3, image.channels, " channels");
  std::string text = cat("\033P0;1q\"1;1;", image.width, ";", image.height, palette());
  for (int64_t top = 0; top < image.height; top += kBand) text += band_text(image, top);
  return text + "\033\\";
}

}  // namespace gigacat::io
