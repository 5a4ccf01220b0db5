#include "gigacat/io/npy.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "helpers.h"

namespace gigacat::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class T>
std::string npy(const std::string& descr, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  return npy_header(descr, shape).append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// A version 1 file with this header text and `data` zero bytes.
std::string raw(const std::string& header, size_t data, char version = 1) {
  std::string out = std::string("\x93NUMPY") + version + '\0';
  const auto length = static_cast<uint32_t>(header.size());
  out.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
  return out + header + std::string(data, '\0');
}

std::string dict(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

NpyHeader parse(const std::string& file) { return parse_npy(bytes_of(file), file.size(), "FILE"); }

std::string fault_of(const std::string& file) {
  const std::string error = error_of([&] { parse(file); });
  EXPECT_THAT(error, HasSubstr("FILE"));
  return error;
}

TEST(Npy, HeaderAsNumpyWritesIt) {
  const std::string header = npy_header("<f4", std::vector<int64_t>{3, 4});
  EXPECT_EQ(header.size(), 128u);
  EXPECT_EQ(header.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(header.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
  EXPECT_EQ(header.back(), '\n');
  EXPECT_THAT(npy_header("<f4", std::vector<int64_t>{3}), HasSubstr("(3,)"));
  EXPECT_THAT(npy_header("<f4", {}), HasSubstr("()"));
}

TEST(Npy, EveryTypeIsRead) {
  const std::vector<int64_t> two{2};
  const auto values = [](const std::string& file) { return read_npy_float(file, "FILE").values; };
  EXPECT_THAT(values(npy<float>("<f4", two, {1.5f, -2})), ElementsAre(1.5f, -2));
  EXPECT_THAT(values(npy<double>("<f8", two, {1.5, 1e300})), ElementsAre(1.5f, INFINITY));
  EXPECT_THAT(values(npy<int8_t>("|i1", two, {-128, 127})), ElementsAre(-128, 127));
  EXPECT_THAT(values(npy<int16_t>("<i2", two, {-300, 300})), ElementsAre(-300, 300));
  EXPECT_THAT(values(npy<int32_t>("<i4", two, {-70000, 1})), ElementsAre(-70000, 1));
  EXPECT_THAT(values(npy<int64_t>("<i8", two, {-5, 1ll << 40})), ElementsAre(-5, 1099511627776.0f));
  EXPECT_THAT(values(npy<uint8_t>("|u1", two, {0, 255})), ElementsAre(0, 255));
  EXPECT_THAT(values(npy<uint16_t>("<u2", two, {0, 65535})), ElementsAre(0, 65535));
  EXPECT_THAT(values(npy<uint32_t>("<u4", two, {0, 1u << 31})), ElementsAre(0, 2147483648.0f));
  EXPECT_THAT(values(npy<uint64_t>("<u8", two, {0, 1ull << 63})), ElementsAre(0, 9223372036854775808.0f));
  EXPECT_THAT(values(npy<uint8_t>("|b1", two, {0, 1})), ElementsAre(0, 1));
}

TEST(Npy, HalfPrecision) {
  const std::string file = npy<uint16_t>("<f2", {8}, {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x0400});
  EXPECT_THAT(read_npy_float(file, "FILE").values,
              ElementsAre(1, -2, 65504, 0x1p-24f, 0, INFINITY, -INFINITY, 0x1p-14f));
  EXPECT_THAT(read_npy_double(npy<double>("<f8", {1}, {1 + 0x1p-50}), "FILE").values, ElementsAre(1 + 0x1p-50));
  EXPECT_TRUE(std::isnan(read_npy_float(npy<uint16_t>("<f2", {1}, {0x7e00}), "FILE").values[0]));
}

TEST(Npy, Shapes) {
  EXPECT_THAT(parse(npy<float>("<f4", {}, {1})).shape, ElementsAre());
  EXPECT_THAT(parse(npy<float>("<f4", {0, 5}, {})).shape, ElementsAre(0, 5));
  EXPECT_THAT(parse(npy<float>("<f4", {1, 2, 1}, {1, 2})).shape, ElementsAre(1, 2, 1));
  EXPECT_EQ(parse(npy<float>("<f4", {2, 3}, {1, 2, 3, 4, 5, 6})).elements(), 6);
}

TEST(Npy, HeadersOfOtherWriters) {
  EXPECT_THAT(parse(raw("{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"<f4\"}", 8)).shape, ElementsAre(2));
  EXPECT_THAT(parse(raw(dict("'<i8'", "(3L, 1L)"), 24)).shape, ElementsAre(3, 1));
  EXPECT_THAT(parse(raw(dict("'<f4'", "(2,)"), 8, 2)).shape, ElementsAre(2));
  EXPECT_THAT(parse(raw(dict("'<f4'", "(2,)"), 8, 3)).shape, ElementsAre(2));
  EXPECT_THAT(parse(raw(dict("'>u1'", "(2,)"), 2)).shape, ElementsAre(2));
}

TEST(Npy, OthersAreRefusedByName) {
  EXPECT_THAT(fault_of(raw(dict("'|O'", "(2,)"), 8)), HasSubstr("Python objects"));
  EXPECT_THAT(fault_of(raw(dict("[('a', '<f4')]", "(2,)"), 8)), HasSubstr("structured"));
  EXPECT_THAT(fault_of(raw(dict("'>f4'", "(2,)"), 8)), HasSubstr("big-endian"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(2, 2)", "True"), 16)), HasSubstr("Fortran"));
  for (const char* descr :
       {"'<c8'", "'<U3'", "'|S5'", "'<M8[ns]'", "'<f3'", "'<f16'", "''", "'f4'", "'<f44'", "'<b4'", "'xf4'"}) {
    EXPECT_THAT(fault_of(raw(dict(descr, "(1,)"), 8)), HasSubstr("not supported")) << descr;
  }
}

TEST(Npy, DamagedHeadersAreRefused) {
  EXPECT_THAT(fault_of(""), HasSubstr("not a .npy"));
  EXPECT_THAT(fault_of("\x93NUMPX" + std::string(100, ' ')), HasSubstr("not a .npy"));
  EXPECT_THAT(fault_of("\x93NUMPY"), HasSubstr("cut short"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(1,)"), 4, 4)), HasSubstr("version 4"));
  EXPECT_THAT(fault_of(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)), HasSubstr("refused"));
  for (const char* text : {"", "{", "{}", "[]", "{'descr'}", "{'descr': '<f4', 'shape': (1,)}", "{'descr': '<f4"}) {
    EXPECT_THAT(fault_of(raw(text, 4)), HasSubstr("not a valid .npy")) << text;
  }
  for (const char* shape :
       {"(", "(1", "(1 2)", "(-1,)", "(,)", "(a,)", "1", "(99999999999999999999,)", "(1.5,)", "((1,),)"}) {
    EXPECT_THAT(fault_of(raw(dict("'<f4'", shape), 4)), HasSubstr("not a valid .npy")) << shape;
  }
  EXPECT_THAT(fault_of(raw("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", 4)),
              HasSubstr("'more'"));
  EXPECT_THAT(fault_of(raw("{'descr': '<f4', 'fortran_order': None, 'shape': (1,)}", 4)), HasSubstr("neither"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(1,)") + "x", 4)), HasSubstr("text follows"));
}

TEST(Npy, SizesMustAgree) {
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(3,)"), 11)),
              HasSubstr("needs 12 bytes after the header but the file has 11"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(3,)"), 13)), HasSubstr("needs 12"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(4611686018427387904, 4)"), 0)), HasSubstr("overflows"));
  EXPECT_THAT(fault_of(raw(dict("'<f4'", "(4294967296, 4294967296)"), 0)), HasSubstr("overflows"));
  const std::string file = npy<float>("<f4", {2}, {1, 2});
  EXPECT_EQ(parse_npy(bytes_of(file).first(128), file.size(), "FILE").data_offset, 128u);  // a prefix is enough
}

TEST(Npy, TruncationsAndFlipsNeverCrash) {
  const std::string whole = npy<float>("<f4", {2, 2}, {1, 2, 3, 4});
  for (size_t at = 0; at < whole.size(); ++at) {
    EXPECT_FALSE(is_accepted([&] { read_npy_float(whole.substr(0, at), "FILE"); })) << at;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = whole;
      flipped[at] = static_cast<char>(flipped[at] ^ 1 << bit);
      is_accepted([&] { read_npy_float(flipped, "FILE"); });
    }
  }
}

std::string images_npz(const fs::path& path, std::span<const int64_t> labels) {
  FileWriter out(path);
  NpzImageWriter writer(out, 3, 2, 2, 3);
  for (uint8_t i = 0; i < 3; ++i) writer.add(std::vector<uint8_t>(12, i));
  writer.finish(labels);
  out.flush();
  return path.string();
}

TEST(Npz, Images) {
  const TemporaryFolder folder;
  const std::vector<int64_t> labels{7, -1, 9};
  const ZipFile zip(images_npz(folder / "a.npz", labels));
  ASSERT_EQ(zip.entries().size(), 2u);
  const FloatArray images =
      read_npy_float(zip.read(zip.entries()[static_cast<size_t>(zip.find("arr_0.npy"))]), "arr_0");
  EXPECT_THAT(images.shape, ElementsAre(3, 2, 2, 3));
  for (size_t i = 0; i < 36; ++i) EXPECT_EQ(images.values[i], static_cast<float>(i / 12));
  const FloatArray read = read_npy_float(zip.read(zip.entries()[static_cast<size_t>(zip.find("arr_1.npy"))]), "arr_1");
  EXPECT_THAT(read.values, ElementsAre(7, -1, 9));
}

TEST(Npz, NumpyReadsOurs) {
  const TemporaryFolder folder;
  const std::string path = images_npz(folder / "a.npz", {});
  const Ran test = run("python3 -m zipfile -t " + path);
  if (test.code == 127) GTEST_SKIP() << "no python3";
  EXPECT_EQ(test.output, "Done testing\n");
  if (run("python3 -c 'import numpy'").code != 0) return;  // the format itself is checked above
  const Ran ran = run("python3 -c \"import numpy; a = numpy.load('" + path +
                      "'); print(a.files, a['arr_0'].shape, a['arr_0'].sum())\"");
  EXPECT_EQ(ran.output, "['arr_0'] (3, 2, 2, 3) 36\n");
}

TEST(Npz, MisuseIsAnInternalError) {
  const TemporaryFolder folder;
  FileWriter out(folder / "a.npz");
  NpzImageWriter writer(out, 1, 1, 1, 3);
  const std::vector<uint8_t> pixels(3);
  EXPECT_THROW(writer.add(std::vector<uint8_t>(2)), InternalError);
  EXPECT_THROW(writer.finish(), InternalError);
  writer.add(pixels);
  EXPECT_THROW(writer.add(pixels), InternalError);
  EXPECT_THROW(writer.finish(std::vector<int64_t>{1, 2}), InternalError);
}

}  // namespace
}  // namespace gigacat::io
