#include "gigacat/train/shards.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace gigacat::train {

Shards::Shards(std::shared_ptr<dist::Group> group, const std::vector<at::Tensor>& parameters)
    : group_(std::move(group)), owner_(parameters.size()) {
  std::vector<size_t> order(parameters.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return parameters[a].numel() > parameters[b].numel(); });
  std::vector<int64_t> elements(static_cast<size_t>(group_->size()));
  for (const size_t i : order) {
    const auto least = std::min_element(elements.begin(), elements.end());
    owner_[i] = static_cast<int>(least - elements.begin());
    *least += parameters[i].numel();
  }
}

void Shards::exchange(const std::vector<at::Tensor>& tensors, const char* what) const {
  const at::NoGradGuard no_grad;
  for (int root = 0; root < group_->size(); ++root) {
    std::vector<at::Tensor> theirs;
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < tensors.size(); ++i)
      if (owner_[i] == root) {
        theirs.push_back(tensors[i].flatten());
        sizes.push_back(tensors[i].numel());
      }
    if (theirs.empty()) continue;
    at::Tensor flat = at::cat(theirs);
    group_->broadcast(flat, root, what);
    if (root == group_->rank()) continue;
    const auto parts = flat.split_with_sizes(sizes);
    size_t part = 0;
    for (size_t i = 0; i < tensors.size(); ++i)
      if (owner_[i] == root) tensors[i].copy_(parts[part++].view_as(tensors[i]));
  }
}

}  // namespace gigacat::train
