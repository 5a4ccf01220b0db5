// Files, includes, variables, overrides, and input that is broken or hostile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "config_sample.h"
#include "temporary_folder.h"

namespace gigacat::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// What loading and applying a file says; "" when all is well.
std::string loading_error(const std::filesystem::path& file, const std::vector<std::string>& overrides = {}) {
  try {
    SampleConfig config;
    Document::load(file, overrides).apply(config.binder);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string only_mistake(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return join(mistakes(yaml, overrides), "\n");
}

TEST(Document, Scalars) {
  const Document document = Document::parse("a: 1\nb: {c: x, d: [1]}\ne: ''\n", "f");
  EXPECT_EQ(document.scalar("a"), "1");
  EXPECT_EQ(document.scalar("b.c"), "x");
  EXPECT_EQ(document.scalar("b.d"), "");
  EXPECT_EQ(document.scalar("b"), "");
  EXPECT_EQ(document.scalar("none"), "");
}

TEST(Document, EntriesHaveKindsAndPlaces) {
  const Document document = Document::parse("b:\n  c: 'x'\n  d: [1, 2]\n", "f");
  ASSERT_EQ(document.entries().size(), 3);
  const Entry &b = document.entries()[0], &c = document.entries()[1], &d = document.entries()[2];
  EXPECT_TRUE(b.is_section);
  EXPECT_TRUE(c.quoted);
  EXPECT_EQ(c.path, "b.c");
  EXPECT_EQ(c.key_origin, "f:2:3");
  EXPECT_EQ(c.origin, "f:2:6");
  EXPECT_TRUE(d.is_list);
  ASSERT_EQ(d.items.size(), 2);
  EXPECT_EQ(d.items[1].origin, "f:3:10");
}

TEST(Document, SyntaxErrorsHaveAPlace) {
  EXPECT_THAT(only_mistake("seed: [1, 2\nname: x\n"), AllOf(StartsWith("c.yaml:"), HasSubstr("not valid YAML")));
  // moraes/config#1: a tab is called a tab.
  EXPECT_EQ(only_mistake("seed: 1\n\tname: x\n"),
            "c.yaml:2:1: not valid YAML: a tab in the indentation; indent with spaces");
  EXPECT_THAT(only_mistake("seed: 1\ntrain:\n  \tsteps: 1\n"), StartsWith("c.yaml:3:3: not valid YAML: a tab"));
  EXPECT_EQ(only_mistake("name: a\tb # tabs elsewhere\tare text\n"), "");
  EXPECT_EQ(only_mistake("name: \"x\nseed: 1\n"), "c.yaml:1:7: not valid YAML: a quote is not closed");
  EXPECT_EQ(only_mistake("seed: 1\nname: 'it''s\n"), "c.yaml:2:7: not valid YAML: a quote is not closed");
  EXPECT_EQ(only_mistake("name: 'it''s'\n"), "");
  EXPECT_EQ(only_mistake("name: \"a\\\"\"\n"), "");
  EXPECT_EQ(only_mistake("\xEF\xBB\xBFname: \"caf\xC3\xA9\" # \"\n"), "");
  EXPECT_THAT(only_mistake("a: b: c\n"), StartsWith("c.yaml:1:5: not valid YAML"));
  EXPECT_THAT(only_mistake("seed: *none\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(only_mistake("- 1\n- 2\n"), "c.yaml:1:1: expected keys with values, as in \"seed: 1\"");
  EXPECT_THAT(only_mistake("just text"), HasSubstr("expected keys with values"));
  EXPECT_THAT(only_mistake("seed: 1\n---\nseed: 2\n"),
              AllOf(StartsWith("c.yaml:2:1:"), HasSubstr("more than one document")));
  EXPECT_THAT(only_mistake(",seed: 1\n"), HasSubstr("more than one document"));
}

TEST(Document, DuplicateKeys) {
  EXPECT_EQ(only_mistake("seed: 1\nseed: 1\n"), "c.yaml:2:1: seed: duplicate key, given before at c.yaml:1:1");
  EXPECT_EQ(only_mistake("train: {lr: 0, lr: 0}"), "c.yaml:1:16: train.lr: duplicate key, given before at c.yaml:1:9");
  EXPECT_EQ(only_mistake("train: {lr: 0}\nmodel: {}\ntrain: {steps: 0}"),
            "c.yaml:3:1: train: duplicate key, given before at c.yaml:1:1");
  EXPECT_EQ(only_mistake("seed: 1\n'seed': 1\n"), "c.yaml:2:1: seed: duplicate key, given before at c.yaml:1:1");
}

TEST(Document, OddKeys) {
  EXPECT_THAT(only_mistake("<<: {seed: 1}\n"), AllOf(StartsWith("c.yaml:1:1:"), HasSubstr("merge keys (<<)")));
  EXPECT_THAT(only_mistake("train.lr: 1\n"), HasSubstr("holds a dot"));
  EXPECT_THAT(only_mistake("? [1, 2]\n: 3\n"), HasSubstr("a key must be a name"));
  EXPECT_THAT(only_mistake("'': 3\n"), HasSubstr("a key must be a name"));
  EXPECT_THAT(only_mistake(std::string(300, 'k') + ": 3\n"), HasSubstr("too long"));
  EXPECT_THAT(only_mistake("\"a\\nb\": 3\n"), HasSubstr("\"a\\x0ab\" is no name"));
}

TEST(Document, TagsAreRefused) {
  for (const char* yaml : {"seed: !!int 3", "name: !custom x", "train: !t {lr: 1}", "train: {betas: !t [1]}",
                           "train: {betas: [!!float 1]}"}) {
    EXPECT_THAT(only_mistake(yaml), HasSubstr("tags are not read")) << yaml;
  }
}

TEST(Document, AliasesWork) {
  SampleConfig config;
  config.read("seed: &s 5\ntrain: {steps: *s}\n");
  EXPECT_EQ(config.train.steps, 5);
}

TEST(Document, AliasBombsAreRefused) {
  std::string lists = "a0: &a0 [x, x]\n", maps = "a0: &a0 {x: 1}\n";
  for (int i = 1; i < 40; ++i) {
    lists += cat("a", i, ": &a", i, " [*a", i - 1, ", *a", i - 1, "]\n");
    maps += cat("a", i, ": &a", i, " {x: *a", i - 1, ", y: *a", i - 1, "}\n");
  }
  EXPECT_FALSE(only_mistake(lists).empty());
  EXPECT_THAT(only_mistake(maps), HasSubstr("more than 8 MiB"));
  std::string wide = cat("name: &a ", std::string(500'000, 'x'), "\ntrain: {tags: [");
  for (int i = 0; i < 50'000; ++i) wide += "*a ,";
  EXPECT_THAT(only_mistake(wide + "]}"), HasSubstr("more than 8 MiB"));
}

TEST(Document, CircularAliasesAreRefused) {
  EXPECT_FALSE(only_mistake("a: &a {b: *a}").empty());
  EXPECT_FALSE(only_mistake("a: &a {b: *a, c: *a, d: *a}").empty());
  EXPECT_FALSE(only_mistake("a: &a [*a]").empty());
}

TEST(Document, DeepNestingIsRefused) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(only_mistake(deep), HasSubstr("deeper than 64 levels"));
  for (const char* part : {"[", "{", "{a: ", "- ", "? ", "a: [\n"}) {
    std::string text;
    while (text.size() < 900'000) text += part;
    EXPECT_FALSE(only_mistake(text).empty()) << part;
  }
}

TEST(Document, BytesThatAreNoText) {
  EXPECT_EQ(only_mistake(std::string("seed: 1\nna\0me: x\n", 17)), "c.yaml:2:3: not UTF-8 text");
  EXPECT_EQ(only_mistake("name: \xFF\n"), "c.yaml:1:7: not UTF-8 text");
  EXPECT_EQ(only_mistake("name: \xC3"), "c.yaml:1:7: not UTF-8 text");
  EXPECT_EQ(only_mistake("name: \xC0\xAF"), "c.yaml:1:7: not UTF-8 text");
  EXPECT_THAT(only_mistake(std::string("\xFF\xFE"
                                       "a\0:\0",
                                       6)),
              HasSubstr("not UTF-8 text"));
  EXPECT_EQ(only_mistake("name: caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\xB1\n"), "");
}

// Whatever is cut off or overwritten, reading ends with an answer or a UsageError.
TEST(Document, BrokenTextNeverCrashes) {
  const std::string whole =
      "name: &n \"a\\tb\"\nmodel: {generator: {depth: 4}}\ntrain:\n  betas: [0.1, *n]\n  tags:\n  - |\n   x\n";
  for (size_t i = 0; i < whole.size(); ++i) {
    mistakes(whole.substr(0, i));
    for (const char c : std::string("\0:{}[]&*!|>'\"%@`,?-#\n\t\xFF", 23)) {
      std::string broken = whole;
      broken[i] = c;
      mistakes(broken);
    }
  }
}

TEST(Load, MissingAndUnreadableFiles) {
  const TemporaryFolder folder;
  EXPECT_THAT(loading_error(folder / "no.yaml"), AllOf(HasSubstr("no.yaml"), HasSubstr("no such file")));
  EXPECT_THAT(loading_error(folder.path()), HasSubstr("is a folder"));
  EXPECT_THAT(loading_error(folder.file("big.yaml", std::string(2 << 20, '#'))), HasSubstr("larger than 1.00 MiB"));
}

TEST(Load, NamesTheFile) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.file("x.yaml", "sede: 1\n");
  EXPECT_EQ(loading_error(file), cat(file.string(), ":1:1: sede: unknown key; did you mean seed?"));
}

TEST(Include, LaterFilesWinAndTheIncludingFileWinsOverAll) {
  const TemporaryFolder folder;
  folder.file("base.yaml", "seed: 1\nname: base\ntrain: {lr: 0.1, steps: 1, sizes: [1, 2]}\n");
  folder.file("sub/more.yaml", "include: deep.yaml\nseed: 2\ntrain: {steps: 2}\n");
  folder.file("sub/deep.yaml", "train: {lr: 0.3, clip: 3}\n");
  const auto file = folder.file("main.yaml", "train: {sizes: [3]}\nseed: 3\ninclude: [base.yaml, sub/more.yaml]\n");
  SampleConfig config;
  Document::load(file).apply(config.binder);
  EXPECT_EQ(config.seed, 3);
  EXPECT_EQ(config.name, "base");
  EXPECT_EQ(config.train.steps, 2);
  EXPECT_EQ(config.train.lr, 0.3);
  EXPECT_EQ(config.train.clip, 3);
  EXPECT_THAT(config.train.sizes, ElementsAre(3));
  EXPECT_EQ(config.binder.at("train.lr").origin, (folder / "sub/deep.yaml").string() + ":1:13");
}

TEST(Include, AFileTwiceIsNoCircle) {
  const TemporaryFolder folder;
  folder.file("base.yaml", "seed: 1\n");
  folder.file("a.yaml", "include: base.yaml\n");
  folder.file("b.yaml", "include: base.yaml\n");
  EXPECT_EQ(loading_error(folder.file("main.yaml", "include: [a.yaml, b.yaml]\n")), "");
}

TEST(Include, Circles) {
  const TemporaryFolder folder;
  folder.file("a.yaml", "include: b.yaml\n");
  folder.file("b.yaml", "seed: 1\ninclude: ./../" + folder.path().filename().string() + "/a.yaml\n");
  EXPECT_THAT(loading_error(folder / "a.yaml"), AllOf(StartsWith((folder / "b.yaml").string() + ":2:10: "),
                                                      HasSubstr("circle"), HasSubstr("b.yaml -> ")));
  EXPECT_THAT(loading_error(folder.file("self.yaml", "include: self.yaml")), HasSubstr("circle"));
}

TEST(Include, TooManyFiles) {
  const TemporaryFolder folder;
  // Each file twice: 2^20 reads without a limit.
  for (int i = 0; i < 20; ++i) folder.file(cat(i, ".yaml"), cat("include: [", i + 1, ".yaml, ", i + 1, ".yaml]\n"));
  folder.file("20.yaml", "");
  EXPECT_THAT(loading_error(folder / "0.yaml"), HasSubstr("more than 64 files"));
}

TEST(Include, MistakesInIncludedFilesAreAllReported) {
  const TemporaryFolder folder;
  folder.file("a.yaml", "sede: 1\n");
  folder.file("b.yaml", "seed: [1\n");
  const auto file = folder.file("main.yaml", "include: [a.yaml, b.yaml, no.yaml]\nseed: 1\nseed: 2\n");
  const std::string text = loading_error(file);
  EXPECT_THAT(text, HasSubstr("b.yaml:"));
  EXPECT_THAT(text, HasSubstr("main.yaml:1:27: cannot open"));
  EXPECT_THAT(text, HasSubstr("main.yaml:3:1: seed: duplicate key"));
}

TEST(Include, WrongForms) {
  EXPECT_THAT(only_mistake("include:\n"), "c.yaml:1:1: include: expected a file or a list of files");
  EXPECT_THAT(only_mistake("include: {a: b}\n"), HasSubstr("expected a file or a list of files"));
  EXPECT_THAT(only_mistake("include: ['']\n"), HasSubstr("expected the name of a file"));
  EXPECT_THAT(only_mistake("include: [[a]]\n"), HasSubstr("a list holds plain values"));
  EXPECT_THAT(only_mistake("train: {include: x}\n"), HasSubstr("train.include: unknown key"));
  EXPECT_THAT(only_mistake("", {"include=x.yaml"}), HasSubstr("include: unknown key"));
  EXPECT_THAT(only_mistake("include: /dev/zero\n"), HasSubstr("not a regular file"));
}

TEST(Include, AValueTakesThePlaceOfASectionAndTheOtherWayRound) {
  const TemporaryFolder folder;
  folder.file("wrong.yaml", "seed: {a: 1, b: {c: 2}}\nmodel: 3\n");
  EXPECT_EQ(loading_error(folder.file("main.yaml", "include: wrong.yaml\nseed: 1\nmodel: {}\n")), "");
}

class Variables : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("GIGACAT_TEST_N", "12", 1);
    ::setenv("GIGACAT_TEST_EMPTY", "", 1);
    ::unsetenv("GIGACAT_TEST_UNSET");
  }
  static std::string name_of(const std::string& value) {
    SampleConfig config;
    config.read("name: " + value);
    return config.name;
  }
};

TEST_F(Variables, AreReplaced) {
  EXPECT_EQ(name_of("${GIGACAT_TEST_N}"), "12");
  EXPECT_EQ(name_of("a/${GIGACAT_TEST_N}/${GIGACAT_TEST_N}b"), "a/12/12b");
  EXPECT_EQ(name_of("${GIGACAT_TEST_UNSET:-other}"), "other");
  EXPECT_EQ(name_of("${GIGACAT_TEST_EMPTY:-other}"), "other");
  EXPECT_EQ(name_of("${GIGACAT_TEST_N:-other}"), "12");
  EXPECT_EQ(name_of("${GIGACAT_TEST_UNSET:-}"), "");
  EXPECT_EQ(name_of("${GIGACAT_TEST_EMPTY}"), "");
  EXPECT_EQ(name_of("\"${GIGACAT_TEST_UNSET:-a: b}\""), "a: b");
}

TEST_F(Variables, AreTypedAfterwards) {
  SampleConfig config;
  config.read(
      "seed: ${GIGACAT_TEST_N}\ntrain: {steps: \"${GIGACAT_TEST_UNSET:-7}\", sizes: [1, \"${GIGACAT_TEST_N}\"]}");
  EXPECT_EQ(config.seed, 12);
  EXPECT_EQ(config.train.steps, 7);
  EXPECT_THAT(config.train.sizes, ElementsAre(1, 12));
  EXPECT_THAT(only_mistake("seed: ${GIGACAT_TEST_UNSET:-many}"), HasSubstr("expected a whole number, got \"many\""));
}

TEST_F(Variables, DollarsOtherwiseStay) {
  EXPECT_EQ(name_of("$HOME $ $$ a$"), "$HOME $ $$ a$");
  EXPECT_EQ(name_of("\"$${GIGACAT_TEST_N}\""), "${GIGACAT_TEST_N}");
}

TEST_F(Variables, Mistakes) {
  EXPECT_EQ(only_mistake("seed: ${GIGACAT_TEST_UNSET}"),
            "c.yaml:1:7: seed: the environment variable GIGACAT_TEST_UNSET is not set; set it or write "
            "${GIGACAT_TEST_UNSET:-default}");
  for (const char* text : {"${}", "${1A}", "${A-b}", "${A B}", "${:-x}", "${A:-${B}}", "${A"}) {
    EXPECT_THAT(only_mistake(cat("name: \"", text, "\"")), HasSubstr("write ${NAME}")) << text;
  }
}

TEST_F(Variables, InIncludesAndOverrides) {
  const TemporaryFolder folder;
  folder.file("12.yaml", "seed: 3\n");
  const auto file = folder.file("main.yaml", "include: ${GIGACAT_TEST_N}.yaml\n");
  SampleConfig config;
  Document::load(file, {"name=${GIGACAT_TEST_N}"}).apply(config.binder);
  EXPECT_EQ(config.seed, 3);
  EXPECT_EQ(config.name, "12");
}

TEST_F(Variables, CannotBlowUp) {
  ::setenv("GIGACAT_TEST_LONG", std::string(100'000, 'x').c_str(), 1);
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "${GIGACAT_TEST_LONG}";
  EXPECT_THAT(only_mistake("name: " + text), HasSubstr("longer than 1 MiB"));
  ::unsetenv("GIGACAT_TEST_LONG");
}

TEST(Overrides, WinOverFiles) {
  SampleConfig config;
  config.read("seed: 1\ntrain: {sizes: [1]}\n",
              {"seed=2", "seed=3", "train.sizes=[4, 5]", " name = a b ", "train.tags=['x,y', z]", "train.lr=1e-2"});
  EXPECT_EQ(config.seed, 3);
  EXPECT_EQ(config.name, "a b");
  EXPECT_THAT(config.train.sizes, ElementsAre(4, 5));
  EXPECT_THAT(config.train.tags, ElementsAre("x,y", "z"));
  EXPECT_EQ(config.train.lr, 0.01);
}

TEST(Overrides, TakeTextAsItStands) {
  for (const char* text : {"*.tar", "a: b", "x #y", "@here", "!tag", "%a", "a=b=c", "- x", "&a", "|"}) {
    SampleConfig config;
    config.read("", {cat("name=", text)});
    EXPECT_EQ(config.name, text);
  }
  SampleConfig config;
  config.read("", {"name="});
  EXPECT_EQ(config.name, "");
  config.read("", {"name=\"a\\tb\""});
  EXPECT_EQ(config.name, "a\tb");
}

TEST(Overrides, SetWholeSections) {
  SampleConfig config;
  config.read("train: {lr: 0.5}", {"train={steps: 3, betas: [0.1]}"});
  EXPECT_EQ(config.train.steps, 3);
  EXPECT_EQ(config.train.lr, 0.5);
}

TEST(Overrides, Mistakes) {
  EXPECT_EQ(only_mistake("", {"train.stpes=1"}), "command line: train.stpes: unknown key; did you mean train.steps?");
  EXPECT_EQ(only_mistake("", {"modle.generator.depth=1"}),
            "command line: modle.generator.depth: unknown key; did you mean model.generator.depth?");
  EXPECT_EQ(only_mistake("", {"seed=x"}), "command line: seed: expected a whole number, got \"x\"");
  EXPECT_EQ(only_mistake("", {"seed="}), "command line: seed: expected a whole number, got \"\"");
  EXPECT_EQ(only_mistake("", {"seed"}), "command line: \"seed\": write path=value");
  EXPECT_EQ(only_mistake("", {"=1"}), "command line: \"=1\": write path=value");
  EXPECT_THAT(only_mistake("", {"train.sizes=[1"}), HasSubstr("command line: train.sizes: not valid YAML"));
  EXPECT_THAT(only_mistake("", {"model=3"}), HasSubstr("model: is a section"));
  EXPECT_THAT(only_mistake("", {"name=\xFF"}), HasSubstr("not UTF-8"));
  EXPECT_THAT(only_mistake("", {"..=1", ".=2"}), HasSubstr("unknown key"));
}

}  // namespace
}  // namespace gigacat::config
