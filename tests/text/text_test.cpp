#include <gmock/gmock.h>
#include <zlib.h>

#include <vector>

#include "core/temporary_folder.h"
#include "gigacat/core/files.h"
#include "gigacat/text/tokenizer.h"
#include "pretrained/helpers.h"
#include "text/html.h"
#include "text/mojibake.h"
#include "text/repair.h"
#include "text/vocabulary.h"

namespace gigacat::text {
namespace {

using pretrained::testing::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string fixed(const std::string& utf8) { return text::to_utf8(text::fix_text(text::from_utf8(utf8))); }

// Values of ftfy 6.3.1.
TEST(Repair, WronglyDecodedText) {
  EXPECT_EQ(fixed("schÃ¶n"), "schön");
  EXPECT_EQ(fixed("donâ€™t"), "don't");
  EXPECT_EQ(fixed("ÃƒÂ¼ber"), "über");  // twice
  EXPECT_EQ(fixed("l’humanitÃ©"), "l'humanité");
  EXPECT_EQ(fixed("РїСЂРёРІРµС‚"), "привет");
  EXPECT_EQ(fixed("voilÃ  le travail"), "voilà le travail");  // the no-break space became a space
  EXPECT_EQ(fixed("a\xC2\x85z"), "a\u2026z");                 // a C1 control
}

TEST(Repair, LeavesSoundTextAlone) {
  for (const char* sound : {"café à la crème", "SÃO PAULO", "Ð as in Ðuro", "50 £ – 60 €", "IL Y MARQUÉ…", "日本語"})
    EXPECT_EQ(fixed(sound), sound);
}

TEST(Repair, FixedReplacements) {
  EXPECT_EQ(fixed("“a” ‘b’"), "\"a\" 'b'");
  EXPECT_EQ(fixed("ﬁ ＡＢ ｶ\u3000."), "fi AB カ .");
  EXPECT_EQ(fixed("\x1b[31mred\x1b[0m\x07\r\nb\u2028c"), "red\nb\nc");
  EXPECT_EQ(fixed("e\u0301 \u1100\u1161\u11A8 \u212B"), "é 각 Å");
  EXPECT_EQ(fixed("\xff\xc3"), "\uFFFD\uFFFD");
}

TEST(Html, References) {
  const auto plain = [](const char* html) { return text::to_utf8(text::html_unescape(text::from_utf8(html))); };
  EXPECT_EQ(plain("&lt;&amp;amp;&copy2020 &notit; &#65;&#x1F600;&#128;"), "<&amp;©2020 ¬it; A😀€");
  EXPECT_EQ(plain("&#0;&#xD800;&#5;&; & &unknown; &#x;"), "\uFFFD\uFFFD&; & &unknown; &#x;");
  const auto complete = [](const char* html) { return text::to_utf8(text::unescape_complete(text::from_utf8(html))); };
  EXPECT_EQ(complete("&amp &amp; &NTILDE; STRA&SZLIG;E &#65;"), "&amp & Ñ STRASSE A");
  EXPECT_EQ(fixed("<b>&amp;</b>"), "<b>&amp;</b>");  // a tag: the text is HTML and stays so
}

TEST(Unicode, LowerCaseOfWords) {
  const auto lower = [](const char* utf8) { return text::to_utf8(text::lower(text::from_utf8(utf8))); };
  EXPECT_EQ(lower("ΟΔΟΣ ΣΊΣΥΦΟΣ, ΑΣ'Β Σ"), "οδος σίσυφος, ασ'β σ");
  EXPECT_EQ(lower("İI ẞ Ǆ"), "i̇i ß ǆ");
}

constexpr int64_t kFirstMerge = 512, kStart = 49406, kEnd = 49407;
int64_t byte_id(char c) { return c - '!'; }
int64_t merged(char a, char b) { return kFirstMerge + 256 * byte_id(a) + byte_id(b); }
int64_t last(char c) { return 256 + byte_id(c); }

class Words : public ::testing::Test {
 protected:
  void SetUp() override { write_atomically(folder_ / "v.txt", vocabulary()); }
  const TemporaryFolder folder_;
};

TEST_F(Words, JoinsTheLowestPairFirst) {
  const Tokenizer tokenizer(folder_ / "v.txt");
  EXPECT_EQ(tokenizer.size(), 49408);
  // The pairs are ca, ab, bc and c with the end, which no merge knows; ab has the lowest rank.
  EXPECT_THAT(tokenizer.encode("cabc"), ElementsAre(byte_id('c'), merged('a', 'b'), last('c')));
  EXPECT_THAT(tokenizer.encode("A1 it's"),
              ElementsAre(last('a'), last('1'), byte_id('i'), last('t'), byte_id('\''), last('s')));
  EXPECT_THAT(tokenizer.encode(" \n "), ElementsAre());
  EXPECT_THAT(tokenizer.encode("<end_of_text>"), ElementsAre(kEnd));
}

TEST_F(Words, TokensAreCutAndPadded) {
  const Tokenizer tokenizer(folder_ / "v.txt");
  const at::Tensor tokens = tokenizer.tokens({"", "x", "1 2 3 4 5 6"}, 5);
  const at::Tensor expected = at::tensor({kStart, kEnd, int64_t{0}, int64_t{0}, int64_t{0},  //
                                          kStart, last('x'), kEnd, int64_t{0}, int64_t{0},   //
                                          kStart, last('1'), last('2'), last('3'), kEnd})
                                  .view({3, 5});
  EXPECT_TRUE(at::equal(tokens, expected)) << tokens;
}

TEST_F(Words, PackedVocabularyIsTheSame) {
  const std::string packed = (folder_ / "v.txt.gz").string();
  gzFile out = gzopen(packed.c_str(), "wb");
  const std::string content = vocabulary();
  gzwrite(out, content.data(), static_cast<unsigned>(content.size()));
  gzclose(out);
  EXPECT_EQ(Tokenizer(packed).encode("some words"), Tokenizer(folder_ / "v.txt").encode("some words"));
  const std::string whole = read_file(packed);
  write_atomically(folder_ / "cut.gz", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(error_of([&] { Tokenizer tokenizer(folder_ / "cut.gz"); }), HasSubstr("cut.gz is no whole gzip file"));
}

TEST_F(Words, OtherFilesAreRefused) {
  write_atomically(folder_ / "short", "#version\na b\n");
  EXPECT_THAT(error_of([&] { Tokenizer tokenizer(folder_ / "short"); }), HasSubstr("is no vocabulary of CLIP"));
  std::string broken = vocabulary();
  broken.replace(broken.find("! #\n"), 3, "qqq z");
  write_atomically(folder_ / "broken", broken);
  EXPECT_THAT(error_of([&] { Tokenizer tokenizer(folder_ / "broken"); }),
              HasSubstr("joins what no line before it makes"));
}

}  // namespace
}  // namespace gigacat::text
