#include <gmock/gmock.h>

#include <cstdio>

#include "gigacat/io/archive.h"
#include "helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;

std::string content_of(const fs::path& path, const Member& member) {
  return read_file(path).substr(member.offset, member.size);
}

std::map<std::string, std::string> read_all(const fs::path& path, std::string* fault = nullptr) {
  std::map<std::string, std::string> all;
  std::string own;
  for (const Member& member : index_tar(path, fault ? fault : &own)) all[member.name] = content_of(path, member);
  EXPECT_EQ(own, "");
  return all;
}

const std::string kLong = "a/" + std::string(120, 'x') + "/" + std::string(130, 'y') + ".jpg";

std::map<std::string, std::string> samples() {
  return {{"0001.jpg", "first"},
          {"0001.txt", ""},
          {"sub/größe.bin", std::string(1500, 'b')},
          {kLong, "long"},
          {std::string(100, 'n'), std::string(512, 'c')}};
}

fs::path write_samples(const fs::path& path) {
  FileWriter out(path);
  TarWriter tar(out);
  for (const auto& [name, content] : samples()) tar.add(name, content);
  tar.finish();
  out.flush();
  return path;
}

// The header of a member; `edit` may spoil it before the checksum is set.
template <class Edit>
std::string header(const std::string& name, const std::string& size, char type, const Edit& edit) {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 7, "0000644");
  block.replace(124, size.size(), size);
  block[156] = type;
  block.replace(257, 6, std::string("ustar\0", 6));
  block.replace(263, 2, "00");
  block.replace(148, 8, "        ");
  edit(block);
  unsigned sum = 0;
  for (unsigned char c : block) sum += c;
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum & 0777777);
  return block.replace(148, 7, text, 7);
}

std::string header(const std::string& name, const std::string& size, char type = '0') {
  return header(name, size, type, [](std::string&) {});
}

std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512);
  return content;
}

const std::string kEnd(1024, '\0');

std::string fault_of(const std::string& archive) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("x.tar", archive);
  const std::string error = error_of([&] { index_tar(path); });
  EXPECT_THAT(error, HasSubstr(path.string()));
  return error;
}

TEST(Tar, RoundTrip) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_all(write_samples(folder / "a.tar")), samples());
}

TEST(Tar, GnuTarReadsOurs) {
  const TemporaryFolder folder;
  write_samples(folder / "a.tar");
  const Ran ran = run("cd " + folder.path().string() + " && mkdir out && tar -xf a.tar -C out");
  ASSERT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(ran.output, "");
  for (const auto& [name, content] : samples()) EXPECT_EQ(read_file(folder / ("out/" + name)), content) << name;
}

TEST(Tar, PythonReadsOurs) {
  const TemporaryFolder folder;
  write_samples(folder / "a.tar");
  const Ran ran =
      run("cd " + folder.path().string() + " && python3 -m tarfile -l a.tar && python3 -m tarfile -e a.tar out");
  if (ran.code == 127) GTEST_SKIP() << "no python3";
  ASSERT_EQ(ran.code, 0) << ran.output;
  for (const auto& [name, content] : samples()) EXPECT_EQ(read_file(folder / ("out/" + name)), content) << name;
}

class TarFormat : public ::testing::TestWithParam<const char*> {};

TEST_P(TarFormat, GnuTarsAreRead) {
  const TemporaryFolder folder;
  std::map<std::string, std::string> expected;
  for (const auto& [name, content] : samples()) {
    // The older formats have no room for the long names.
    if (name.size() > 90 && GetParam() != std::string("gnu") && GetParam() != std::string("pax")) continue;
    folder.file("in/" + name, content);
    expected[name] = content;
  }
  const Ran ran = run("cd " + folder.path().string() +
                      "/in && ln -s 0001.jpg link && ln 0001.txt hard && tar --format=" + GetParam() +
                      " --sort=name -cf ../a.tar . && rm link hard");
  ASSERT_EQ(ran.code, 0) << ran.output;
  std::string fault;
  auto read = read_all(folder / "a.tar", &fault);
  EXPECT_EQ(fault, "");
  // Of the two hard links the first found is a file, the other is skipped.
  if (read.erase("hard")) read["0001.txt"] = "";
  EXPECT_EQ(read, expected);
}

INSTANTIATE_TEST_SUITE_P(All, TarFormat, ::testing::Values("gnu", "pax", "ustar", "v7"));

TEST(Tar, Base256SizesAndPaxSizes) {
  const TemporaryFolder folder;
  const std::string size256 = std::string("\x80", 1) + std::string(10, '\0') + "\x05";
  const std::string pax = "19 path=other/name\n9 size=4\n";
  const fs::path path = folder.file("a.tar", header("a", size256) + padded("12345") + header("x", "00000000034", 'x') +
                                                 padded(pax) + header("b", "00000000000") + padded("abcd") + kEnd);
  EXPECT_EQ(read_all(path), (std::map<std::string, std::string>{{"a", "12345"}, {"other/name", "abcd"}}));
}

