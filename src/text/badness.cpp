#include <algorithm>
#include <unordered_map>
#include <vector>

#include "text/mojibake.h"
#include "text/mojibake_tables.h"

namespace gigacat::text {
namespace {

using Classes = uint32_t;
enum : Classes {
  kCommon = 1 << 0,
  kC1 = 1 << 1,
  kBad = 1 << 2,
  kLaw = 1 << 3,
  kCurrency = 1 << 4,
  kStart = 1 << 5,
  kEnd = 1 << 6,
  kNumeric = 1 << 7,
  kKaomoji = 1 << 8,
  kUpper = 1 << 9,
  kLower = 1 << 10,
  kUpperCommon = 1 << 11,
  kLowerCommon = 1 << 12,
  kBox = 1 << 13,
  kSmallLetter = 1 << 14,    // a-z
  kCapitalLetter = 1 << 15,  // A-Z
  kSpace = 1 << 16,
  kWord = 1 << 17,
  kAny = 1 << 18  // but a line break
};
constexpr Classes kLatin = kSmallLetter | kCapitalLetter;

// A character of one of the classes or one of `also`; with `none_of` one that is not.
struct Set {
  Classes classes = 0;
  TextView also = {};
  bool none_of = false;
};

struct Rule {
  std::vector<Set> sequence;
  bool at_start = false;
};

constexpr Set one(TextView characters) { return {0, characters, false}; }

constexpr Classes kMarked = kLower | kUpper | kBox | kStart | kEnd | kCurrency | kNumeric | kLaw;
constexpr Set kArabicSecond{kCommon | kCurrency | kBad | kNumeric | kStart, U"ŸŠ®°µ»"};
constexpr Set kCyrillicByte{kC1 | kBad | kStart | kEnd | kCurrency, U"°µ"};
constexpr Set kGreekByte{kC1 | kBad | kStart | kEnd | kCurrency, U"°"};

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all{
      {{{kC1}}},
      {{{kBad | kMarked}, {kBad}}},
      {{{kLatin}, {kLowerCommon | kUpperCommon}, {kBad}}},
      {{{kBad}, {kMarked}}},
      {{{kLower | kLowerCommon | kBox | kEnd | kCurrency | kNumeric}, {kUpper}}},
      {{{kBox | kEnd | kCurrency | kNumeric}, {kLower}}},
      {{{kLower | kBox | kEnd}, {kCurrency}}},
      {{{kSpace}, {kUpper}, {kCurrency}}},
      {{{kUpper | kBox}, {kNumeric | kLaw}}},
      {{{kLower | kUpper | kBox | kCurrency | kEnd}, {kStart}, {kNumeric}}},
      {{{kLower | kUpper | kCurrency | kNumeric | kBox | kLaw}, {kEnd}, {kStart}}},
      {{{kCurrency | kNumeric | kBox}, {kStart}}},
      {{{kSmallLetter}, {kUpper}, {kStart | kCurrency}}},
      {{{kBox}, {kKaomoji}}},
      {{{kLower | kUpper | kCurrency | kNumeric | kStart | kEnd | kLaw}, {kBox}}},
      {{{kBox}, {kEnd}}},
      {{{kLower | kUpper}, {kStart | kEnd}, {kWord}}},
      {{one(U"Œœ"), {kLatin, {}, true}}},
      {{{kUpper}, one(U"°")}},
      {{one(U"ÂÃÎÐ"), {kStart | kEnd, U"€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"}}},
      {{one(U"×"), one(U"²³")}},
      {{one(U"ØÙ"), kArabicSecond, one(U"ØÙ"), kArabicSecond}},
      {{one(U"à"), one(U"²µ¹¼½¾")}},
      {{one(U"√"), one(U"±∂†≠®™´≤≥¥µø")}},
      {{one(U"≈"), one(U"°¢")}},
      {{one(U"‚"), one(U"Ä"), one(U"ìîïòôúùû†°¢π")}},
      {{one(U"‚"), one(U"âó"), one(U"àä°ê")}},
      {{one(U"в"), one(U"Ђ")}},
      {{one(U"ВГРС"), kCyrillicByte, one(U"ВГРС")}},
      {{one(U"Г"), one(U"ў"), one(U"В"), one(U"Ђ"), one(U"В"), {kAny}, {kLatin, U" "}}},
      {{one(U"Ã"), one(U"\u00a0¡")}},
      {{{kSmallLetter}, one(U"ÃÂ"), one(U" ")}},
      {{{kSmallLetter}, {kSpace}, one(U"ÃÂ"), one(U" ")}},
      {{one(U"ÃÂ"), one(U" ")}, /*at_start=*/true},
      {{{kSmallLetter | kEnd, U".,?!"}, one(U"Â"), {kStart | kEnd, U" "}}},
      {{one(U"β"), one(U"€"), one(U"™\u00a0Ά\u00ad®°")}},
      {{one(U"ΒΓΞΟ"), kGreekByte, one(U"ΒΓΞΟ")}},
      {{one(U"ā"), one(U"€")}},
  };
  return all;
}

Classes listed_classes(char32_t c) {
  static const std::unordered_map<char32_t, Classes> classes = [] {
    std::unordered_map<char32_t, Classes> all;
    const auto add = [&all](Classes bit, TextView characters) {
      for (const char32_t member : characters) all[member] |= bit;
    };
    add(kCommon, mojibake::kCommonChars);
    add(kC1, mojibake::kC1Chars);
    add(kBad, mojibake::kBadChars);
    add(kLaw, mojibake::kLawChars);
    add(kCurrency, mojibake::kCurrencyChars);
    add(kStart, mojibake::kStartPunctuationChars);
    add(kEnd, mojibake::kEndPunctuationChars);
    add(kNumeric, mojibake::kNumericChars);
    add(kKaomoji, mojibake::kKaomojiChars);
    add(kUpper, mojibake::kUpperAccentedChars);
    add(kLower, mojibake::kLowerAccentedChars);
    add(kUpperCommon, mojibake::kUpperCommonChars);
    add(kLowerCommon, mojibake::kLowerCommonChars);
    add(kBox, mojibake::kBoxChars);
    return all;
  }();
  const auto found = classes.find(c);
  return found == classes.end() ? 0 : found->second;
}

Classes classes_of(char32_t c) {
  Classes all = listed_classes(c);
  if (c != U'\n') all |= kAny;
  if (c >= U'a' && c <= U'z') all |= kSmallLetter;
  if (c >= U'A' && c <= U'Z') all |= kCapitalLetter;
  if (is_space(c)) all |= kSpace;
  if (is_word(c)) all |= kWord;
  return all;
}

bool holds(const Set& set, char32_t c, Classes classes) {
  const bool within = (set.classes & classes) != 0 || set.also.find(c) != TextView::npos;
  return within != set.none_of;
}

}  // namespace

bool is_bad(TextView text) {
  std::vector<Classes> classes(text.size());
  std::transform(text.begin(), text.end(), classes.begin(), classes_of);
  const auto fits = [&](const Rule& rule, size_t at) {
    if ((rule.at_start && at > 0) || at + rule.sequence.size() > text.size()) return false;
    for (size_t i = 0; i < rule.sequence.size(); ++i)
      if (!holds(rule.sequence[i], text[at + i], classes[at + i])) return false;
    return true;
  };
  for (size_t at = 0; at < text.size(); ++at)
    for (const Rule& rule : rules())
      if (fits(rule, at)) return true;
  return false;
}

}  // namespace gigacat::text
