#include "gigacat/weights/torch_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstring>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"

namespace gigacat::weights {
namespace {

using ::testing::HasSubstr;

std::string error_of(const fs::path& path) {
  try {
    TorchFile(path).tensors();
  } catch (const InternalError& error) {
    ADD_FAILURE() << error.what();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

// A file of torch.save's form whose only tensor has these numbers.
fs::path one_tensor(const TemporaryFolder& folder, const std::string& storage, std::vector<int64_t> sizes,
                    std::vector<int64_t> strides, int64_t offset, const std::string& bytes) {
  io::PickleArena a;
  const auto tuple = [&a](const std::vector<int64_t>& numbers) {
    std::vector<io::PickleValue*> items;
    for (const int64_t number : numbers) items.push_back(a.integer(number));
    return a.list(items, true);
  };
  io::PickleValue* reference =
      a.persistent({a.text("storage"), a.global(storage), a.text("0"), a.text("cpu"), a.integer(1)});
  io::PickleValue* root = a.dict();
  root->entries.emplace_back(
      a.text("x"), a.call("torch._utils._rebuild_tensor_v2",
                          {reference, a.integer(offset), tuple(sizes), tuple(strides), a.boolean(false), a.dict()}));
  fs::remove(folder / "one.pt");
  FileWriter out(folder / "one.pt");
  io::ZipWriter zip(out);
  zip.add("m/data.pkl", io::write_pickle(*root));
  zip.add("m/data/0", bytes);
  zip.finish();
  out.flush();
  return folder / "one.pt";
}

TEST(TorchFile, WhatIsWrittenIsReadBack) {
  const TemporaryFolder folder;
  const nn::TensorMap tensors{{"a.weight", at::randn({3, 4})},
                              {"half", at::randn({5}).to(at::kHalf)},
                              {"b16", at::randn({2, 2}).to(at::kBFloat16)},
                              {"scalar", at::tensor(int64_t{7})},
                              {"flags", at::eye(3).to(at::kBool)},
                              {"empty", at::empty({0, 3})}};
  TorchWriter writer;
  std::vector<std::string> names;
  for (const auto& item : tensors) names.push_back(item.first);
  writer.write(folder / "file.pt", *writer.tensors(tensors, names));
  EXPECT_TRUE(is_torch_file(folder / "file.pt"));
  const TorchFile file(folder / "file.pt");
  const nn::TensorMap read = file.tensors();
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
  }
}

TEST(TorchFile, StridesAndOffsetsAreFollowed) {
  const TemporaryFolder folder;
  std::string bytes(6 * sizeof(float), '\0');
  const float values[] = {0, 1, 2, 3, 4, 5};
  std::memcpy(bytes.data(), values, bytes.size());
  const TorchFile file(one_tensor(folder, "torch.FloatStorage", {2, 2}, {1, 2}, 1, bytes));
  EXPECT_TRUE(at::equal(file.tensors().at("x"), at::tensor({1.f, 3.f, 2.f, 4.f}).view({2, 2})));
}

TEST(TorchFile, TensorsBeyondTheirStorageAreRefused) {
  const TemporaryFolder folder;
  const std::string eight(8, '\0');
  const auto fault = [&](std::vector<int64_t> sizes, std::vector<int64_t> strides, int64_t offset) {
    return error_of(one_tensor(folder, "torch.FloatStorage", std::move(sizes), std::move(strides), offset, eight));
  };
  EXPECT_THAT(fault({3}, {1}, 0), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({2}, {1}, 1), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({2}, {1}, -1), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({2}, {-1}, 1), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({-2}, {1}, 0), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({int64_t{1} << 40, int64_t{1} << 40}, {int64_t{1} << 40, 1}, 0),
              HasSubstr("reaches beyond storage"));
  EXPECT_THAT(fault({2, 2}, {1}, 0), HasSubstr("reaches beyond storage"));
  EXPECT_THAT(error_of(one_tensor(folder, "os.system", {1}, {1}, 0, eight)), HasSubstr("'os.system' are not read"));
}

TEST(TorchFile, OtherFilesAreRefusedWithAdvice) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of(folder.file("text", "no pickle")), HasSubstr("it is a text: \"no pickle\""));
  EXPECT_THAT(error_of(folder.file("bytes", "\x01\x02\x03")), HasSubstr("neither as a zip nor as a pickle"));
  EXPECT_THAT(error_of(folder.file("empty", "")), HasSubstr("it is an empty file"));
  EXPECT_THAT(error_of(folder.file("pickle", "\x80\x04K\x01.")), HasSubstr("convert_weights.py"));
  EXPECT_THAT(error_of(folder.file("lfs.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
              HasSubstr("a pointer of Git LFS, not the file: run git lfs pull"));
  EXPECT_THAT(error_of(folder.file("cut", "PK\3\4")), HasSubstr("zip"));
  EXPECT_THAT(error_of(folder.file("legacy", std::string("\x80\x02\x8a\x0al\xfc\x9c"
                                                         "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
                                                         21))),
              HasSubstr("ends inside"));
}

}  // namespace
}  // namespace gigacat::weights
