// Letters: B batch, C channels. Each unit is a convolution with folded batch norm, then ReLU.
#include "gigacat/pretrained/inception.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {
namespace {

constexpr double kInceptionEps = 1e-3;
constexpr const char* kInception = "the FID Inception-v3";

using Window = std::array<int64_t, 2>;

at::Tensor relu(Conv2d& conv, const at::Tensor& x) { return conv(x, Activation::relu); }

at::Tensor max_pool(const at::Tensor& x, int64_t stride, int64_t padding) {
  return at::max_pool2d(x, {3, 3}, {stride, stride}, {padding, padding});
}

// Units one after the other.
template <size_t N>
at::Tensor chain(std::array<Conv2d, N>& units, at::Tensor x) {
  for (Conv2d& unit : units) x = relu(unit, x);
  return x;
}

// A 3x3 average without the padding, then a 1x1 unit. The two commute before the ReLU, and the average of the unit's
// few channels costs less.
at::Tensor average_unit(Conv2d& unit, const at::Tensor& x) {
  return at::avg_pool2d(unit(x), {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false, /*count_include_pad=*/false).relu_();
}

}  // namespace

namespace inception_blocks {

class Block : public torch::nn::Module {
 protected:
  // A unit of `out` channels; padding keeps the size unless `stride` is 2.
  Conv2d unit(const std::string& name, int64_t in, int64_t out, Window kernel = {1, 1}, int64_t stride = 1) {
    const Window padding = stride == 2 ? Window{0, 0} : Window{kernel[0] / 2, kernel[1] / 2};
    return register_module(name, Conv2d(Conv2dShape{in, out, kernel, padding, stride}));
  }
};

// 35 x 35: 1x1, 5x5, two 3x3, average. [B, in, 35, 35] -> [B, 224 + pooled, 35, 35].
class BlockA : public Block {
 public:
  BlockA(int64_t in, int64_t pooled)
      : point_(unit("branch1x1", in, 64)),
        five_{unit("branch5x5_1", in, 48), unit("branch5x5_2", 48, 64, {5, 5})},
        double_{unit("branch3x3dbl_1", in, 64), unit("branch3x3dbl_2", 64, 96, {3, 3}),
                unit("branch3x3dbl_3", 96, 96, {3, 3})},
        pool_(unit("branch_pool", in, pooled)) {}
  at::Tensor forward(const at::Tensor& x) {
    return at::cat({relu(point_, x), chain(five_, x), chain(double_, x), average_unit(pool_, x)}, 1);
  }

 private:
  Conv2d point_;
  std::array<Conv2d, 2> five_;
  std::array<Conv2d, 3> double_;
  Conv2d pool_;
};

// [B, 288, 35, 35] -> [B, 768, 17, 17].
class BlockB : public Block {
 public:
  BlockB()
      : three_(unit("branch3x3", 288, 384, {3, 3}, 2)),
        double_{unit("branch3x3dbl_1", 288, 64), unit("branch3x3dbl_2", 64, 96, {3, 3}),
                unit("branch3x3dbl_3", 96, 96, {3, 3}, 2)} {}
  at::Tensor forward(const at::Tensor& x) {
    return at::cat({relu(three_, x), chain(double_, x), max_pool(x, 2, 0)}, 1);
  }

 private:
  Conv2d three_;
  std::array<Conv2d, 3> double_;
};

// 17 x 17: 7x7 windows as rows and columns, c channels between. [B, 768, 17, 17] -> the same shape.
class BlockC : public Block {
 public:
  explicit BlockC(int64_t c)
      : point_(unit("branch1x1", 768, 192)),
        seven_{unit("branch7x7_1", 768, c), unit("branch7x7_2", c, c, {1, 7}), unit("branch7x7_3", c, 192, {7, 1})},
        double_{unit("branch7x7dbl_1", 768, c), unit("branch7x7dbl_2", c, c, {7, 1}),
                unit("branch7x7dbl_3", c, c, {1, 7}), unit("branch7x7dbl_4", c, c, {7, 1}),
                unit("branch7x7dbl_5", c, 192, {1, 7})},
        pool_(unit("branch_pool", 768, 192)) {}
  // `point`: where the 1x1 branch goes, too.
  at::Tensor forward(const at::Tensor& x, at::Tensor* point = nullptr) {
    const at::Tensor first = relu(point_, x);
    if (point) *point = first;
    return at::cat({first, chain(seven_, x), chain(double_, x), average_unit(pool_, x)}, 1);
  }

