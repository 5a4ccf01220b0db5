#include "gigacat/data/emoji.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "data/emoji_font.h"
#include "data/unicode_lists.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/image.h"

namespace gigacat::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kList[] =
    "# Version: 15.0\n"
    "\n"
    "# group: Smileys & Emotion\n"
    "# subgroup: face-smiling\n"
    "1F600  ; fully-qualified # \xF0\x9F\x98\x80 E1.0 grinning face\n"
    "263A   ; unqualified     # x E0.6 smiling face\n"
    "# group: Component\n"
    "# subgroup: skin-tone\n"
    "1F3FB  ; component       # x E1.0 light skin tone\n"
    "# group: People & Body\n"
    "# subgroup: person-role\n"
    "1F469 1F3FD 200D 1F680 ; fully-qualified # x E4.0 woman astronaut: medium skin tone\n"
    "2764 FE0F ; fully-qualified # x E0.6 red heart\n";

template <class E, class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

class EmojiTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / cat("gigacat-emoji-", test.name(), "-", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path file(const std::string& name, std::string_view content) const {
    write_atomically(folder_ / name, content);
    return folder_ / name;
  }

  // The built-in font with a list of three sequences.
  EmojiOptions small() const { return {.list = file("list.txt", kList), .skin_tones = "all", .size = 32}; }

  fs::path folder_;
};

// Content of a shard by member name.
std::map<std::string, std::string> members(const fs::path& shard) {
  const std::string bytes = read_file(shard);
  std::map<std::string, std::string> found;
  for (const io::Member& member : io::index_tar(shard)) found[member.name] = bytes.substr(member.offset, member.size);
  return found;
}

io::Image decode(const std::string& png, uint8_t background = 255) {
  return io::decode_image(std::as_bytes(std::span(png)), "emoji", {.background = background});
}

std::vector<int> pixel(const io::Image& image, int64_t y, int64_t x) {
  const uint8_t* at = image.row(y) + x * image.channels;
  return {at, at + image.channels};
}

io::Image solid(int64_t height, int64_t width, std::array<uint8_t, 4> colour) {
  io::Image image{.height = height, .width = width, .channels = 4, .pixels = {}};
  for (int64_t i = 0; i < height * width; ++i) image.pixels.insert(image.pixels.end(), colour.begin(), colour.end());
  return image;
}

TEST(UnicodeLists, KeepsFullyQualifiedSequencesWithGroupsAndNames) {
  const EmojiList list = parse_emoji_list(kList, "list");
  EXPECT_EQ(list.version, "15.0");
  EXPECT_THAT(list.groups, ElementsAre("Smileys & Emotion", "People & Body"));
  ASSERT_EQ(list.sequences.size(), 3u);
  EXPECT_EQ(list.sequences[0].name, "grinning face");
  EXPECT_EQ(list.sequences[0].utf8(), "\xF0\x9F\x98\x80");
  EXPECT_FALSE(list.sequences[0].has_skin_tone());
  EXPECT_THAT(list.sequences[1].code_points, ElementsAre(0x1F469, 0x1F3FD, 0x200D, 0x1F680));
  EXPECT_EQ(list.sequences[1].name, "woman astronaut: medium skin tone");
  EXPECT_EQ(list.sequences[1].subgroup, "person-role");
  EXPECT_EQ(list.sequences[1].group_index, 1);
  EXPECT_TRUE(list.sequences[1].has_skin_tone());
}

TEST(UnicodeLists, NamesTheLineThatIsBroken) {
  const auto error = [](const std::string& text) { return error_of<Error>([&] { parse_emoji_list(text, "list"); }); };
  EXPECT_THAT(error("# group: A\n\n1F6zz ; fully-qualified # x E1.0 face\n"), HasSubstr("list:3: \"1F6zz\""));
  EXPECT_THAT(error("# group: A\n110000 ; fully-qualified # x E1.0 face\n"), HasSubstr("no code point"));
  EXPECT_THAT(error("# group: A\n1F600 ; fully-qualified\n"), HasSubstr("list:2: no sequence with its name"));
  EXPECT_THAT(error("1F600 ; fully-qualified # x E1.0 face\n"), HasSubstr("before the first"));
  EXPECT_THAT(error(""), HasSubstr("no fully-qualified sequence"));
}

