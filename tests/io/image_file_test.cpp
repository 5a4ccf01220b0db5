#include "gigacat/io/image_file.h"

#include <gmock/gmock.h>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "image_helpers.h"

namespace gigacat::io {
namespace {

TEST(ImageFile, AnEndingSaysWhatIsWritten) {
  for (const auto& [name, kind] : {std::pair("a.png", PathKind::png),
                                   {"a.PNG", PathKind::png},
                                   {"x/a.jpg", PathKind::jpeg},
                                   {"a.b.jpeg", PathKind::jpeg},
                                   {"a.webp", PathKind::webp},
                                   {"out", PathKind::folder},
                                   {"out/", PathKind::folder},
                                   {"samples.v2", PathKind::folder},
                                   {"runs.png/out", PathKind::folder},
                                   {"a.bmp", PathKind::other},
                                   {"a.GIF", PathKind::other},
                                   {"a.npy", PathKind::other},
                                   {"a.tar.gz", PathKind::other}})
    EXPECT_EQ(path_kind(name), kind) << name;
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "images.zip");
  EXPECT_EQ(path_kind(folder / "images.zip"), PathKind::folder) << "one that is there";
}

TEST(ImageFile, OtherFilesAreRefused) {
  EXPECT_EQ(output_kind("out", "-o", "a .png"), PathKind::folder);
  try {
    output_kind("dir/a.bmp", "-o", "a folder or a .png");
    ADD_FAILURE() << "taken";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "-o: dir/a.bmp: no .bmp is written: give a folder or a .png");
  }
}

TEST(ImageFile, IsOfItsKind) {
  const Image image = gradient(12, 9, 3);
  for (const auto& [kind, format] :
       {std::pair(PathKind::png, "png"), {PathKind::jpeg, "jpeg"}, {PathKind::webp, "webp"}}) {
    const std::string file = encode_image(image, kind, {{"seed", "3"}});
    EXPECT_EQ(probe_image(bytes_of(file), "x").format, format);
    EXPECT_EQ(decode(file).width, 9);
  }
  EXPECT_EQ(png_texts(bytes_of(encode_image(image, PathKind::png, {{"seed", "3"}})), "x"), (PngTexts{{"seed", "3"}}));
  EXPECT_THROW(encode_image(image, PathKind::folder), InternalError);
}

}  // namespace
}  // namespace gigacat::io
