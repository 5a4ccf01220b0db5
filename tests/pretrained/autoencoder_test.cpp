#include "gigacat/pretrained/autoencoder.h"

#include <gmock/gmock.h>

#include "core/temporary_folder.h"
#include "gigacat/pretrained/taesd.h"
#include "pretrained/helpers.h"

namespace gigacat::pretrained {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

// One half of a TAESD with the names of its own file.
nn::TensorMap half_of(const nn::TensorMap& state, const std::string& half) {
  nn::TensorMap bare;
  for (const auto& [name, tensor] : state)
    if (name.starts_with(half)) bare[name.substr(half.size())] = tensor;
  return bare;
}

// diffusers' names of the same tensors.
nn::TensorMap diffusers_names(const nn::TensorMap& state) {
  nn::TensorMap renamed;
  for (const auto& [name, tensor] : state) {
    const size_t dot = name.find('.', 8);
    const int64_t index = parse_int(name.substr(8, dot - 8), name) - (name.starts_with("decoder.") ? 1 : 0);
    renamed[cat(name.substr(0, 8), "layers.", index, name.substr(dot))] = tensor;
  }
  return renamed;
}

class TaesdFiles : public ::testing::Test {
 protected:
  AutoencoderConfig config(const std::string& name) const {
    AutoencoderConfig config;
    config.kind = "taesd";
    config.weights = (folder_ / name).string();
    return config;
  }
  std::unique_ptr<Autoencoder> open(const std::string& name) const { return make_autoencoder(config(name), at::kCPU); }

  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
  const nn::TensorMap state_ = testing::random_state(*Taesd(TaesdConfig{.latent_channels = 16}));
  const at::Tensor images_ = at::rand({3, 3, 16, 24}) * 2 - 1;
};

TEST_F(TaesdFiles, AllNamingSchemesAreOneNetwork) {
  nn::write_tensors(folder_ / "whole.safetensors", state_);
  nn::write_tensors(folder_ / "diffusers.safetensors", diffusers_names(state_));
  std::filesystem::create_directory(folder_ / "halves");
  nn::write_tensors(folder_ / "halves/a.safetensors", half_of(state_, "encoder."));
  nn::write_tensors(folder_ / "halves/b.safetensors", half_of(state_, "decoder."));
  const auto whole = open("whole.safetensors");
  EXPECT_EQ(whole->channels(), 16);
  EXPECT_EQ(whole->factor(), 8);
  const at::Tensor latents = whole->encode(images_), decoded = whole->decode(latents);
  EXPECT_EQ(latents.sizes(), at::IntArrayRef({3, 16, 2, 3}));
  EXPECT_EQ(decoded.sizes(), images_.sizes());
  EXPECT_LE(decoded.abs().max().item<double>(), 1);
  for (const char* other : {"diffusers.safetensors", "halves"}) {
    EXPECT_TRUE(at::equal(open(other)->encode(images_), latents)) << other;
    EXPECT_TRUE(at::equal(open(other)->decode(latents), decoded)) << other;
    EXPECT_NE(open(other)->name(), whole->name()) << other;
  }
  EXPECT_EQ(whole->name().substr(0, 6), "taesd ");
  EXPECT_EQ(whole->name().size(), 14u);
}

TEST_F(TaesdFiles, BatchesDoNotMix) {
  nn::write_tensors(folder_ / "whole.safetensors", state_);
  AutoencoderConfig one = config("whole.safetensors");
  one.batch = 1;
  const auto apart = make_autoencoder(one, at::kCPU), together = open("whole.safetensors");
  EXPECT_LT((apart->encode(images_) - together->encode(images_)).abs().max().item<double>(), 1e-5);
}

TEST_F(TaesdFiles, HalfPrecisionIsNearFloat) {
  nn::write_tensors(folder_ / "whole.safetensors", state_);
  AutoencoderConfig half = config("whole.safetensors");
  half.precision = "bf16";
  const at::Tensor exact = open("whole.safetensors")->encode(images_),
                   rough = make_autoencoder(half, at::kCPU)->encode(images_);
  const double scale = exact.abs().max().item<double>(), off = (rough - exact).abs().max().item<double>();
  EXPECT_EQ(rough.scalar_type(), at::kFloat);
  EXPECT_LT(off, 0.1 * scale);
  EXPECT_GT(off, 0);
}

TEST_F(TaesdFiles, GradientPathEqualsTheFusedOne) {
  Taesd taesd = load_taesd({state_, "state"});
  const at::Tensor x = at::rand({1, 3, 16, 16}), fused = taesd->encode(x);
  const at::Tensor tracked = taesd->encode(x.clone().requires_grad_(true));
  ASSERT_TRUE(tracked.requires_grad());
  EXPECT_LT((fused - tracked).abs().max().item<double>(), 1e-5 * fused.abs().max().item<double>());
}

TEST_F(TaesdFiles, SayWhatIsWrong) {
  nn::write_tensors(folder_ / "decoder.safetensors", half_of(state_, "decoder."));
  EXPECT_THAT(error_of([&] { open("decoder.safetensors")->encode(images_); }), HasSubstr("a decoder's alone"));
  nn::write_tensors(folder_ / "whole.safetensors", state_);
  EXPECT_THAT(error_of([&] { open("whole.safetensors")->encode(images_.narrow(2, 0, 15)); }),
              HasSubstr("15 x 24 cannot be encoded: both sides must be multiples of 8"));

  nn::TensorMap broken = state_;
  broken.erase("encoder.3.conv.2.bias");
  broken["decoder.7.weight"] = at::zeros({64, 64, 1, 1});
  nn::write_tensors(folder_ / "broken.safetensors", broken);
  const std::string fault = error_of([&] { open("broken.safetensors"); });
  EXPECT_THAT(fault, HasSubstr("broken.safetensors holds a TAESD (encoder and decoder): "));
  EXPECT_THAT(fault, HasSubstr("where a TAESD autoencoder is wanted"));
  EXPECT_THAT(fault, HasSubstr("missing: encoder.3.conv.2.bias"));
  EXPECT_THAT(fault, HasSubstr("decoder.7.weight [64, 64, 1, 1] for [64, 64, 3, 3]"));

  nn::write_tensors(folder_ / "other.safetensors", {{"visual.conv1.weight", at::zeros({1})}});
  EXPECT_THAT(error_of([&] { open("other.safetensors"); }),
              HasSubstr("holds 1 tensors such as visual.conv1.weight, where a TAESD autoencoder is wanted"));
  EXPECT_THAT(error_of([&] { open("absent.safetensors"); }), HasSubstr("absent.safetensors"));
  EXPECT_THAT(error_of([&] { make_autoencoder({.kind = "taesd"}, at::kCPU); }), HasSubstr("needs its weights"));
}

TEST(Identity, IsPixelSpace) {
  const auto identity = make_autoencoder({}, at::kCPU);
  const at::Tensor images = at::rand({2, 3, 5, 5});
  EXPECT_TRUE(at::equal(identity->encode(images), images));
  EXPECT_EQ(identity->name(), "identity");
}

}  // namespace
}  // namespace gigacat::pretrained
