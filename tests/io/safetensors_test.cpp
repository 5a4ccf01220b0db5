#include "gigacat/io/safetensors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "helpers.h"
#include "safetensors_verdicts.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;

// A file with this header and `data` zero bytes.
std::string file_of(const std::string& header, size_t data) {
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data, '\0');
}

void parse(std::string_view file) {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  parse_safetensors(bytes_of(file), "FILE", tensors, metadata);
}

std::string fault_of(const std::string& header, size_t data = 4) {
  return error_of([&] { parse(file_of(header, data)); });
}

TEST(SafetensorsGolden, EveryFileGetsItsVerdict) {
  const Verdicts verdicts = safetensors_verdicts(golden("cases/eval/safetensors_reader"));
  EXPECT_THAT(verdicts.faults, ::testing::IsEmpty());
  EXPECT_EQ(verdicts.accepted, 15);
  EXPECT_EQ(verdicts.rejected, 41);
}

TEST(Safetensors, RoundTrip) {
  const TemporaryFolder folder;
  const std::array<float, 6> values{1, -2, 3.5f, NAN, 0, 1e-30f};
  const std::array<uint8_t, 3> odd{7, 8, 9};
  const std::map<std::string, TensorView> tensors{
      {"b \"x\"", {Dtype::f32, {2, 3}, std::as_bytes(std::span(values))}},
      {"a", {Dtype::u8, {3}, std::as_bytes(std::span(odd))}},
      {"empty", {Dtype::f16, {0, 4}, {}}},
      {"scalar", {Dtype::bf16, {}, std::as_bytes(std::span(odd)).first(2)}}};
  const uint32_t crc = write_safetensors(folder / "t", tensors, {{"k", "größe"}});
  EXPECT_EQ(crc, crc32c(bytes_of(read_file(folder / "t"))));
  const SafetensorsFile file(folder / "t");
  EXPECT_EQ(file.metadata().at("k"), "größe");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, view] : tensors) {
    const TensorView& read = file.at(name);
    EXPECT_EQ(read.dtype, view.dtype);
    EXPECT_EQ(read.shape, view.shape);
    EXPECT_TRUE(std::equal(read.bytes.begin(), read.bytes.end(), view.bytes.begin(), view.bytes.end())) << name;
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.at("a").bytes.data()) % 8, 0u);  // the map begins on a page
  EXPECT_FALSE(file.contains("c"));
}

TEST(Safetensors, MappingOutlivesTheFileObject) {
  const TemporaryFolder folder;
  const std::array<float, 2> values{1, 2};
  write_safetensors(folder / "t", {{"a", {Dtype::f32, {2}, std::as_bytes(std::span(values))}}});
  std::span<const std::byte> bytes;
  std::shared_ptr<const MappedFile> mapping;
  {
    const SafetensorsFile file(folder / "t");
    bytes = file.at("a").bytes;
    mapping = file.mapping();
  }
  EXPECT_EQ(std::memcmp(bytes.data(), values.data(), sizeof values), 0);
}

TEST(Safetensors, UnknownNameSaysTheNearest) {
  const std::string path = golden("cases/eval/safetensors_reader/ok_two_tensors.safetensors").string();
  const SafetensorsFile file(path);
  EXPECT_THAT(error_of([&] { (void)file.at("layer.0.wieght"); }),
              ::testing::AllOf(HasSubstr(path), HasSubstr("'layer.0.wieght'"), HasSubstr("'layer.0.weight'")));
}

TEST(Safetensors, WriterRefusesWhatDoesNotFit) {
  const TemporaryFolder folder;
  const std::array<float, 2> values{1, 2};
  const TensorView view{Dtype::f32, {3}, std::as_bytes(std::span(values))};
  EXPECT_THROW(write_safetensors(folder / "t", {{"a", view}}), InternalError);
  EXPECT_THROW(write_safetensors(folder / "t", {{"__metadata__", {Dtype::f32, {2}, view.bytes}}}), InternalError);
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder / "t", {{"a\xff", {Dtype::f32, {2}, view.bytes}}});
              }),
              HasSubstr("cannot write the header"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Safetensors, FaultsAreNamed) {
  EXPECT_THAT(fault_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"shape":[1]}})"),
              HasSubstr("two fields 'shape'"));
  EXPECT_THAT(fault_of(R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})"), HasSubstr("an array as shape"));
  EXPECT_THAT(fault_of(R"({"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}})"), HasSubstr("null as shape"));
  EXPECT_THAT(fault_of(R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})"), HasSubstr("an array as dtype"));
  EXPECT_THAT(fault_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), HasSubstr("'a' stands twice"));
  EXPECT_THAT(fault_of(R"({"__metadata__":{},"__metadata__":{}})", 0), HasSubstr("stands twice"));
  EXPECT_THAT(fault_of(R"({"a":{"dtype":"F32","shape":[9223372036854775807,2,0],"data_offsets":[0,0]}})", 0),
              HasSubstr("overflows"));
  EXPECT_THAT(fault_of("{\"a\":" + std::string(1000, '[')), HasSubstr("'a' is an array"));
  const std::string long_name(100000, 'n');
  EXPECT_LT(fault_of("{\"" + long_name + "\":1}").size(), 400u);
}

TEST(Safetensors, UnknownFieldsArePassedOver) {
  parse(file_of(
      R"({"a":{"x":{"dtype":[1,{"shape":"y"}]},"dtype":"F32","y":[[],1.5,null,true],"shape":[1],"data_offsets":[0,4]}})",
      4));
  EXPECT_THAT(fault_of(R"({"a":{"x":[{"shape":[1]}],"dtype":"F32","data_offsets":[0,4]}})"), HasSubstr("lacks"));
}

TEST(Safetensors, ManyDimensionsAreRefused) {
  std::string shape = "1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  EXPECT_THAT(fault_of("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4],\"shape\":[" + shape + "]}}"),
              HasSubstr("more than 64"));
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string file = read_file(golden("cases/eval/safetensors_reader/ok_two_tensors.safetensors"));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(is_accepted([&] { parse(std::string_view(file).substr(0, size)); })) << size;
  }
}

TEST(Safetensors, FlippedBitsNeverCrash) {
  for (const char* name : {"ok_odd_names", "ok_integers", "ok_metadata"}) {
    const std::string whole = read_file(golden("cases/eval/safetensors_reader") / (std::string(name) + ".safetensors"));
    for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      std::string file = whole;
      file[bit / 8] = static_cast<char>(file[bit / 8] ^ 1 << bit % 8);
      is_accepted([&] { parse(file); });
    }
  }
}

}  // namespace
}  // namespace gigacat::io
