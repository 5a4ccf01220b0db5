// Repair of text that was decoded by the wrong encoding, as ftfy 6.3.1 does it (fix_encoding of its default settings).
#pragma once

#include "text/unicode.h"

namespace gigacat::text {

// Whether the text holds sequences of characters that hardly occur but in wrongly decoded text.
bool is_bad(TextView text);
Text fix_encoding(TextView text);
// C1 controls as their Windows-1252 equivalents.
Text fix_c1_controls(TextView text);

}  // namespace gigacat::text