TEST(UnicodeLists, ReadsKeywordsWithEntitiesAndWithoutSelectors) {
  Keywords keywords;
  parse_annotations(
      "<annotations>\n<annotation cp=\"\xE2\x9D\xA4\">heart | red &amp; &#x6c;ove</annotation>\n"
      "<annotation cp=\"\xE2\x9D\xA4\" type=\"tts\">red heart</annotation>\n</annotations>",
      "en.xml", keywords);
  EXPECT_THAT(find_keywords(keywords, {.code_points = {0x2764, 0xFE0F}}), ElementsAre("heart", "red & love"));
  EXPECT_THAT(find_keywords(keywords, {.code_points = {0x1F600}}), IsEmpty());
}

TEST(UnicodeLists, RefusesBrokenAnnotations) {
  const auto error = [](std::string_view text) {
    Keywords keywords;
    return error_of<Error>([&] { parse_annotations(text, "en.xml", keywords); });
  };
  EXPECT_THAT(error("nothing"), HasSubstr("en.xml: no <annotation>"));
  EXPECT_THAT(error("<annotation cp=\"a\">cut"), HasSubstr("without its end tag"));
  EXPECT_THAT(error("<annotation>a</annotation><annotation kind=\"x\">a</annotation>"), HasSubstr("without cp="));
  EXPECT_THAT(error("<annotation cp=\"a\">&nbsp;</annotation>"), HasSubstr("unknown XML entity \"&nbsp;\""));
  EXPECT_THAT(error("<annotation cp=\"a\">a & b</annotation>"), HasSubstr("without its semicolon"));
}

TEST(ComposeEmoji, CompositesPremultipliedColours) {
  const io::Image half_red = solid(128, 136, {128, 0, 0, 128});
  const io::Image white = compose_emoji(half_red, 64, "white");
  EXPECT_EQ(white.channels, 3);
  EXPECT_THAT(pixel(white, 32, 32), ElementsAre(255, 127, 127));
  EXPECT_THAT(pixel(white, 1, 1), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(compose_emoji(half_red, 64, "black"), 32, 32), ElementsAre(128, 0, 0));
  const io::Image clear = compose_emoji(half_red, 64, "transparent");
  EXPECT_THAT(pixel(clear, 32, 32), ElementsAre(255, 0, 0, 128));
  EXPECT_THAT(pixel(clear, 0, 0), ElementsAre(0, 0, 0, 0));
}

TEST(ComposeEmoji, KeepsShapeAndMargin) {
  for (const int64_t size : {8, 31, 64, 200}) {
    const io::Image image = compose_emoji(solid(128, 136, {0, 0, 0, 255}), size, "white");
    ASSERT_EQ(image.height, size);
    ASSERT_EQ(image.width, size);
    const int64_t margin = size / 16;
    if (margin > 0) {
      EXPECT_THAT(pixel(image, size / 2, margin - 1), ElementsAre(255, 255, 255)) << size;
    }
    EXPECT_THAT(pixel(image, size / 2, margin), ElementsAre(0, 0, 0)) << size;
    EXPECT_THAT(pixel(image, size / 2, size - 1 - margin), ElementsAre(0, 0, 0)) << size;
  }
}

TEST_F(EmojiTest, EverySequenceOfUnicodeIsDrawn) {
  const EmojiReport report = make_emoji(folder_ / "set", {.skin_tones = "all", .size = 16});
  const EmojiList list = parse_emoji_list(read_file(EmojiOptions().list), "list");
  EXPECT_EQ(report.written + report.skipped, static_cast<int64_t>(list.sequences.size()));
  EXPECT_EQ(report.classes, 9);
  // A newer list than the font's may name a few that it does not have yet.
  EXPECT_LT(report.skipped, report.written / 20);
  if (list.version == "15.0") {
    EXPECT_EQ(report.written, 3655);
    EXPECT_EQ(report.skipped, 0);
    EXPECT_EQ(report.shards, 4);
  }
}

