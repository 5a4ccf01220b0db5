#include "gigacat/eval/metrics.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "eval/pair_metrics.h"
#include "eval/pyramid.h"
#include "gigacat/core/error.h"

namespace gigacat::eval {
namespace {

using ::testing::ElementsAre;

at::Tensor column(std::vector<double> values) { return at::tensor(values, at::kDouble).unsqueeze(1); }

TEST(KernelDistance, DrawsEachSubsetWithoutRepetition) {
  const KidOptions options{.subsets = 3, .subset_size = 20, .seed = 7};
  const auto [real, fake] = kernel_distance_rows(20, 50, options);
  EXPECT_EQ(real.sizes(), at::IntArrayRef({3, 20}));
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(std::get<0>(real[i].sort()).equal(at::arange(20, at::kLong)));
  EXPECT_LT(fake.max().item<int64_t>(), 50);
  EXPECT_FALSE(fake[0].equal(fake[1]));
  EXPECT_THROW(kernel_distance_rows(20, 19, options), Error);
}

TEST(SlicedWasserstein, OfShiftedSetsIsTheMeanProjectionOfTheShift) {
  torch::manual_seed(5);
  const at::Tensor x = at::randn({400, 6}), shift = at::zeros({6}).index_put_({at::tensor({2})}, at::tensor({0.5f}));
  EXPECT_EQ(sliced_wasserstein(x, x.flip(0)), 0);
  // E|u| of one coordinate of a random direction in 6 dimensions: Gamma(3) / (sqrt(pi) Gamma(3.5)).
  EXPECT_NEAR(sliced_wasserstein(x, x + shift), 0.5 * 2 / (std::sqrt(M_PI) * 3.3233509), 0.01);
  EXPECT_THROW(sliced_wasserstein(x, x.narrow(0, 0, 10)), InternalError);
}

TEST(Pyramid, LevelsAddUpToTheImage) {
  EXPECT_THAT(pyramid_sides(64), ElementsAre(64, 32, 16));
  EXPECT_THROW(pyramid_sides(48), InternalError);
  const auto flat = laplacian_pyramid(std::vector<float>(64 * 64, 9), 64);
  ASSERT_EQ(flat.size(), 3u);
  for (const float value : flat[0]) EXPECT_NEAR(value, 0, 1e-5);
  for (const float value : flat[2]) EXPECT_NEAR(value, 9, 1e-5);
  // A checkerboard stands in the finest level alone.
  std::vector<float> board;
  for (int i = 0; i < 32 * 32; ++i) board.push_back((i / 32 + i) % 2 ? 1.0f : -1.0f);
  const auto levels = laplacian_pyramid(board, 32);
  for (size_t i = 0; i < board.size(); ++i) EXPECT_NEAR(levels[0][i], board[i], 1e-5);
  for (const float value : levels[1]) EXPECT_NEAR(value, 0, 1e-5);
}

TEST(InceptionScore, KnownScores) {
  // Every image sure of a class of its own: the score is the number of classes. All alike: 1.
  const at::Tensor sure = at::eye(8, at::kDouble) * 1000;
  InceptionScore separate({8}, 8), alike(equal_pieces(8, 2), 8);
  separate.add(sure, 0);
  alike.add(sure[3].expand({8, 8}), 0);
  EXPECT_NEAR(separate.score().mean, 8, 1e-9);
  EXPECT_NEAR(alike.score().mean, 1, 1e-9);
  EXPECT_EQ(alike.score().each.size(), 2u);
  EXPECT_THROW(separate.add(sure, 1), InternalError);
}

TEST(InceptionScore, Pieces) {
  EXPECT_THAT(equal_pieces(10, 4), ElementsAre(2, 5, 7, 10));
  EXPECT_THAT(equal_pieces(2, 10), ElementsAre(1, 2));
  EXPECT_THAT(pieces_of(11, 5), ElementsAre(5, 10, 11));
  EXPECT_THAT(pieces_of(10, 5), ElementsAre(5, 10));
  EXPECT_THAT(pieces_of(3, 5), ElementsAre(3));
}

TEST(InceptionScore, PiecesAreConsecutiveWhateverTheBatches) {
  torch::manual_seed(1);
  const at::Tensor logits = at::randn({37, 5}, at::kDouble);
  InceptionScore whole(equal_pieces(37, 4), 5), parts(equal_pieces(37, 4), 5);
  whole.add(logits, 0);
  parts.add(logits.narrow(0, 20, 17), 20);  // ranks come in any order
  parts.add(logits.narrow(0, 0, 20), 0);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(whole.score().each[i], parts.score().each[i], 1e-12);
}

TEST(Neighbours, KnownBalls) {
  const at::Tensor real = column({0, 1, 3, 7}), fake = column({0.5, 100, 103, 107});
  EXPECT_THAT(std::vector<double>({squared_radii(real, 1)[0].item<double>(), squared_radii(real, 1)[3].item<double>(),
                                   squared_radii(real, 2)[0].item<double>()}),
              ElementsAre(1, 16, 9));
  const PrecisionRecall pr = precision_recall(real, fake, 1);
  EXPECT_DOUBLE_EQ(pr.precision, 0.25);  // 0.5 lies in the ball of 0
  EXPECT_DOUBLE_EQ(pr.recall, 1);        // 0.5's own ball reaches to 100
  const DensityCoverage dc = density_coverage(real, fake, 1);
  EXPECT_DOUBLE_EQ(dc.density, 2.0 / 4);  // 0.5 lies in the balls of 0 and 1
}

TEST(Neighbours, TheEdgeCountsInOneAndNotInTheOther) {
  const at::Tensor real = column({0, 1}), fake = column({2, 3});
  EXPECT_DOUBLE_EQ(precision_recall(real, fake, 1).precision, 0.5);
  EXPECT_DOUBLE_EQ(density_coverage(real, fake, 1).precision, 0);
  EXPECT_THROW(precision_recall(real, fake, 2), Error);
}

// More rows than one block holds.
TEST(Neighbours, BlocksDoNotMatter) {
  torch::manual_seed(2);
  const at::Tensor x = at::randn({5000, 2}, at::kDouble);
  const at::Tensor radii = squared_radii(x, 3);
  for (const int64_t i : {0, 4095, 4096, 4999}) {
    const at::Tensor sorted = std::get<0>((x - x[i]).square().sum(1).sort());
    EXPECT_NEAR(radii[i].item<double>(), sorted[3].item<double>(), 1e-12);
  }
}

TEST(Cmmd, IsZeroForEqualSetsAndScaleDoesNotCount) {
  torch::manual_seed(3);
  const at::Tensor x = at::randn({50, 8}), y = at::randn({40, 8});
  EXPECT_NEAR(cmmd(x, x), 0, 1e-9);
  EXPECT_NEAR(cmmd(x * 5, y), cmmd(x, y * 0.1), 1e-9);
  EXPECT_GT(cmmd(x, y), 0);
}

io::Image ramp(int64_t height, int64_t width, int step) {
  io::Image image{height, width, 3, {}};
  for (int64_t i = 0; i < height * width * 3; ++i) image.pixels.push_back(static_cast<uint8_t>(i * step % 256));
  return image;
}

TEST(Pairs, Psnr) {
  const io::Image a = ramp(4, 5, 7);
  io::Image b = a;
  EXPECT_EQ(psnr(a, b), INFINITY);
  for (uint8_t& value : b.pixels) value = static_cast<uint8_t>(value < 128 ? value + 5 : value - 5);
  EXPECT_NEAR(psnr(a, b), 10 * std::log10(255.0 * 255.0 / 25), 1e-12);
  EXPECT_THROW(psnr(a, ramp(5, 4, 7)), Error);
}

TEST(Pairs, Ssim) {
  const io::Image a = ramp(20, 24, 7), b = ramp(20, 24, 11);
  EXPECT_NEAR(ssim(a, a), 1, 1e-12);
  EXPECT_LT(ssim(a, b), 0.9);
  EXPECT_DOUBLE_EQ(ssim(a, b), ssim(b, a));
  EXPECT_THROW(ssim(ramp(10, 20, 7), ramp(10, 20, 7)), Error);
  // Flat images: only their means differ, (2 m n + c) / (m^2 + n^2 + c).
  io::Image dark{12, 12, 3, std::vector<uint8_t>(432, 50)}, light{12, 12, 3, std::vector<uint8_t>(432, 100)};
  const double c = 0.01 * 255 * 0.01 * 255;
  EXPECT_NEAR(ssim(dark, light), (2 * 50.0 * 100 + c) / (50.0 * 50 + 100.0 * 100 + c), 1e-12);
}

}  // namespace
}  // namespace gigacat::eval
