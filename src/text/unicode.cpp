#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "gigacat/core/error.h"

namespace gigacat::text {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_among(char32_t c, utf8proc_category_t first, utf8proc_category_t last) {
  return category(c) >= first && category(c) <= last;
}

char32_t simple_lower(char32_t c) { return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))); }
char32_t simple_upper(char32_t c) { return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))); }

// Length of the UTF-8 sequence at `at` and its value, or 0.
size_t sequence(std::string_view bytes, size_t at, char32_t& value) {
  utf8proc_int32_t found = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()) + at,
                                       static_cast<utf8proc_ssize_t>(bytes.size() - at), &found);
  if (length <= 0) return 0;
  value = static_cast<char32_t>(found);
  return static_cast<size_t>(length);
}

bool is_cased(char32_t c) { return is_among(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LT); }

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return TextView(U"'.:·\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A").find(c) !=
             TextView::npos;
  }
}

// Whether the sigma at `at` ends a word.
bool is_final(TextView text, size_t at) {
  size_t before = at, after = at + 1;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return before > 0 && is_cased(text[before - 1]) && (after == text.size() || !is_cased(text[after]));
}

}  // namespace

bool decode_utf8(std::string_view bytes, Text& out) {
  out.clear();
  char32_t value = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = sequence(bytes, at, value);
    if (length == 0) return false;
    out.push_back(value);
    at += length;
  }
  return true;
}

Text from_utf8(std::string_view bytes) {
  Text out;
  char32_t value = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = sequence(bytes, at, value);
    out.push_back(length == 0 ? kReplacement : value);
    at += std::max<size_t>(1, length);
  }
  return out;
}

void append_utf8(std::string& out, char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

std::string to_utf8(TextView text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

bool is_letter(char32_t c) { return is_among(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO); }

bool is_number(char32_t c) { return is_among(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO); }

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word(char32_t c) { return is_letter(c) || is_number(c) || c == U'_'; }

Text lower(TextView text) {
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == U'\u0130')
      out += U"i\u0307";
    else if (text[i] == U'Σ')
      out.push_back(is_final(text, i) ? U'ς' : U'σ');
    else
      out.push_back(simple_lower(text[i]));
  }
  return out;
}

Text upper(TextView text) {
  Text out;
  for (const char32_t c : text) {
    switch (c) {
      case U'ß':
        out += U"SS";
        break;
      case U'ŉ':
        out += U"\u02BCN";
        break;
      case U'\uFB00':
        out += U"FF";
        break;
      case U'\uFB01':
        out += U"FI";
        break;
      case U'\uFB02':
        out += U"FL";
        break;
      case U'\uFB03':
        out += U"FFI";
        break;
      case U'\uFB04':
        out += U"FFL";
        break;
      default:
        out.push_back(simple_upper(c));
    }
  }
  return out;
}

Text compose(TextView text) {
  const std::string bytes = to_utf8(text);
  utf8proc_uint8_t* composed = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()), static_cast<utf8proc_ssize_t>(bytes.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, std::free);
  GIGACAT_CHECK(size >= 0, "utf8proc: ", utf8proc_errmsg(size));
  return from_utf8({reinterpret_cast<const char*>(composed), static_cast<size_t>(size)});
}

Text strip(TextView text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return Text(text);
}

}  // namespace gigacat::text
