// Images as text that terminals draw.
#pragma once

#include <string>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::io {

enum class TerminalColours {
  all,   // 24 bit
  cube,  // the 6 x 6 x 6 colours that every terminal of 256 colours has
};

// RGB images of one size side by side, a column apart: a character is two pixels, one above the other (U+2580). A line
// for every two rows of pixels, each ended by a newline; colours are set back at its end. Errors: InternalError for
// images of other channels or of several sizes, or none.
std::string half_blocks(const std::vector<Image>& images, TerminalColours colours);

// An RGB image in DEC's sixel format, in at most 252 colours (6 of red, 7 of green, 6 of blue), with the escape
// sequences around it. Errors: InternalError for other channels. Source: VT330/VT340 Programmer Reference, chapter 14.
std::string sixels(const Image& image);

}  // namespace gigacat::io
