// Code points: what Python's str and the pattern of CLIP's tokenizer know of them.
#pragma once

#include <string>
#include <string_view>

namespace gigacat::text {

using Text = std::u32string;
using TextView = std::u32string_view;

constexpr char32_t kReplacement = 0xFFFD;  // stands for what cannot be read

// UTF-8 to code points; each byte that fits nowhere becomes U+FFFD.
Text from_utf8(std::string_view bytes);
// The same, strictly: false when the bytes are no UTF-8.
bool decode_utf8(std::string_view bytes, Text& out);
std::string to_utf8(TextView text);
void append_utf8(std::string& out, char32_t c);

bool is_letter(char32_t c);  // categories L*
bool is_number(char32_t c);  // categories N*
bool is_space(char32_t c);   // Python's str.isspace
bool is_word(char32_t c);    // \w: letters, numbers, underscore

// Python's str.lower: final sigma, dotted capital I.
Text lower(TextView text);
// Of single code points but for those whose capitals are several.
Text upper(TextView text);
// Canonical composition (NFC).
Text compose(TextView text);
// Without white space at both ends.
Text strip(TextView text);

}  // namespace gigacat::text