 private:
  Conv2d point_;
  std::array<Conv2d, 3> seven_;
  std::array<Conv2d, 5> double_;
  Conv2d pool_;
};

// [B, 768, 17, 17] -> [B, 1280, 8, 8].
class BlockD : public Block {
 public:
  BlockD()
      : three_{unit("branch3x3_1", 768, 192), unit("branch3x3_2", 192, 320, {3, 3}, 2)},
        seven_{unit("branch7x7x3_1", 768, 192), unit("branch7x7x3_2", 192, 192, {1, 7}),
               unit("branch7x7x3_3", 192, 192, {7, 1}), unit("branch7x7x3_4", 192, 192, {3, 3}, 2)} {}
  at::Tensor forward(const at::Tensor& x) {
    return at::cat({chain(three_, x), chain(seven_, x), max_pool(x, 2, 0)}, 1);
  }

 private:
  std::array<Conv2d, 2> three_;
  std::array<Conv2d, 4> seven_;
};

enum class Pool { average, maximum };

// 8 x 8: branches that fork into a row and a column. [B, in, 8, 8] -> [B, 2048, 8, 8].
class BlockE : public Block {
 public:
  BlockE(int64_t in, Pool pool)
      : kind_(pool),
        point_(unit("branch1x1", in, 320)),
        three_(unit("branch3x3_1", in, 384)),
        three_row_(unit("branch3x3_2a", 384, 384, {1, 3})),
        three_column_(unit("branch3x3_2b", 384, 384, {3, 1})),
        double_{unit("branch3x3dbl_1", in, 448), unit("branch3x3dbl_2", 448, 384, {3, 3})},
        double_row_(unit("branch3x3dbl_3a", 384, 384, {1, 3})),
        double_column_(unit("branch3x3dbl_3b", 384, 384, {3, 1})),
        pool_(unit("branch_pool", in, 192)) {}
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor three = relu(three_, x), twice = chain(double_, x);
    const at::Tensor pooled = kind_ == Pool::average ? average_unit(pool_, x) : relu(pool_, max_pool(x, 1, 1));
    return at::cat({relu(point_, x), relu(three_row_, three), relu(three_column_, three), relu(double_row_, twice),
                    relu(double_column_, twice), pooled},
                   1);
  }

 private:
  Pool kind_;
  Conv2d point_, three_, three_row_, three_column_;
  std::array<Conv2d, 2> double_;
  Conv2d double_row_, double_column_, pool_;
};

}  // namespace inception_blocks

InceptionImpl::InceptionImpl() {
  using namespace inception_blocks;
  const auto stem = [this](int index, const std::string& name, const Conv2dShape& shape) {
    stem_[index] = register_module(name, Conv2d(shape));
  };
  stem(0, "Conv2d_1a_3x3", {.in = 3, .out = 32, .padding = {0, 0}, .stride = 2});
  stem(1, "Conv2d_2a_3x3", {.in = 32, .out = 32, .padding = {0, 0}});
  stem(2, "Conv2d_2b_3x3", {.in = 32, .out = 64});
  stem(3, "Conv2d_3b_1x1", {.in = 64, .out = 80, .kernel = {1, 1}, .padding = {0, 0}});
  stem(4, "Conv2d_4a_3x3", {.in = 80, .out = 192, .padding = {0, 0}});
  a_ = {register_module("Mixed_5b", std::make_shared<BlockA>(192, 32)),
        register_module("Mixed_5c", std::make_shared<BlockA>(256, 64)),
        register_module("Mixed_5d", std::make_shared<BlockA>(288, 64))};
  b_ = register_module("Mixed_6a", std::make_shared<BlockB>());
  c_ = {register_module("Mixed_6b", std::make_shared<BlockC>(128)),
        register_module("Mixed_6c", std::make_shared<BlockC>(160)),
        register_module("Mixed_6d", std::make_shared<BlockC>(160)),
        register_module("Mixed_6e", std::make_shared<BlockC>(192))};
  d_ = register_module("Mixed_7a", std::make_shared<BlockD>());
  e_ = {register_module("Mixed_7b", std::make_shared<BlockE>(1280, Pool::average)),
        register_module("Mixed_7c", std::make_shared<BlockE>(2048, Pool::maximum))};
  fc_ = register_module("fc", Linear(kFeatures, kClasses));
}

