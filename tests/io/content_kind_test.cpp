#include "gigacat/io/content_kind.h"

#include <gmock/gmock.h>

#include <string>

#include "gigacat/io/archive.h"
#include "gigacat/io/safetensors.h"
#include "helpers.h"

namespace gigacat::io {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

std::string kind_of(const std::string& bytes) { return content_kind(bytes_of(bytes)); }

std::string zip_of(const std::vector<std::string>& names) {
  const TemporaryFolder folder;
  {
    FileWriter out(folder / "z");
    ZipWriter zip(out);
    for (const std::string& name : names) zip.add(name, "content");
    zip.finish();
    out.flush();
  }
  return read_file(folder / "z");
}

TEST(ContentKind, FormatsByTheirFirstBytes) {
  const std::string zeros(64, '\0');
  EXPECT_EQ(kind_of(""), "an empty file");
  EXPECT_EQ(kind_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            "a pointer of Git LFS, not the file: run git lfs pull");
  EXPECT_THAT(kind_of("\n <!doctype HTML><p>"), HasSubstr("HTML"));
  EXPECT_THAT(kind_of("<?xml version='1.0'?><Error/>"), HasSubstr("XML"));
  EXPECT_THAT(kind_of("\x1f\x8b\x08" + zeros), HasSubstr("gunzip"));
  EXPECT_EQ(kind_of(zip_of({"m/data.pkl", "m/data/0"})), "a file of torch.save");
  EXPECT_EQ(kind_of(zip_of({"m/data.pkl", "m/constants.pkl"})), "a TorchScript program");
  EXPECT_THAT(kind_of(zip_of({"mu.npy", "sigma.npy"})), HasSubstr(".npz"));
  EXPECT_EQ(kind_of(zip_of({"a.png"})), "a zip archive");
  EXPECT_THAT(kind_of("\x80\x02\x8a\x0al\xfc" + zeros), HasSubstr("older form"));
  EXPECT_EQ(kind_of("\x80\x04\x95" + zeros), "a pickle of Python");
  EXPECT_THAT(kind_of("\x89HDF\r\n\x1a\n" + zeros), HasSubstr("HDF5"));
  EXPECT_EQ(kind_of("\x08\x07\x12\x07pytorch" + zeros), "an ONNX model");
  EXPECT_THAT(kind_of("GGUF\x03" + zeros), HasSubstr("GGUF"));
  EXPECT_THAT(kind_of("\x93NUMPY\x01" + zeros), HasSubstr(".npy"));
  EXPECT_THAT(kind_of(zeros), HasSubstr("zeros"));
  EXPECT_EQ(kind_of("{\"weight_map\": {}}"), "a JSON text");
  EXPECT_EQ(kind_of("Not Found\n"), "a text: \"Not Found\"");
  EXPECT_EQ(kind_of("\x01\x02\x03"), "");
}

TEST(ContentKind, SafetensorsAreKnownWhateverTheirLengthBeginsLike) {
  // 0x120708 bytes of header: their first three bytes are those of an ONNX model too.
  EXPECT_EQ(kind_of("\x08\x07\x12\0\0\0\0\0{\"a\""s), "a safetensors file");
}

TEST(ContentKind, ReadersNameWhatTheyGot) {
  const TemporaryFolder folder;
  const fs::path pointer = folder.file("x", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_THAT(error_of([&] { SafetensorsFile file(pointer); }), HasSubstr("run git lfs pull"));
  EXPECT_THAT(error_of([&] { ZipFile file(pointer); }), HasSubstr("run git lfs pull"));
  EXPECT_THAT(error_of([&] { SafetensorsFile file(folder.file("z", zip_of({"m/data.pkl"}))); }),
              HasSubstr("it is a file of torch.save: gigacat import converts it"));
}

}  // namespace
}  // namespace gigacat::io
