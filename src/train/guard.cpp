#include "train/guard.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/log.h"

namespace gigacat::train {
namespace {

constexpr int64_t kHalvings = 5;  // of the loss scale in a row that worry no one

bool finite(const at::Tensor& tensor) { return !tensor.defined() || at::isfinite(tensor).all().item<bool>(); }

// Name of the first tensor that is not finite, in the order in which a step makes them, or "".
std::string first_bad(const Evidence& evidence) {
  if (!finite(evidence.batch.images)) return "the real images of the batch";
  if (!finite(evidence.batch.features)) return "the alignment features of the batch";
  const auto parameters = evidence.network.named_parameters();
  for (const auto& item : parameters)
    if (!finite(item.value())) return "weight " + item.key();
  for (const auto& item : evidence.network.named_buffers())
    if (item.value().is_floating_point() && !finite(item.value())) return "buffer " + item.key();
  if (!finite(evidence.fakes)) return "the generated images";
  for (const auto& [name, value] : evidence.loss.terms)
    if (!finite(value)) return "loss term " + name;
  if (!finite(evidence.loss.total)) return "the loss";
  for (const auto& item : parameters)
    if (!finite(item.value().grad())) return "gradient of " + item.key();
  return "";
}

}  // namespace

std::string diagnose(const Evidence& evidence) {
  at::NoGradGuard no_grad;
  std::vector<std::string> terms;
  for (const auto& [name, value] : evidence.loss.terms)
    terms.push_back(cat(name, " ", value.to(at::kFloat).mean().item<double>()));
  const std::string bad = first_bad(evidence);
  return cat("loss terms: ", join(terms),
             "; first tensor that is not finite: ", bad.empty() ? "none on this rank" : bad);
}

NonfiniteGuard::NonfiniteGuard(std::string network, int64_t limit, at::Device device)
    : network_(std::move(network)),
      limit_(limit),
      total_(at::zeros({}, at::TensorOptions(device).dtype(at::kLong))),
      in_a_row_(at::zeros_like(total_)) {}

void NonfiniteGuard::count(const Optimizer& optimizer) {
  const at::Tensor skipped = optimizer.skipped().to(at::kLong);
  total_ += skipped;
  in_a_row_.add_(1).mul_(skipped);
}

void NonfiniteGuard::check(int64_t step, const Optimizer& optimizer, const Evidence& evidence) {
  const int64_t total = total_.item<int64_t>();
  if (total == reported_) return;
  const int64_t in_a_row = in_a_row_.item<int64_t>();
  const std::string note =
      cat("step ", step, ": the gradient of the ", network_, " is not finite: its weights stay as they are; ", total,
          " such steps so far, ", in_a_row, " in a row");
  // Halving the loss scale until gradients fit is how float16 begins.
  if (optimizer.scales_loss() && in_a_row < kHalvings)
    log::info(note, "; loss scale now ", optimizer.loss_scale().item<double>());
  else
    log::warn(note);
  reported_ = total;
  if (in_a_row < limit_) return;
  fail("step ", step, ": the gradient of the ", network_, " was not finite in ", in_a_row,
       " steps in a row (train.nonfinite_limit ", limit_, "); ", diagnose(evidence),
       ". Lower optimizer.lr, use another train.precision, or resume from an earlier checkpoint");
}

nlohmann::json NonfiniteGuard::state() const { return {total_.item<int64_t>(), in_a_row_.item<int64_t>()}; }

void NonfiniteGuard::load_state(const nlohmann::json& state) {
  reported_ = state.at(0).get<int64_t>();
  total_.fill_(reported_);
  in_a_row_.fill_(state.at(1).get<int64_t>());
}

}  // namespace gigacat::train