InceptionOutput InceptionImpl::forward(const at::Tensor& images, const StageObserver& observe) {
  GIGACAT_CHECK(images.dim() == 4 && images.size(2) == kSize && images.size(3) == kSize, images.sizes());
  const at::NoGradGuard no_grad;
  const auto stage = [&](const char* name, at::Tensor y) {
    if (observe) observe(name, y);
    return y;
  };
  at::Tensor x = images.to(fc_->weight.device(), fc_->weight.scalar_type());
  x = stage("Conv2d_1a_3x3", relu(stem_[0], x));  // [B, 32, 149, 149]
  x = stage("Conv2d_2a_3x3", relu(stem_[1], x));  // [B, 32, 147, 147]
  x = stage("Conv2d_2b_3x3", relu(stem_[2], x));  // [B, 64, 147, 147]
  x = max_pool(x, 2, 0);                          // [B, 64, 73, 73]
  x = stage("Conv2d_3b_1x1", relu(stem_[3], x));  // [B, 80, 73, 73]
  x = stage("Conv2d_4a_3x3", relu(stem_[4], x));  // [B, 192, 71, 71]
  x = max_pool(x, 2, 0);                          // [B, 192, 35, 35]
  x = stage("Mixed_5b", a_[0]->forward(x));       // [B, 256, 35, 35]
  x = stage("Mixed_5c", a_[1]->forward(x));       // [B, 288, 35, 35]
  x = stage("Mixed_5d", a_[2]->forward(x));
  x = stage("Mixed_6a", b_->forward(x));  // [B, 768, 17, 17]
  x = stage("Mixed_6b", c_[0]->forward(x));
  x = stage("Mixed_6c", c_[1]->forward(x));
  at::Tensor point;  // [B, 192, 17, 17]
  x = stage("Mixed_6d", c_[2]->forward(x, &point));
  x = stage("Mixed_6e", c_[3]->forward(x));
  x = stage("Mixed_7a", d_->forward(x));     // [B, 1280, 8, 8]
  x = stage("Mixed_7b", e_[0]->forward(x));  // [B, 2048, 8, 8]
  x = stage("Mixed_7c", e_[1]->forward(x));
  const at::Tensor pool = x.mean({2, 3});  // [B, 2048]
  const at::Tensor spatial = point.narrow(1, 0, 7).permute({0, 2, 3, 1}).flatten(1);
  return {pool.to(at::kFloat), spatial.to(at::kFloat), at::linear(pool, fc_->weight).to(at::kFloat)};
}

weights::Weights fold_batch_norm(const weights::Weights& weights) {
  const std::string end = ".conv.weight";
  weights::Weights folded{{}, weights.origin};
  for (const auto& [name, tensor] : weights.tensors) {
    if (name.starts_with("AuxLogits.") || name.ends_with("num_batches_tracked")) continue;
    // A copy: what stays in the mapped file would keep all of it in memory.
    if (name.starts_with("fc.")) folded.tensors[name] = tensor.clone();
    if (!name.ends_with(end)) continue;
    const std::string unit = name.substr(0, name.size() - end.size());
    const auto norm = [&](const char* part) { return weights.at(unit + ".bn." + part, kInception).to(at::kFloat); };
    const at::Tensor scale = norm("weight") / (norm("running_var") + kInceptionEps).sqrt();
    folded.tensors[unit + ".weight"] = tensor.to(at::kFloat) * scale.view({-1, 1, 1, 1});
    folded.tensors[unit + ".bias"] = norm("bias") - norm("running_mean") * scale;
  }
  return folded;
}

Inception load_inception(const weights::Weights& weights, const weights::LoadOptions& options) {
  weights.at("Conv2d_1a_3x3.conv.weight", kInception);
  Inception inception;
  weights::assign(*inception, fold_batch_norm(weights), kInception, options);
  return inception;
}

}  // namespace gigacat::pretrained
