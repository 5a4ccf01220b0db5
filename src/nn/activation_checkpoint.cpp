#include "gigacat/nn/activation_checkpoint.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gigacat/core/error.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"

namespace gigacat::nn {
namespace {

thread_local CheckpointPolicy current;

using Block = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// What the second pass needs: the block, and autocast as it stood in the first.
struct Again : public torch::CustomClassHolder {
  Again(Block f, at::DeviceType on) : block(std::move(f)), device(on), autocast(AutocastState::current(on)) {}
  Block block;
  at::DeviceType device;
  AutocastState autocast;
};

struct Recompute : public torch::autograd::Function<Recompute> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const c10::intrusive_ptr<Again>& again,
                            at::TensorList inputs, const at::Tensor& /*anchor*/) {
    ctx->saved_data["again"] = c10::IValue::make_capsule(again);
    ctx->save_for_backward(inputs.vec());
    at::NoGradGuard no_grad;
    return again->block(inputs.vec());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    auto again = c10::static_intrusive_pointer_cast<Again>(ctx->saved_data["again"].toCapsule());
    std::vector<at::Tensor> inputs;
    for (const at::Tensor& input : ctx->get_saved_variables())
      inputs.push_back(input.detach().requires_grad_(input.requires_grad()));
    at::Tensor out;
    {
      at::AutoGradMode with_grad(true);
      const AutocastScope scope(again->device, again->autocast);
      out = again->block(inputs);
    }
    torch::autograd::backward({out}, {grads[0]});
    torch::autograd::variable_list results{at::Tensor()};
    for (const at::Tensor& input : inputs) results.push_back(input.grad());
    results.push_back(at::Tensor());
    return results;
  }
};

}  // namespace

CheckpointPolicy::CheckpointPolicy(const std::string& text) {
  const std::string number = text.starts_with("every:") ? trim(text.substr(6)) : "";
  const bool is_number = !number.empty() && number.size() < 6 && number.front() != '0' &&
                         number.find_first_not_of("0123456789") == std::string::npos;
  if (text == "blocks")
    every_ = 1;
  else if (is_number)
    every_ = parse_int(number, "train.activation_checkpoint");
  else if (text != "off")
    fail<UsageError>("train.activation_checkpoint: ", text, " is none of off, blocks, every:N");
}

CheckpointScope::CheckpointScope(const CheckpointPolicy& policy) : before_(current) { current = policy; }
CheckpointScope::~CheckpointScope() { current = before_; }

at::Tensor run_block(int64_t index, const Block& block, const std::vector<at::Tensor>& inputs) {
  const bool plain = !current.covers(index) || !at::GradMode::is_enabled() || TwiceDifferentiable::active();
  if (plain) return block(inputs);
  // Without an input that requires a gradient the engine would never reach the block's parameters.
  const at::Tensor anchor = at::zeros({}).requires_grad_(true);
  return Recompute::apply(c10::make_intrusive<Again>(block, inputs.front().device().type()), at::TensorList(inputs),
                          anchor);
}

}  // namespace gigacat::nn
