#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/types.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <cmath>

#include "dist/process_group.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/group.h"

namespace gigacat::dist {
namespace {

using Native = c10::intrusive_ptr<c10d::ProcessGroup>;
using Future = c10::intrusive_ptr<c10::ivalue::Future>;

// Sends a bucket as bfloat16: half the bytes, 8 bits of precision. Divided before the sum so that it cannot overflow.
class Bf16Hook : public c10d::CppCommHookInterface<Native> {
 public:
  using CppCommHookInterface::CppCommHookInterface;

  Future runHook(c10d::GradBucket& bucket) override {
    const at::Tensor whole = bucket.getBuffer();
    std::vector<at::Tensor> packed{whole.div(state_->getSize()).to(at::kBFloat16)};
    const Future sum = state_->allreduce(packed)->getFuture();
    return sum->then(
        [whole](c10::ivalue::Future& done) {
          const at::NoGradGuard no_grad;
          whole.copy_(done.value().toTensorVector()[0]);
          return c10::IValue(whole);
        },
        c10::TensorType::get());
  }
};

// Which parameters a backward has reached, seen by a hook behind each one's gradient.
class Reached {
 public:
  explicit Reached(const std::vector<at::Tensor>& parameters) : reached_(parameters.size(), 0) {
    for (size_t i = 0; i < parameters.size(); ++i) {
      auto accumulator = torch::autograd::impl::grad_accumulator(parameters[i]);
      const auto mark = [this, i](const torch::autograd::variable_list& outputs,
                                  const torch::autograd::variable_list&) {
        reached_[i] = 1;
        return outputs;
      };
      const auto key = accumulator->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(mark));
      hooks_.emplace_back(std::move(accumulator), key);
    }
  }
  ~Reached() {
    for (const auto& [accumulator, key] : hooks_) accumulator->del_post_hook(key);
  }
  Reached(const Reached&) = delete;
  Reached& operator=(const Reached&) = delete;

  void clear() { std::fill(reached_.begin(), reached_.end(), 0); }
  std::vector<size_t> missed() const {
    std::vector<size_t> out;
    for (size_t i = 0; i < reached_.size(); ++i)
      if (!reached_[i]) out.push_back(i);
    return out;
  }

 private:
  std::vector<char> reached_;  // a byte each: hooks of several devices run in threads of their own
  std::vector<std::pair<std::shared_ptr<torch::autograd::Node>, uintptr_t>> hooks_;
};

// Backward reaches parameters roughly from the last registered to the first.
std::vector<at::Tensor> backward_order(std::vector<at::Tensor> parameters) {
  std::reverse(parameters.begin(), parameters.end());
  return parameters;
}

std::unique_ptr<c10d::Reducer> make_reducer(const Native& group, const std::vector<at::Tensor>& parameters,
                                            double bucket_mb, bool find_unused) {
  const std::vector<bool> sparse(parameters.size(), false);
  const auto bytes = static_cast<size_t>(bucket_mb * (1 << 20));
  const size_t first = std::min<size_t>(bytes, c10d::kDefaultFirstBucketBytes);  // small: the exchange starts early
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(parameters, {first, bytes}, sparse);
  auto reducer = std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets), group, sparse, static_cast<int64_t>(bytes), find_unused,
      /*gradient_as_bucket_view=*/true, std::unordered_map<size_t, std::string>{}, static_cast<int64_t>(first),
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{});
  // Fixes the buckets now. LibTorch would cut them anew after the first step, in the order in which gradients came:
  // sums of a resumed run would then be rounded otherwise than those of one that never stopped.
  reducer->push_rebuilt_params_for_all_indices();
  reducer->rebuild_buckets();
  return reducer;
}

}  // namespace

struct GradientReducer::Impl {
  std::shared_ptr<Group> group;
  std::vector<at::Tensor> parameters;  // in backward's order
  std::vector<std::string> names;      // in backward's order; may be empty
  bool find_unused = false;
  bool pending = false;  // a prepared backward has not been checked
  std::unique_ptr<c10d::Reducer> reducer;
  std::unique_ptr<Reached> reached;

  std::string name(size_t i) const { return names.empty() ? cat("number ", parameters.size() - 1 - i) : names[i]; }
  void check();
};

void GradientReducer::Impl::check() {
  if (!pending) return;
  pending = false;
  hang_detector_of(*group)->set_active("");
  if (find_unused) return;
  const std::vector<size_t> missed = reached->missed();
  if (missed.empty()) return;
  std::vector<std::string> shown;
  for (size_t i = missed.size(); i-- > 0 && shown.size() < 5;) shown.push_back(name(missed[i]));
  const std::string more = missed.size() > shown.size() ? cat(" and ", missed.size() - shown.size(), " more") : "";
  fail("gradients were not averaged on rank ", group->rank(), ": the backward reached no ", join(shown), more, " of ",
       parameters.size(), " parameters; use all of them in the loss, or construct the reducer with find_unused");
}

GradientReducer::GradientReducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters, double bucket_mb,
                                 bool bf16, bool find_unused, std::vector<std::string> names)
    : impl_(std::make_unique<Impl>()) {
  GIGACAT_CHECK(names.empty() || names.size() == parameters.size(), names.size(), " names, ", parameters.size());
  GIGACAT_CHECK(std::isfinite(bucket_mb) && bucket_mb > 0 && bucket_mb < 1e5, "buckets of ", bucket_mb, " MB");
  for (size_t i = 0; i < parameters.size(); ++i)
    GIGACAT_CHECK(parameters[i].is_leaf() && parameters[i].requires_grad(), "parameter ",
                  names.empty() ? cat(i) : names[i]);
  impl_->group = std::move(group);
  if (impl_->group->size() == 1) return;
  impl_->parameters = backward_order(std::move(parameters));
  std::reverse(names.begin(), names.end());
  impl_->names = std::move(names);
  impl_->find_unused = find_unused;
  check_same_shapes(*impl_->group, impl_->parameters, "gradient buckets");
  if (impl_->parameters.empty()) return;
  impl_->group->guard("gradient buckets", [&] {
    impl_->reducer = make_reducer(impl_->group->native(), impl_->parameters, bucket_mb, find_unused);
  });
  if (bf16) impl_->reducer->register_comm_hook(std::make_unique<Bf16Hook>(impl_->group->native()));
  impl_->reached = std::make_unique<Reached>(impl_->parameters);
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::prepare(const std::vector<at::Tensor>& outputs) {
  if (!impl_->reducer) return;
  impl_->check();
  impl_->reached->clear();
  impl_->pending = true;
  hang_detector_of(*impl_->group)->set_active("gradients");
  impl_->reducer->prepare_for_backward(impl_->find_unused ? outputs : std::vector<at::Tensor>{});
}

void GradientReducer::no_sync() {
  if (impl_->reducer) impl_->check();
}

void GradientReducer::finish() {
  if (impl_->reducer) impl_->check();
}

void GradientReducer::backward(const at::Tensor& loss, const char* what) {
  prepare({loss});
  impl_->group->guard(what, [&] { loss.backward(); });
  finish();
}

}  // namespace gigacat::dist
