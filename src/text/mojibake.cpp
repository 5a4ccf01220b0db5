#include "text/mojibake.h"

#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "text/mojibake_tables.h"

namespace gigacat::text {
namespace {

using Bytes = std::string;

constexpr uint8_t kSubstitute = 0x1A;  // in the sloppy encodings: a byte that was lost

struct Encoding {
  const char32_t* high;  // bytes 0x80 to 0xff; null: Latin-1
  bool sloppy, mac;
};

constexpr Encoding kEncodings[] = {{nullptr, false, false},
                                   {mojibake::kWindows1252, true, false},
                                   {mojibake::kWindows1251, true, false},
                                   {mojibake::kWindows1250, true, false},
                                   {mojibake::kWindows1253, true, false},
                                   {mojibake::kWindows1254, true, false},
                                   {mojibake::kWindows1257, true, false},
                                   {mojibake::kIso8859_2, false, false},
                                   {mojibake::kMacRoman, false, true},
                                   {mojibake::kCodePage437, false, false}};

using Codes = std::unordered_map<char32_t, uint8_t>;

Codes codes_of(const Encoding& encoding) {
  Codes codes;
  for (int byte = 0; byte < 256; ++byte) {
    char32_t c = static_cast<char32_t>(byte);
    if (byte >= 0x80 && encoding.high) c = encoding.high[byte - 0x80];
    if (byte == kSubstitute && encoding.sloppy) c = kReplacement;
    codes[c] = static_cast<uint8_t>(byte);
  }
  return codes;
}

// The bytes that decode to the text, where there are such.
std::optional<Bytes> encode(TextView text, size_t index) {
  static const auto all = [] {
    std::array<Codes, std::size(kEncodings)> codes;
    for (size_t i = 0; i < codes.size(); ++i) codes[i] = codes_of(kEncodings[i]);
    return codes;
  }();
  Bytes bytes;
  for (const char32_t c : text) {
    const auto found = all[index].find(c);
    if (found == all[index].end()) return std::nullopt;
    bytes.push_back(static_cast<char>(found->second));
  }
  return bytes;
}

// A pattern of byte ranges at a place.
struct Range {
  uint8_t low, high;
};
bool in(const Bytes& bytes, size_t at, std::initializer_list<Range> ranges) {
  if (at >= bytes.size()) return false;
  const auto byte = static_cast<uint8_t>(bytes[at]);
  for (const Range& range : ranges)
    if (byte >= range.low && byte <= range.high) return true;
  return false;
}
bool is(const Bytes& bytes, size_t at, uint8_t byte) { return in(bytes, at, {{byte, byte}}); }
bool tail(const Bytes& bytes, size_t at) { return in(bytes, at, {{0x80, 0xBF}}); }
// A continuation byte before or after the lost no-break space: 0x85 and 0xa0 would be too likely.
bool strict_tail(const Bytes& bytes, size_t at) { return in(bytes, at, {{0x80, 0x84}, {0x86, 0x9F}, {0xA1, 0xBF}}); }

// Length of a UTF-8 sequence whose byte 0xa0 was turned into a space, or 0.
size_t spaced_sequence(const Bytes& b, size_t at) {
  const auto space = [&](size_t i) { return is(b, at + i, ' '); };
  if (in(b, at, {{0xC2, 0xC3}, {0xC5, 0xC5}, {0xCE, 0xCE}, {0xD0, 0xD0}, {0xD9, 0xD9}}) && space(1)) return 2;
  if (in(b, at, {{0xE2, 0xE3}}) && space(1) && strict_tail(b, at + 2)) return 3;
  if (in(b, at, {{0xE0, 0xE3}}) && strict_tail(b, at + 1) && space(2)) return 3;
  if (!is(b, at, 0xF0)) return 0;
  const bool fits = (space(1) && tail(b, at + 2) && tail(b, at + 3)) ||
                    (tail(b, at + 1) && space(2) && tail(b, at + 3)) ||
                    (tail(b, at + 1) && tail(b, at + 2) && space(3));
  return fits ? 4 : 0;
}

Bytes restore_no_break_space(const Bytes& bytes) {
  Bytes words;  // "a grave" as a word keeps its space
  for (size_t at = 0; at < bytes.size(); ++at) {
    words.push_back(bytes[at]);
    if (!is(bytes, at, 0xC3) || !is(bytes, at + 1, ' ')) continue;
    const std::string_view after = std::string_view(bytes).substr(at + 2);
    bool part = false;
    for (const std::string_view end : {" ", "quele", "quela", "quilo", "s "}) part = part || after.starts_with(end);
    if (part) continue;
    words += "\xA0 ";
    ++at;
  }
  Bytes out;
  for (size_t at = 0; at < words.size();) {
    const size_t length = spaced_sequence(words, at);
    if (length == 0) {
      out.push_back(words[at++]);
      continue;
    }
    for (size_t i = 0; i < length; ++i, ++at) out.push_back(words[at] == ' ' ? '\xA0' : words[at]);
  }
  return out;
}

bool has_spaced_sequence(const Bytes& bytes) {
  for (size_t at = 0; at < bytes.size(); ++at)
    if (spaced_sequence(bytes, at) > 0) return true;
  return false;
}

// Length of a UTF-8 or CESU-8 sequence in which a byte was lost, or 0.
size_t lossy_sequence(const Bytes& b, size_t at) {
  const auto lost = [&](size_t i) { return in(b, at + i, {{kSubstitute, kSubstitute}, {'?', '?'}}); };
  const auto sub = [&](size_t i) { return is(b, at + i, kSubstitute); };
  const auto kept = [&](size_t i) { return sub(i) || tail(b, at + i); };
  const auto any = [&](size_t i) { return lost(i) || tail(b, at + i); };
  if (in(b, at, {{0xC2, 0xDF}}) && sub(1)) return 2;
  if (in(b, at, {{0xC2, 0xC3}}) && is(b, at + 1, '?')) return 2;
  if (is(b, at, 0xED) && in(b, at + 1, {{0xA0, 0xAF}}) && is(b, at + 3, 0xED) && in(b, at + 4, {{0xB0, 0xBF}}) &&
      ((lost(2) && any(5)) || (any(2) && lost(5))))
    return 6;
  if (in(b, at, {{0xE0, 0xEF}}) && ((lost(1) && kept(2)) || (kept(1) && lost(2)))) return 3;
  if (in(b, at, {{0xF0, 0xF4}}) &&
      ((lost(1) && kept(2) && kept(3)) || (kept(1) && lost(2) && kept(3)) || (kept(1) && kept(2) && lost(3))))
    return 4;
  return sub(0) ? 1 : 0;
}

Bytes replace_lossy(const Bytes& bytes) {
  Bytes out;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = lossy_sequence(bytes, at);
    if (length == 0) {
      out.push_back(bytes[at++]);
    } else {
      append_utf8(out, kReplacement);
      at += length;
    }
  }
  return out;
}

// UTF-8 with surrogates in pairs of three bytes (CESU-8) and Java's two-byte zero turned into plain UTF-8.
Bytes plain_utf8(const Bytes& b) {
  const auto bits = [&b](size_t at, int mask) { return static_cast<char32_t>(static_cast<uint8_t>(b[at]) & mask); };
  Bytes out;
  for (size_t at = 0; at < b.size();) {
    if (is(b, at, 0xC0) && is(b, at + 1, 0x80)) {
      out.push_back('\0');
      at += 2;
    } else if (is(b, at, 0xED) && in(b, at + 1, {{0xA0, 0xAF}}) && tail(b, at + 2) && is(b, at + 3, 0xED) &&
               in(b, at + 4, {{0xB0, 0xBF}}) && tail(b, at + 5)) {
      append_utf8(out, 0x10000 + (bits(at + 1, 0x0F) << 16 | bits(at + 2, 0x3F) << 10 | bits(at + 4, 0x0F) << 6 |
                                  bits(at + 5, 0x3F)));
      at += 6;
    } else {
      out.push_back(b[at++]);
    }
  }
  return out;
}

// What the text is when its characters are this encoding's bytes of UTF-8.
std::optional<Text> redecoded(TextView text, size_t index) {
  std::optional<Bytes> bytes = encode(text, index);
  if (!bytes) return std::nullopt;
  if (!kEncodings[index].mac && has_spaced_sequence(*bytes)) bytes = restore_no_break_space(*bytes);
  if (kEncodings[index].sloppy) bytes = replace_lossy(*bytes);
  Text out;
  if (!decode_utf8(plain_utf8(*bytes), out)) return std::nullopt;
  return out;
}

bool is_in(char32_t c, TextView set) { return set.find(c) != TextView::npos; }

// End of a run of characters that look like bytes of UTF-8 from `at` on, or `at`.
size_t run_end(TextView text, size_t at) {
  using namespace mojibake;
  if (at > 0 && is_in(text[at - 1], kUtf8ContinuationStrict)) return at;
  const auto fits = [&](size_t from, TextView first, size_t tails) {
    if (from + tails >= text.size() || !is_in(text[from], first)) return false;
    for (size_t i = 1; i <= tails; ++i)
      if (!is_in(text[from + i], kUtf8Continuation)) return false;
    return true;
  };
  size_t end = at;
  for (;;) {
    const size_t length = end >= text.size()            ? 0
                          : fits(end, kUtf8FirstOf2, 1) ? 2
                          : fits(end, kUtf8FirstOf3, 2) ? 3
                          : fits(end, kUtf8FirstOf4, 3) ? 4
                                                        : 0;
    if (length == 0) return end;
    end += length;
  }
}

// Runs within sound text, each for itself.
Text fix_runs(TextView text) {
  Text out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = run_end(text, at);
    if (end == at) {
      out.push_back(text[at++]);
      continue;
    }
    const TextView run = text.substr(at, end - at);
    out += run.size() < text.size() && is_bad(run) ? fix_encoding(run) : Text(run);
    at = end;
  }
  return out;
}