TEST_F(EmojiTest, WritesShardsThatOthersRead) {
  const EmojiReport report = make_emoji(folder_ / "set", small());
  EXPECT_EQ(report.written, 3);
  EXPECT_EQ(report.shards, 1);
  EXPECT_EQ(report.classes, 2);
  auto shard = members(folder_ / "set" / "emoji-000000.tar");
  EXPECT_EQ(shard.size(), 12u);
  EXPECT_EQ(shard["1f600.cls"], "0");
  EXPECT_EQ(shard["1f469_1f3fd_200d_1f680.cls"], "1");
  EXPECT_EQ(shard["1f469_1f3fd_200d_1f680.txt"], "woman astronaut: medium skin tone");
  const auto description = nlohmann::json::parse(shard["2764_fe0f.json"]);
  EXPECT_EQ(description.at("group"), "People & Body");
  EXPECT_EQ(description.at("code_points"), nlohmann::json({"2764", "fe0f"}));
  EXPECT_EQ(description.at("emoji"), "\xE2\x9D\xA4\xEF\xB8\x8F");
  EXPECT_THAT(description.at("keywords").get<std::vector<std::string>>(), testing::Contains("heart"));
  EXPECT_EQ(read_file(folder_ / "set" / "classes.txt"), "Smileys & Emotion\nPeople & Body\n");
  EXPECT_EQ(nlohmann::json::parse(read_file(folder_ / "set" / "provenance.json")).at("source").at("unicode"), "15.0");
}

TEST_F(EmojiTest, DrawsTheHeartRedOnTheBackground) {
  EmojiOptions options = small();
  for (const auto& [name, corner] : std::map<std::string, int>{{"white", 255}, {"black", 0}}) {
    options.background = name;
    make_emoji(folder_ / "set", options);
    const io::Image heart = decode(members(folder_ / "set" / "emoji-000000.tar").at("2764_fe0f.png"));
    ASSERT_EQ(heart.height, 32);
    EXPECT_THAT(pixel(heart, 0, 0), ElementsAre(corner, corner, corner)) << name;
    const std::vector<int> centre = pixel(heart, 14, 16);
    EXPECT_GT(centre[0], 180) << name;
    EXPECT_LT(centre[1], 100) << name;
    EXPECT_LT(centre[2], 100) << name;
  }
  options.background = "transparent";
  make_emoji(folder_ / "set", options);
  const std::string png = members(folder_ / "set" / "emoji-000000.tar").at("2764_fe0f.png");
  EXPECT_THAT(pixel(decode(png, 255), 0, 0), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(decode(png, 0), 0, 0), ElementsAre(0, 0, 0));
}

TEST_F(EmojiTest, KeepsACompleteSetAndRemakesAnother) {
  EmojiOptions options = small();
  options.shard_size = 1;
  EXPECT_EQ(make_emoji(folder_ / "set", options).shards, 3);
  const fs::path shard = folder_ / "set" / "emoji-000000.tar";
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(shard, long_ago);
  const EmojiReport kept = make_emoji(folder_ / "set", options);
  EXPECT_EQ(fs::last_write_time(shard), long_ago);
  EXPECT_EQ(kept.written, 3);
  EXPECT_EQ(kept.shards, 3);
  EXPECT_EQ(kept.classes, 2);

  fs::resize_file(folder_ / "set" / "emoji-000002.tar", 512);  // damaged: made anew
  make_emoji(folder_ / "set", options);
  EXPECT_NE(fs::last_write_time(shard), long_ago);
  EXPECT_EQ(members(folder_ / "set" / "emoji-000002.tar").size(), 4u);

  options.shard_size = INT64_MAX;
  EXPECT_EQ(make_emoji(folder_ / "set", options).shards, 1);
  EXPECT_FALSE(fs::exists(folder_ / "set" / "emoji-000001.tar"));
  options.skin_tones = "default";
  EXPECT_EQ(make_emoji(folder_ / "set", options).written, 2);
}

