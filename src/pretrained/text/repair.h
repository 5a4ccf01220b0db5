// ftfy 6.3.1's fix_text with its default settings.
#pragma once

#include "pretrained/text/unicode.h"

namespace gigacat::pretrained::text {

// Wrong encodings, HTML references, ligatures, widths, quotes, line breaks, terminal codes and control characters put
// right, and NFC: line by line.
Text fix_text(TextView text);

}  // namespace gigacat::pretrained::text
