// A made-up vocabulary for CLIP's tokenizer.
#pragma once

#include <string>
#include <vector>

#include "text/unicode.h"

namespace gigacat::text {

// A vocabulary of the right length whose merges are all pairs of two bytes in the order of their ids.
inline std::string vocabulary() {
  std::vector<std::string> symbols;
  for (const bool itself : {true, false})
    for (char32_t byte = 0, next = 256; byte < 256; ++byte) {
      const bool printable = (byte >= U'!' && byte <= U'~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char32_t shown = printable ? byte : next++;
      if (printable == itself) symbols.push_back(text::to_utf8(text::TextView(&shown, 1)));
    }
  std::string lines = "#version\n";
  for (int merge = 0; merge < 48894; ++merge) lines += symbols[merge / 256] + " " + symbols[merge % 256] + "\n";
  return lines;
}

}  // namespace gigacat::text
