#include "gigacat/sample/sample_grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "gigacat/io/enlarge.h"
#include "train/fixtures.h"

namespace gigacat::sample {
namespace {

TEST(ImageGrid, TilesImagesIntoASquare) {
  const io::Image rgb = image_grid(at::zeros({5, 3, 4, 4}));
  EXPECT_EQ(rgb.width, 3 * 96 + 2 * 2) << "small images are enlarged";
  EXPECT_EQ(rgb.height, 2 * 96 + 2);
  EXPECT_EQ(image_grid(at::zeros({1, 1, 4, 6})).width, 6 * 24);
  EXPECT_EQ(image_grid(at::full({1, 4, 2, 2}, 3.0)).pixels[0], 255);  // latents: three deviations are white
}

TEST(MeanDistance, IsThatOfPairsWithOneLabel) {
  const at::Tensor images = at::tensor({0.0f, 3.0f, 100.0f, 101.0f}).view({4, 1, 1, 1}).expand({4, 1, 2, 2});
  EXPECT_NEAR(mean_distance(images, {0, 0, 1, 1}), (3 + 1) / 2.0, 1e-4);
  EXPECT_EQ(mean_distance(images, {0, 1, 2, 3}), 0);
  EXPECT_EQ(mean_distance(images.narrow(0, 0, 1).expand({4, 1, 2, 2}), {0, 0, 0, 0}), 0);
}

class SampleGridTest : public train::ToyTest {};

TEST_F(SampleGridTest, IsTheSameEachTimeAndShowsACollapse) {
  const auto loaded = config({"data.num_classes=2"});
  const auto model = loaded->build_model(nn::Init(1, "G"));
  torch::nn::Module& generator = model->generator();
  const pretrained::LatentSpace pixels = loaded->open_space(at::kCPU);
  const Sampler sampler(*model, generator, pixels, at::kCPU, {});
  const SampleGrid grid(sampler, 20, 1);
  EXPECT_EQ(grid.draw(sampler).pixels, grid.draw(sampler).pixels);
  const auto first = grid.first_images(sampler, 3);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(io::enlarge(first[0], 12).pixels, io::crop(grid.draw(sampler), 0, 0, 8 * 12, 8 * 12).pixels);
  EXPECT_EQ(grid.first_images(sampler, 99).size(), 20u);
  EXPECT_GT(grid.diversity(sampler).distance, 0.01);
  EXPECT_GT(grid.diversity(sampler).relative, 0.01);
  EXPECT_TRUE(generator.is_training());
  at::NoGradGuard no_grad;
  generator.named_parameters()["first.weight"].zero_();  // only the bias is left: the latent has no effect
  EXPECT_NEAR(grid.diversity(sampler).distance, 0, 1e-6);
  EXPECT_NEAR(grid.diversity(sampler).relative, 0, 1e-3);
}

}  // namespace
}  // namespace gigacat::sample