TEST_F(EmojiTest, KeepsACompleteSetOfAnOlderVersion) {
  make_emoji(folder_ / "set", small());
  fs::rename(folder_ / "set/provenance.json", folder_ / "set/recipe.json");
  const fs::path shard = folder_ / "set/emoji-000000.tar";
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(shard, long_ago);
  make_emoji(folder_ / "set", small());
  EXPECT_EQ(fs::last_write_time(shard), long_ago);

  EmojiOptions other = small();
  other.background = "black";
  make_emoji(folder_ / "set", other);
  EXPECT_TRUE(fs::exists(folder_ / "set/provenance.json"));
  EXPECT_FALSE(fs::exists(folder_ / "set/recipe.json"));
}

TEST_F(EmojiTest, EqualOptionsGiveEqualBytes) {
  make_emoji(folder_ / "a", small());
  make_emoji(folder_ / "b", small());
  for (const char* name : {"emoji-000000.tar", "classes.txt", "provenance.json"}) {
    EXPECT_EQ(read_file(folder_ / "a" / name), read_file(folder_ / "b" / name)) << name;
  }
}

TEST_F(EmojiTest, SaysWhatIsMissingAndWhichPackageHoldsIt) {
  const auto error = [&](const EmojiOptions& options) {
    return error_of<UsageError>([&] { make_emoji(folder_ / "set", options); });
  };
  EXPECT_THAT(error({.font = "/no/font.ttf"}), HasSubstr("apt-get install fonts-noto-color-emoji"));
  EXPECT_THAT(error({.list = "/no/list.txt"}), HasSubstr("apt-get install unicode-data"));
  EXPECT_THAT(error({.keywords = "/no/en.xml"}), HasSubstr("apt-get install unicode-cldr-core"));
  EXPECT_THAT(error({.skin_tones = "some"}), HasSubstr("known: default, all"));
  EXPECT_THAT(error({.background = "green"}), HasSubstr("known: white, black, transparent"));
  EXPECT_THAT(error({.size = 7}), HasSubstr("from 8 to 4096"));
  EXPECT_THAT(error({.shard_size = 0}), HasSubstr("shard_size"));
  EXPECT_FALSE(fs::exists(folder_ / "set"));
}

TEST_F(EmojiTest, RefusesWhatIsNoColourFont) {
  EmojiOptions options = small();
  for (const char* content : {"", "not a font", "\0\1\0\0 cut off"}) {
    options.font = file("font.ttf", content);
    EXPECT_THAT(error_of<Error>([&] { make_emoji(folder_ / "set", options); }), HasSubstr("font.ttf")) << content;
  }
  const std::string real = read_file(EmojiOptions().font);
  options.font = file("font.ttf", std::string_view(real).substr(0, real.size() / 3));  // tables say more than is there
  EXPECT_NE(error_of<Error>([&] { make_emoji(folder_ / "set", options); }), "");
}

TEST_F(EmojiTest, LeavesAnotherDataSetAlone) {
  const fs::path provenance = file("provenance.json", R"({"kind": "folder"})");
  EXPECT_THAT(error_of<UsageError>([&] { make_emoji(folder_, small()); }), HasSubstr("another data set"));
  EXPECT_EQ(read_file(provenance), R"({"kind": "folder"})");
  EXPECT_FALSE(fs::exists(folder_ / "emoji-000000.tar"));
}

TEST_F(EmojiTest, SaysWhenTheFolderCannotBeMade) {
  const fs::path blocked = file("blocked", "a file, no folder");
  EXPECT_THAT(error_of<Error>([&] { make_emoji(blocked / "set", small()); }), HasSubstr("blocked"));
}

}  // namespace
}  // namespace gigacat::data