TEST(Tar, OtherKindsAreSkipped) {
  const TemporaryFolder folder;
  const std::string none = "00000000000";
  const fs::path path =
      folder.file("a.tar", header("link", none, '2') + header("device", none, '3') + header("folder/", none, '5') +
                               header("pipe", none, '6') + header("g", "00000000012", 'g') + padded("10 a=bcde\n") +
                               header("label", none, 'V') + header("a", "00000000001") + padded("1") + kEnd);
  EXPECT_EQ(read_all(path), (std::map<std::string, std::string>{{"a", "1"}}));
}

TEST(Tar, NamesThatLeadOutAreRefused) {
  for (const char* name : {"../a", "a/../../b", "/etc/passwd", "a/..", ".."}) {
    EXPECT_THAT(fault_of(header(name, "00000000001") + padded("1") + kEnd), HasSubstr("refused")) << name;
  }
  EXPECT_THAT(fault_of(header("x", "00000000020", 'L') + padded("/" + std::string(15, 'a')) +
                       header("a", "00000000000") + kEnd),
              HasSubstr("absolute"));
  EXPECT_THAT(fault_of(header("", "00000000000") + kEnd), HasSubstr("no name"));
}

TEST(Tar, FaultsAreNamed) {
  EXPECT_THAT(fault_of(""), HasSubstr("empty"));
  EXPECT_THAT(fault_of(std::string(512, 'z')), HasSubstr("not a tar file"));
  EXPECT_THAT(fault_of("\x1f\x8b" + std::string(600, 'z')), HasSubstr("compressed"));
  std::string bad_sum = header("a", "00000000000");
  bad_sum[0] = 'b';
  EXPECT_THAT(fault_of(header("a", "00000000001") + padded("1") + bad_sum), HasSubstr("at byte 1024: no tar header"));
  EXPECT_THAT(fault_of(header("a", "0000000z001")), HasSubstr("not a tar file"));
  EXPECT_THAT(fault_of(header("a", std::string("\x80\0\0\x7f", 4) + std::string(8, '\x7f'))), HasSubstr("beyond"));
  EXPECT_THAT(fault_of(header("a", std::string(12, '\xff'))), HasSubstr("negative"));
  EXPECT_THAT(fault_of(header("a", "00000000000", 'S')), HasSubstr("sparse"));
  EXPECT_THAT(fault_of(header("x", "00010000000", 'x') + std::string(1 << 21, 'x')), HasSubstr("beyond 1 MiB"));
}

TEST(Tar, MalformedPaxIsRefused) {
  for (const char* pax : {"x", "5", "999 path=a\n", "0 path=a\n", "9 path=ab", "10 path=ab\n", "7 patha\n",
                          "12 size=12a\n", "99999999999999999999 path=a\n", "28 GNU.sparse.realsize=1234\n"}) {
    char size[16];
    std::snprintf(size, sizeof size, "%011zo", std::string(pax).size());
    const std::string archive = header("x", size, 'x') + padded(pax) + header("a", "00000000000") + kEnd;
    EXPECT_THAT(fault_of(archive), ::testing::AnyOf(HasSubstr("pax"), HasSubstr("sparse"))) << pax;
  }
}

TEST(Tar, TruncatedLastMemberIsSaid) {
  const TemporaryFolder folder;
  const std::string whole =
      header("a", "00000000001") + padded("1") + header("b", "00000002000") + std::string(1024, 'b');
  const auto check = [&](size_t size, const std::string& said, size_t members) {
    std::string fault;
    EXPECT_EQ(index_tar(folder.file("a.tar", whole.substr(0, size)), &fault).size(), members);
    EXPECT_THAT(fault, HasSubstr(said));
  };
  check(whole.size() - 1, "inside the member 'b'", 1);
  check(1024 + 512 + 7, "inside the member 'b'", 1);
  check(1024 + 300, "inside a header", 1);
  check(1024, "without its closing blocks", 1);
  check(whole.size(), "without its closing blocks", 2);
}

TEST(Tar, DataAfterTheEndIsSaid) {
  const TemporaryFolder folder;
  const std::string one = header("a", "00000000001") + padded("1") + kEnd;
  std::string fault;
  EXPECT_EQ(index_tar(folder.file("a.tar", one + one), &fault).size(), 1u);
  EXPECT_THAT(fault, HasSubstr("after its closing blocks"));
}

TEST(Tar, ZerosAloneHoldNothing) {
  const TemporaryFolder folder;
  std::string fault;
  EXPECT_TRUE(index_tar(folder.file("a.tar", std::string(1 << 20, '\0')), &fault).empty());
  EXPECT_EQ(fault, "");
}

TEST(Tar, TruncationsAndFlipsNeverCrash) {
  const TemporaryFolder folder;
  const std::string whole = read_file(write_samples(folder / "a.tar"));
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string fault;
    is_accepted([&] { index_tar(fresh_file(folder, whole.substr(0, at)), &fault); });
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x81);
    is_accepted([&] { index_tar(fresh_file(folder, flipped), &fault); });
  }
}

TEST(Tar, WriterRefusesBadNames) {
  const TemporaryFolder folder;
  FileWriter out(folder / "a.tar");
  TarWriter tar(out);
  EXPECT_THAT(error_of([&] { tar.add("../a", "x"); }), HasSubstr("leads out"));
  EXPECT_THAT(error_of([&] { tar.add("", "x"); }), HasSubstr("no name"));
}

}  // namespace
}  // namespace gigacat::io
