// Character references of HTML.
#pragma once

#include "text/unicode.h"

namespace gigacat::text {

// Python's html.unescape: named references with and without their semicolon, numbers, what browsers make of bad ones.
Text html_unescape(TextView text);
// ftfy's: only references that end in a semicolon, and names in capitals.
Text unescape_complete(TextView text);

}  // namespace gigacat::text
