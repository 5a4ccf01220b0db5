// ftfy 6.3.1's fix_text with its default settings.
#pragma once

#include "text/unicode.h"

namespace gigacat::text {

// Wrong encodings, HTML references, ligatures, widths, quotes, line breaks, terminal codes and control characters put
// right, and NFC: line by line.
Text fix_text(TextView text);

}  // namespace gigacat::text
