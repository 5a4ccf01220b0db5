#include "gigacat/pretrained/text_store.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/nn/state.h"
#include "pretrained/helpers.h"

namespace gigacat::pretrained {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

const TextImageSpec kFake{"fake", "", "", ""};

class TextStoreTest : public ::testing::Test {
 protected:
  const fs::path& folder() const { return folder_.path(); }
  // Two files, one caption in both.
  void store(at::ScalarType type) {
    const auto encoder = make_text_image_encoder(kFake, at::kCPU);
    const std::vector<std::vector<std::string>> files{{"", "red heart", "red heart"}, {"a cat", "red heart"}};
    for (size_t i = 0; i < files.size(); ++i) {
      TextStoreWriter writer;
      writer.add(files[i], encoder->read(files[i]));
      EXPECT_EQ(writer.size(), 2);
      writer.write(folder() / cat("text-00000", i, ".safetensors"), type);
    }
    write_atomically(folder() / "provenance.json",
                     R"({"encoder": "fake", "text_width": 24, "length": 16, "layer_widths": [16, 16]})");
  }
  TextImageSpec spec() const { return {"fake", "", "", folder().string()}; }

 private:
  TemporaryFolder folder_;
};

TEST_F(TextStoreTest, SaysWhatTheEncoderSays) {
  store(at::kFloat);
  const TextStore store(folder());
  EXPECT_EQ(store.size(), 4);
  EXPECT_TRUE(store.contains("a cat"));
  EXPECT_FALSE(store.contains("a dog"));
  const std::vector<std::string> captions{"a cat", "", "red heart"};
  const auto encoder = make_text_image_encoder(kFake, at::kCPU), stored = make_text_image_encoder(spec(), at::kCPU);
  EXPECT_EQ(stored->text_width(), encoder->text_width());
  EXPECT_EQ(stored->length(), encoder->length());
  const auto wanted = encoder->read(captions), got = stored->read(captions);
  EXPECT_TRUE(at::equal(got.end, wanted.end));
  EXPECT_TRUE(at::equal(got.embedding, wanted.embedding));
  ASSERT_EQ(got.tokens.sizes(), wanted.tokens.sizes());
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t length = wanted.end[i].item<int64_t>() + 1;
    EXPECT_TRUE(at::equal(got.tokens[i].narrow(0, 0, length), wanted.tokens[i].narrow(0, 0, length)));
    EXPECT_EQ(got.tokens[i].narrow(0, length, 16 - length).abs().max().item<float>(), 0);
  }
  // What is not there is made.
  EXPECT_TRUE(at::equal(stored->read({"a dog"}).tokens, encoder->read({"a dog"}).tokens));
}

TEST_F(TextStoreTest, HalfPrecisionIsClose) {
  store(at::kHalf);
  const auto wanted = make_text_image_encoder(kFake, at::kCPU)->read({"a cat"});
  const auto got = TextStore(folder()).read({"a cat"});
  EXPECT_TRUE(at::allclose(got.tokens[0].narrow(0, 0, 3), wanted.tokens[0].narrow(0, 0, 3), 1e-3, 1e-3));
}

TEST_F(TextStoreTest, RefusesWhatIsNone) {
  EXPECT_THAT(error_of([&] { TextStore store(folder()); }), HasSubstr("holds no finished text features"));
  store(at::kFloat);
  EXPECT_THAT(error_of([&] {
                make_text_image_encoder({"clip", "", "", folder().string()}, at::kCPU);
              }),
              HasSubstr("features of the encoder fake, not of clip"));
  nn::write_tensors(folder() / "text-000002.safetensors", {{"hash", at::zeros({2}, at::kLong)}});
  EXPECT_THAT(error_of([&] { TextStore store(folder()); }), HasSubstr("it has no check"));
  nn::write_tensors(folder() / "text-000002.safetensors", {{"hash", at::zeros({1}, at::kLong)},
                                                           {"check", at::zeros({1}, at::kLong)},
                                                           {"first", at::tensor({0, 9}, at::kLong)},
                                                           {"tokens", at::zeros({3, 24})},
                                                           {"embedding", at::zeros({1, 16})}});
  EXPECT_THAT(error_of([&] { TextStore store(folder()); }), HasSubstr("names tokens that are not there"));
}

TEST_F(TextStoreTest, SaysWhichCaptionNeedsTheEncoder) {
  store(at::kFloat);
  write_atomically(folder() / "provenance.json",
                   R"({"encoder": "clip", "text_width": 24, "length": 16, "layer_widths": [16, 16]})");
  const auto stored = make_text_image_encoder({"clip", "", "", folder().string()}, at::kCPU);
  EXPECT_EQ(stored->read({"a cat"}).tokens.size(0), 1);  // needs no weights
  EXPECT_THAT(error_of([&] { stored->read({"a cat", "a dog"}); }), HasSubstr("none of \"a dog\""));
}

}  // namespace
}  // namespace gigacat::pretrained
