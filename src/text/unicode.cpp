#include "text/unicode.h"

#include <hb.h>
#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <cstdint>

#include "gigacat/core/error.h"

namespace gigacat::text {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

hb_unicode_funcs_t* tables() { return hb_unicode_funcs_get_default(); }

int category(char32_t c) { return hb_unicode_general_category(tables(), c); }

locale_t unicode_locale() {
  static const locale_t locale = [] {
    for (const char* name : {"C.UTF-8", "en_US.UTF-8"})
      if (locale_t found = ::newlocale(LC_CTYPE_MASK, name, nullptr)) return found;
    fail("the C library has neither locale C.UTF-8 nor en_US.UTF-8, which case mapping needs");
  }();
  return locale;
}

char32_t simple_lower(char32_t c) {
  return static_cast<char32_t>(::towlower_l(static_cast<wint_t>(c), unicode_locale()));
}
char32_t simple_upper(char32_t c) {
  return static_cast<char32_t>(::towupper_l(static_cast<wint_t>(c), unicode_locale()));
}

// Length of the UTF-8 sequence at `at` and its value, or 0.
size_t sequence(std::string_view bytes, size_t at, char32_t& value) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = byte(at);
  if (first < 0x80) return value = first, 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > bytes.size()) return 0;
  value = first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte(at + i) & 0x3F);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  return length;
}

bool is_cased(char32_t c) {
  const int kind = category(c);
  return kind == HB_UNICODE_GENERAL_CATEGORY_UPPERCASE_LETTER || kind == HB_UNICODE_GENERAL_CATEGORY_LOWERCASE_LETTER ||
         kind == HB_UNICODE_GENERAL_CATEGORY_TITLECASE_LETTER;
}

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case HB_UNICODE_GENERAL_CATEGORY_NON_SPACING_MARK:
    case HB_UNICODE_GENERAL_CATEGORY_ENCLOSING_MARK:
    case HB_UNICODE_GENERAL_CATEGORY_FORMAT:
    case HB_UNICODE_GENERAL_CATEGORY_MODIFIER_LETTER:
    case HB_UNICODE_GENERAL_CATEGORY_MODIFIER_SYMBOL:
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

void decompose(char32_t c, Text& out) {
  hb_codepoint_t first = 0, second = 0;
  if (!hb_unicode_decompose(tables(), c, &first, &second)) {
    out.push_back(c);
    return;
  }
  decompose(first, out);
  if (second != 0) out.push_back(second);
}

int combining_class(char32_t c) { return hb_unicode_combining_class(tables(), c); }

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
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto rest = [&](int shift) { put(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) return put(0xC0 | c >> 6), rest(0);
  if (c < 0x10000) return put(0xE0 | c >> 12), rest(6), rest(0);
  put(0xF0 | c >> 18), rest(12), rest(6), rest(0);
}

std::string to_utf8(TextView text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

bool is_letter(char32_t c) {
  const int kind = category(c);
  return is_cased(c) || kind == HB_UNICODE_GENERAL_CATEGORY_MODIFIER_LETTER ||
         kind == HB_UNICODE_GENERAL_CATEGORY_OTHER_LETTER;
}

bool is_number(char32_t c) {
  const int kind = category(c);
  return kind == HB_UNICODE_GENERAL_CATEGORY_DECIMAL_NUMBER || kind == HB_UNICODE_GENERAL_CATEGORY_LETTER_NUMBER ||
         kind == HB_UNICODE_GENERAL_CATEGORY_OTHER_NUMBER;
}

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
  Text apart;
  for (const char32_t c : text) decompose(c, apart);
  for (size_t begin = 0; begin < apart.size();) {  // marks between two starters in the order of their classes
    size_t end = begin;
    while (end < apart.size() && combining_class(apart[end]) != 0) ++end;
    std::stable_sort(apart.begin() + static_cast<ptrdiff_t>(begin), apart.begin() + static_cast<ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end + 1;
  }
  Text out;
  size_t starter = Text::npos;
  int last = 0;  // class of the mark before
  for (const char32_t c : apart) {
    const int mark = combining_class(c);
    const bool adjacent = starter != Text::npos && starter + 1 == out.size(),
               free = adjacent || (last != 0 && last < mark);
    hb_codepoint_t together = 0;
    if (starter != Text::npos && free && hb_unicode_compose(tables(), out[starter], c, &together)) {
      out[starter] = together;
      continue;
    }
    if (mark == 0) starter = out.size();
    last = mark;
    out.push_back(c);
  }
  return out;
}

Text strip(TextView text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return Text(text);
}

}  // namespace gigacat::text
