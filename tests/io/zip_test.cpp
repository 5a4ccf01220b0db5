#include <gmock/gmock.h>
#include <zlib.h>

#include <cstring>
#include <thread>

#include "gigacat/io/archive.h"
#include "helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;

std::map<std::string, std::string> samples() {
  return {{"dataset.json", "{\"labels\": []}"},
          {"00000/img00000000.png", std::string(3000, 'p')},
          {"größe", "utf-8"},
          {"empty", ""}};
}

fs::path write_samples(const fs::path& path) {
  FileWriter out(path);
  ZipWriter zip(out);
  for (const auto& [name, content] : samples()) zip.add(name, content);
  zip.begin("streamed.bin", 5);
  zip.append("ab", 2);
  zip.append("cde", 3);
  zip.end();
  zip.finish();
  out.flush();
  return path;
}

std::map<std::string, std::string> read_all(const fs::path& path) {
  const ZipFile zip(path);
  std::map<std::string, std::string> all;
  for (const auto& entry : zip.entries()) all[entry.name] = zip.read(entry, 1 << 20);
  return all;
}

template <class T>
void put(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <class T>
void add(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A zip of one member with the packed bytes given; offsets of its records are returned for tests that spoil them.
struct Made {
  std::string bytes;
  size_t central = 0, end = 0;
};

Made make_zip(const std::string& name, uint16_t method, const std::string& packed, uint32_t size, uint32_t crc,
              uint16_t flags = 0) {
  const auto common = [&](std::string& out) {
    add<uint16_t>(out, 20);
    add<uint16_t>(out, flags);
    add<uint16_t>(out, method);
    add<uint32_t>(out, 0);
    add<uint32_t>(out, crc);
    add<uint32_t>(out, static_cast<uint32_t>(packed.size()));
    add<uint32_t>(out, size);
    add<uint16_t>(out, static_cast<uint16_t>(name.size()));
    add<uint16_t>(out, 0);
  };
  Made made;
  std::string& out = made.bytes;
  add<uint32_t>(out, 0x04034b50);
  common(out);
  out += name + packed;
  made.central = out.size();
  add<uint32_t>(out, 0x02014b50);
  add<uint16_t>(out, 20);
  common(out);
  out.append(14, '\0');  // comment, disk, attributes, offset 0
  out += name;
  made.end = out.size();
  add<uint32_t>(out, 0x06054b50);
  add<uint32_t>(out, 0);
  add<uint16_t>(out, 1);
  add<uint16_t>(out, 1);
  add<uint32_t>(out, static_cast<uint32_t>(made.end - made.central));
  add<uint32_t>(out, static_cast<uint32_t>(made.central));
  add<uint16_t>(out, 0);
  return made;
}

uint32_t crc_of(const std::string& text) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

std::string deflated(const std::string& text) {
  std::string out(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string fault_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("x.zip", bytes);
  const std::string error = error_of([&] { read_all(path); });
  EXPECT_THAT(error, HasSubstr(path.string()));
  return error;
}

TEST(Zip, RoundTrip) {
  const TemporaryFolder folder;
  auto expected = samples();
  expected["streamed.bin"] = "abcde";
  EXPECT_EQ(read_all(write_samples(folder / "a.zip")), expected);
}

TEST(Zip, PythonAcceptsOurs) {
  const TemporaryFolder folder;
  write_samples(folder / "a.zip");
  const Ran ran =
      run("cd " + folder.path().string() + " && python3 -m zipfile -t a.zip && python3 -m zipfile -e a.zip out");
  if (ran.code == 127) GTEST_SKIP() << "no python3";
  ASSERT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(ran.output, "Done testing\n");
  for (const auto& [name, content] : samples()) EXPECT_EQ(read_file(folder / ("out/" + name)), content) << name;
  EXPECT_EQ(read_file(folder / "out/streamed.bin"), "abcde");
}

TEST(Zip, ReadsPythons) {
  const TemporaryFolder folder;
  for (const auto& [name, content] : samples()) folder.file("in/" + name, content);
  const Ran ran = run("cd " + folder.path().string() + "/in && python3 -m zipfile -c ../a.zip *");
  if (ran.code == 127) GTEST_SKIP() << "no python3";
  ASSERT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(read_all(folder / "a.zip"), samples());
}

TEST(Zip, Deflated) {
  const std::string text = std::string(100000, 'a') + "end";
  const TemporaryFolder folder;
  EXPECT_EQ(read_all(folder.file("a.zip", make_zip("a", 8, deflated(text), 100003, crc_of(text)).bytes)).at("a"), text);
}

TEST(Zip, FindsByName) {
  const TemporaryFolder folder;
  const ZipFile zip(write_samples(folder / "a.zip"));
  for (size_t i = 0; i < zip.entries().size(); ++i) EXPECT_EQ(zip.find(zip.entries()[i].name), static_cast<int64_t>(i));
  EXPECT_EQ(zip.find("dataset"), -1);
  EXPECT_EQ(zip.find(""), -1);
}

TEST(Zip, ThreadsReadAtOnce) {
  const TemporaryFolder folder;
  const ZipFile zip(write_samples(folder / "a.zip"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        for (const auto& entry : zip.entries()) EXPECT_EQ(zip.read(entry).size(), entry.size);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// Ours from 65,535 members on; the 64-bit sizes are tried by hand, so that no test writes 4 GiB.
TEST(Zip, ManyMembers) {
  const TemporaryFolder folder;
  {
    FileWriter out(folder / "a.zip");
    ZipWriter zip(out);
    for (int i = 0; i < 66000; ++i) zip.add(std::to_string(i), "x");
    zip.finish();
  }
  const ZipFile zip(folder / "a.zip");
  ASSERT_EQ(zip.entries().size(), 66000u);
  EXPECT_EQ(zip.read(zip.entries()[static_cast<size_t>(zip.find("65999"))]), "x");
  const Ran ran = run("python3 -c \"import zipfile; print(len(zipfile.ZipFile('" + (folder / "a.zip").string() +
                      "').namelist()))\"");
  if (ran.code != 127) {
    EXPECT_EQ(ran.output, "66000\n");
  }
}

TEST(Zip, SixtyFourBitFields) {
  const TemporaryFolder folder;
  Made made = make_zip("a", 0, "hello", 5, crc_of("hello"));
  std::string extra;
  add<uint16_t>(extra, 0x5455);  // a field to pass over
  add<uint16_t>(extra, 1);
  extra += 'x';
  add<uint16_t>(extra, 1);
  add<uint16_t>(extra, 16);
  add<uint64_t>(extra, 5);
  add<uint64_t>(extra, 0);
  put<uint32_t>(made.bytes, made.central + 24, 0xffffffff);  // size
  put<uint32_t>(made.bytes, made.central + 42, 0xffffffff);  // offset
  put<uint16_t>(made.bytes, made.central + 30, static_cast<uint16_t>(extra.size()));
  made.bytes.insert(made.end, extra);
  put<uint32_t>(made.bytes, made.end + extra.size() + 12,
                static_cast<uint32_t>(made.end + extra.size() - made.central));
  EXPECT_EQ(read_all(folder.file("a.zip", made.bytes)).at("a"), "hello");
  put<uint16_t>(made.bytes, made.end + 7, 8);  // the zip64 field now lacks the offset
  EXPECT_THAT(fault_of(made.bytes), HasSubstr("too short"));
}

TEST(Zip, BombsAreRefused) {
  const std::string text(1 << 20, '\0');
  const std::string packed = deflated(text);
  const TemporaryFolder folder;
  const ZipFile zip(folder.file("a.zip", make_zip("a", 8, packed, 1 << 20, crc_of(text)).bytes));
  EXPECT_THAT(error_of([&] { zip.read(zip.entries()[0], 1000); }), HasSubstr("more than the 1000 allowed"));
  // A size that deflate cannot reach is refused before memory is asked for, a smaller one when the data goes on.
  EXPECT_THAT(error_of([&] {
                const ZipFile lying(folder.file("b.zip", make_zip("a", 8, packed, 0xfffffff0, 0).bytes));
                lying.read(lying.entries()[0]);
              }),
              HasSubstr("more than its data can hold"));
  EXPECT_THAT(fault_of(make_zip("a", 8, packed, 1000, 0).bytes), HasSubstr("damaged (deflate)"));
  EXPECT_THAT(fault_of(make_zip("a", 8, packed, (1 << 20) - 1, 0).bytes), HasSubstr("damaged (deflate)"));
}

TEST(Zip, MemberFaultsAreNamed) {
  EXPECT_THAT(fault_of(make_zip("a", 0, "hello", 5, 1).bytes), HasSubstr("member 'a' is damaged (CRC-32)"));
  EXPECT_THAT(fault_of(make_zip("a", 0, "hello", 6, 1).bytes), HasSubstr("two sizes differ"));
  EXPECT_THAT(fault_of(make_zip("a", 8, "hello", 6, 1).bytes), HasSubstr("damaged (deflate)"));
  EXPECT_THAT(fault_of(make_zip("a", 12, "hello", 6, 1).bytes), HasSubstr("packed by method 12"));
  EXPECT_THAT(fault_of(make_zip("a", 0, "hello", 5, 1, 1).bytes), HasSubstr("encrypted"));
  for (const char* name : {"../a", "/a", "", "b/../../a"})
    EXPECT_THAT(fault_of(make_zip(name, 0, "", 0, 0).bytes), HasSubstr("member"));
}

TEST(Zip, DirectoryFaultsAreNamed) {
  const Made good = make_zip("a", 0, "hello", 5, crc_of("hello"));
  const auto spoil = [&](size_t at, auto value) {
    std::string bytes = good.bytes;
    put(bytes, at, value);
    return fault_of(bytes);
  };
  EXPECT_THAT(fault_of(""), HasSubstr("not a zip"));
  EXPECT_THAT(fault_of(std::string(100, 'x')), HasSubstr("not a zip"));
  EXPECT_THAT(fault_of(good.bytes.substr(0, good.bytes.size() - 1)), HasSubstr("cut short"));
  EXPECT_THAT(spoil(good.end + 4, uint16_t{1}), HasSubstr("several files"));
  EXPECT_THAT(spoil(good.end + 10, uint16_t{9}), HasSubstr("does not fit"));
  EXPECT_THAT(spoil(good.end + 16, uint32_t{7}), HasSubstr("does not fit"));
  EXPECT_THAT(spoil(good.end + 12, uint32_t{0xfffffff0}), HasSubstr("does not fit"));
  EXPECT_THAT(spoil(good.central, uint32_t{0}), HasSubstr("damaged"));
  EXPECT_THAT(spoil(good.central + 28, uint16_t{500}), HasSubstr("ends inside"));
  EXPECT_THAT(spoil(good.central + 42, uint32_t{3}), HasSubstr("not at byte 3"));
  EXPECT_THAT(spoil(good.central + 42, uint32_t{0x7fffffff}), HasSubstr("not at byte"));
  EXPECT_THAT(spoil(26, uint16_t{0xffff}), HasSubstr("beyond the end"));
}

TEST(Zip, DoubleNamesAreRefused) {
  const TemporaryFolder folder;
  {
    FileWriter out(folder / "a.zip");
    ZipWriter zip(out);
    zip.add("a", "1");
    zip.add("a", "2");
    zip.finish();
  }
  EXPECT_THAT(error_of([&] { ZipFile zip(folder / "a.zip"); }), HasSubstr("'a' stands twice"));
}

TEST(Zip, TrailingBytesAndCommentsAreFine) {
  const TemporaryFolder folder;
  Made made = make_zip("a", 0, "hello", 5, crc_of("hello"));
  put<uint16_t>(made.bytes, made.end + 20, 7);
  EXPECT_EQ(read_all(folder.file("a.zip", made.bytes + "comment")).at("a"), "hello");
  EXPECT_EQ(read_all(folder.file("a.zip", made.bytes + "comment and more")).at("a"), "hello");
}

TEST(Zip, TruncationsAndFlipsNeverCrash) {
  const TemporaryFolder folder;
  const std::string stored = read_file(write_samples(folder / "a.zip"));
  const std::string text(3000, 'q');
  for (const std::string& whole : {stored, make_zip("a", 8, deflated(text), 3000, crc_of(text)).bytes}) {
    for (size_t at = 0; at < whole.size(); at += at + 400 < whole.size() && whole.size() > 2000 ? 7 : 1) {
      EXPECT_FALSE(is_accepted([&] { read_all(fresh_file(folder, whole.substr(0, at))); })) << at;
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x81);
      is_accepted([&] { read_all(fresh_file(folder, flipped)); });
    }
  }
}

TEST(Zip, WriterRefusesMisuse) {
  const TemporaryFolder folder;
  FileWriter out(folder / "a.zip");
  ZipWriter zip(out);
  EXPECT_THAT(error_of([&] { zip.add("../a", "x"); }), HasSubstr("leads out"));
  zip.begin("a", 2);
  EXPECT_THROW(zip.add("b", "x"), InternalError);
  EXPECT_THROW(zip.append("abc", 3), InternalError);
  zip.append("a", 1);
  EXPECT_THROW(zip.end(), InternalError);
  EXPECT_THROW(zip.finish(), InternalError);
}

}  // namespace
}  // namespace gigacat::io
