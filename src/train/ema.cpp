#include "train/ema.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "gigacat/core/error.h"

namespace gigacat::train {
namespace {

using Named = torch::OrderedDict<std::string, at::Tensor>;

// Tensors of both by equal names, in the source's order.
void pair_up(const Named& source, const Named& average, std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
  GIGACAT_CHECK(source.size() == average.size(), "networks of ", source.size(), " and ", average.size(), " tensors");
  for (const auto& item : source) {
    const at::Tensor* other = average.find(item.key());
    GIGACAT_CHECK(other && other->sizes() == item.value().sizes(), item.key());
    from.push_back(item.value());
    to.push_back(*other);
  }
}

}  // namespace

Ema::Ema(const torch::nn::Module& source, std::shared_ptr<torch::nn::Module> average,
         const run::OptimizerConfig& config)
    : decay_(config.ema), warmup_(config.ema_warmup), average_(std::move(average)) {
  pair_up(source.named_parameters(), average_->named_parameters(), source_parameters_, parameters_);
  pair_up(source.named_buffers(), average_->named_buffers(), source_buffers_, buffers_);
  for (at::Tensor& parameter : parameters_) parameter.requires_grad_(false);
  reset();
}

void Ema::reset() {
  at::NoGradGuard no_grad;
  at::_foreach_copy_(parameters_, source_parameters_);
  copy_buffers();
}

void Ema::update(int64_t step) {
  at::NoGradGuard no_grad;
  at::_foreach_lerp_(parameters_, source_parameters_, 1 - decay(step));
  copy_buffers();
}

double Ema::decay(int64_t step) const {
  if (warmup_ == 0) return decay_;
  return std::min(decay_, static_cast<double>(1 + step) / static_cast<double>(warmup_ + step));
}

void Ema::copy_buffers() {
  for (size_t i = 0; i < buffers_.size(); ++i) buffers_[i].copy_(source_buffers_[i]);
}

}  // namespace gigacat::train
