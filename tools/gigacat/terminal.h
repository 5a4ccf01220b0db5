// Pictures on the terminal that stdout is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::cli {

// Whether stdout is a terminal that says it can show pictures (TERM, COLORTERM, the locale), or GIGACAT_IMAGES says so
// for it. Errors: UsageError for another value of GIGACAT_IMAGES than none, blocks or sixel.
bool shows_images();

// Prints the first of `images`, RGB of one size, as many as stand in two rows of the terminal, and how many there are
// in all. Nothing where shows_images() is false or there is no image.
void show_images(const std::vector<io::Image>& images, int64_t of);

}  // namespace gigacat::cli