// Latin-1 that was meant to be Windows-1252; nothing for other text and for bytes that Windows-1252 leaves open.
std::optional<Text> as_windows_1252(TextView text) {
  Text out;
  for (const char32_t c : text) {
    if (c > 0xFF) return std::nullopt;
    const char32_t meant = c < 0x80 ? c : mojibake::kWindows1252[c - 0x80];
    if (c >= 0x80 && c <= 0x9F && meant == c) return std::nullopt;
    out.push_back(meant);
  }
  return out;
}

Text fix_once(TextView text) {
  if (!is_bad(text)) return Text(text);
  for (size_t index = 0; index < std::size(kEncodings); ++index)
    if (auto fixed = redecoded(text, index)) return *fixed;
  if (Text fixed = fix_runs(text); fixed != text) return fixed;
  if (auto fixed = as_windows_1252(text); fixed && *fixed != text) return *fixed;
  return fix_c1_controls(text);
}

}  // namespace

Text fix_c1_controls(TextView text) {
  Text out(text);
  for (char32_t& c : out)
    if (c >= 0x80 && c <= 0x9F) c = mojibake::kWindows1252[c - 0x80];
  return out;
}

Text fix_encoding(TextView text) {
  Text now(text);
  for (;;) {
    Text next = fix_once(now);
    if (next == now) return now;
    now = std::move(next);
  }
}

}  // namespace gigacat::text
