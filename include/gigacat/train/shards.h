// Which rank keeps the moments of which parameter (ZeRO, stage 1: arXiv 1910.02054), and how ranks exchange what they
// made of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::train {

class Shards {
 public:
  // Whole parameters are dealt out, the largest first, each to the rank with the fewest elements so far.
  Shards(std::shared_ptr<dist::Group> group, const std::vector<at::Tensor>& parameters);

  int rank() const { return group_->rank(); }
  bool is_mine(size_t parameter) const { return owner_[parameter] == group_->rank(); }
  // One tensor for each parameter, right at its owner: afterwards right at all ranks. In place, one message for each
  // rank. A collective. Errors: as Group.
  void exchange(const std::vector<at::Tensor>& tensors, const char* what) const;
  // Rank 0's tensor, of any shape, to all, in place. A collective. Errors: as Group.
  void from_first(at::Tensor& tensor, const char* what) const { group_->broadcast(tensor, 0, what); }

 private:
  std::shared_ptr<dist::Group> group_;
  std::vector<int> owner_;
};

}  // namespace gigacat::train
