#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <csignal>
#include <thread>

#include "dist/worker.h"
#include "gigacat/core/random.h"

namespace gigacat::test {
namespace {

using dist::GradientReducer;
using GroupPointer = std::shared_ptr<dist::Group>;

at::Tensor draw(at::IntArrayRef shape, std::string_view purpose) {
  at::Tensor out = at::empty(shape, at::kFloat);
  Stream(1, purpose).normal(0, 0, {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out;
}

// x [B, 16] -> [B, 16] in two layers of odd sizes, so that buckets end inside a layer.
struct Network {
  std::vector<at::Tensor> parameters{(draw({16, 37}, "w1") * 0.2).requires_grad_(), draw({37}, "b1").requires_grad_(),
                                     (draw({37, 16}, "w2") * 0.2).requires_grad_(), draw({16}, "b2").requires_grad_()};

  at::Tensor first(const at::Tensor& x) const { return (x.matmul(parameters[0]) + parameters[1]).tanh(); }
  at::Tensor second(const at::Tensor& h) const { return h.matmul(parameters[2]) + parameters[3]; }
  at::Tensor loss(const at::Tensor& x) const { return second(first(x)).square().mean(); }
  void clear() const {
    for (at::Tensor p : parameters) p.mutable_grad() = at::Tensor();
  }
  void step() const {
    const at::NoGradGuard no_grad;
    for (at::Tensor p : parameters) p.sub_(p.grad(), 0.1);
    clear();
  }
};

constexpr int64_t kBatch = 24;
constexpr double kSmallBucket = 0.002;  // MB: several buckets

at::Tensor batch(int64_t step) { return draw({kBatch, 16}, cat("x", step)); }

at::Tensor share(const at::Tensor& whole, const dist::Group& group) {
  const int64_t rows = whole.size(0) / group.size();
  return whole.narrow(0, group.rank() * rows, rows);
}

void expect_close(const Network& a, const Network& b, double tolerance, const char* what) {
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    const double error = (a.parameters[i] - b.parameters[i]).abs().max().item<double>();
    const double scale = b.parameters[i].abs().max().item<double>();
    expect(error <= tolerance * scale, cat(what, ": parameter ", i, " differs by ", error, " of ", scale));
  }
}

void expect_equal_on_all_ranks(dist::Group& group, const Network& net) {
  for (const at::Tensor& p : net.parameters) {
    const at::Tensor all = group.all_gather(p.detach().reshape({1, -1}), "weights of all ranks");
    expect(all.eq(all[0]).all().item<bool>(), "the same weights on all ranks, to the bit");
  }
}

// Five steps on shares of a batch, against five steps on whole batches without a group.
void train_both(const GroupPointer& group, bool bf16, double tolerance) {
  const Network net, reference;
  GradientReducer reducer(group, net.parameters, kSmallBucket, bf16);
  for (int64_t i = 0; i < 5; ++i) {
    reducer.backward(net.loss(share(batch(i), *group)));
    net.step();
    reference.loss(batch(i)).backward();
    reference.step();
  }
  expect_close(net, reference, tolerance, "weights after 5 steps");
  expect_equal_on_all_ranks(*group, net);
}

void average(const GroupPointer& group) { train_both(group, false, 1e-5); }
void average_bf16(const GroupPointer& group) { train_both(group, true, 1e-2); }

// prepare and finish by hand, and gradients of micro-batches summed before they are averaged.
void accumulate(const GroupPointer& group) {
  const Network net, reference;
  GradientReducer reducer(group, net.parameters, kSmallBucket);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t part = 0; part < 3; ++part) {
      const at::Tensor loss = net.loss(share(batch(3 * i + part), *group)) / 3;
      part < 2 ? reducer.no_sync() : reducer.prepare({loss});
      loss.backward();
      if (part == 2) reducer.finish();
      (reference.loss(batch(3 * i + part)) / 3).backward();
    }
    net.step();
    reference.step();
  }
  expect_close(net, reference, 1e-5, "weights after 3 steps of 3 micro-batches");
  expect_equal_on_all_ranks(*group, net);
}

// Two networks of a GAN: the second is frozen while the first learns through it, and the first is detached in turn; an
// exact penalty of the input's gradient is differentiated twice.
void two_networks(const GroupPointer& group) {
  const Network g, d, g_reference, d_reference;
  GradientReducer g_reducer(group, g.parameters, kSmallBucket), d_reducer(group, d.parameters, kSmallBucket);
  const auto d_loss = [](const Network& generator, const Network& critic, const at::Tensor& x) {
    const at::Tensor fake = generator.second(generator.first(x)).detach().requires_grad_();
    const at::Tensor score = critic.loss(fake);
    const at::Tensor slope =
        torch::autograd::grad({critic.second(critic.first(fake)).sum()}, {fake}, {}, true, true)[0];
    return score + slope.square().mean();
  };
  const auto g_loss = [](const Network& generator, const Network& critic, const at::Tensor& x) {
    for (at::Tensor p : critic.parameters) p.requires_grad_(false);
    const at::Tensor loss = critic.loss(generator.second(generator.first(x)));
    for (at::Tensor p : critic.parameters) p.requires_grad_(true);
    return loss;
  };
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor x = batch(i), mine = share(x, *group);
    d_reducer.backward(d_loss(g, d, mine), "gradients of D");
    d.step();
    g_reducer.backward(g_loss(g, d, mine), "gradients of G");
    g.step();
    d_loss(g_reference, d_reference, x).backward();
    d_reference.step();
    g_loss(g_reference, d_reference, x).backward();
    g_reference.step();
  }
  expect_close(g, g_reference, 1e-5, "G");
  expect_close(d, d_reference, 1e-5, "D");
}

// Runs its layer again inside backward, as activation checkpointing does.
struct Again : torch::autograd::Function<Again> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const Network* net) {
    context->save_for_backward({x});
    context->saved_data["net"] = reinterpret_cast<int64_t>(net);
    return net->first(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::AutoGradMode grad(true);
    const at::Tensor x = context->get_saved_variables()[0].detach().requires_grad_();
    const auto net = reinterpret_cast<const Network*>(context->saved_data["net"].toInt());
    torch::autograd::backward({net->first(x)}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }
};

void checkpointed(const GroupPointer& group) {
  const Network net, reference;
  GradientReducer reducer(group, net.parameters, kSmallBucket);
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor x = share(batch(i), *group).clone().requires_grad_();
    reducer.backward(net.second(Again::apply(x, &net)).square().mean());
    net.step();
    reference.loss(batch(i)).backward();
    reference.step();
  }
  expect_close(net, reference, 1e-5, "weights after 3 checkpointed steps");
}

at::Tensor loss_without_bias(const Network& net, const at::Tensor& x) {
  return net.first(x).matmul(net.parameters[2]).square().mean();
}

// Rank 0 leaves the last bias out, the others use it: zeros count for rank 0.
void find_unused(const GroupPointer& group) {
  const Network net, reference;
  GradientReducer reducer(group, net.parameters, kSmallBucket, false, true);
  const at::Tensor x = share(batch(0), *group);
  reducer.backward(group->is_first() ? loss_without_bias(net, x) : net.loss(x));
  at::Tensor bias = at::zeros({16});
  for (int rank = 1; rank < group->size(); ++rank) {
    const int64_t rows = kBatch / group->size();
    bias +=
        torch::autograd::grad({reference.loss(batch(0).narrow(0, rank * rows, rows))}, {reference.parameters[3]})[0];
  }
  bias /= group->size();
  expect(at::allclose(net.parameters[3].grad(), bias, 1e-5, 1e-7), "gradient of a bias that rank 0 does not use");
}

const std::vector<std::string> kNames{"first.weight", "first.bias", "second.weight", "second.bias"};

void unused_everywhere(const GroupPointer& group) {
  const Network net;
  GradientReducer reducer(group, net.parameters, kSmallBucket, false, false, kNames);
  reducer.backward(loss_without_bias(net, share(batch(0), *group)));
}

// The next prepare() finds it too, for callers that forget finish().
void unused_unnoticed(const GroupPointer& group) {
  const Network net;
  GradientReducer reducer(group, net.parameters, 25);
  for (int i = 0; i < 2; ++i) {
    const at::Tensor loss = loss_without_bias(net, share(batch(0), *group));
    reducer.prepare({loss});
    loss.backward();
  }
}

void unused_once(const GroupPointer& group) {
  const Network net;
  GradientReducer reducer(group, net.parameters, kSmallBucket, false, false, kNames);
  const at::Tensor x = share(batch(0), *group);
  reducer.backward(group->rank() == 1 ? loss_without_bias(net, x) : net.loss(x));
}

void die_in_backward(const GroupPointer& group) {
  const Network net;
  GradientReducer reducer(group, net.parameters, kSmallBucket);
  reducer.backward(net.loss(share(batch(0), *group)));
  if (group->rank() == group->size() - 1) ::raise(SIGKILL);
  reducer.backward(net.loss(share(batch(1), *group)), "gradients of G");
}

void hang_in_backward(const GroupPointer& group) {
  const Network net;
  GradientReducer reducer(group, net.parameters, kSmallBucket);
  if (group->rank() == group->size() - 1) std::this_thread::sleep_for(std::chrono::seconds(60));
  reducer.backward(net.loss(share(batch(1), *group)), "gradients of G");
}

void different_networks(const GroupPointer& group) {
  Network net;
  if (group->rank() == 1) net.parameters.pop_back();
  const GradientReducer reducer(group, net.parameters);
}

}  // namespace

std::map<std::string, Scenario> gradient_scenarios() {
  return {{"average", average},
          {"average_bf16", average_bf16},
          {"accumulate", accumulate},
          {"two_networks", two_networks},
          {"checkpointed", checkpointed},
          {"find_unused", find_unused},
          {"unused_everywhere", unused_everywhere},
          {"unused_unnoticed", unused_unnoticed},
          {"unused_once", unused_once},
          {"die_in_backward", die_in_backward},
          {"hang_in_backward", hang_in_backward},
          {"different_networks", different_networks}};
}

}  // namespace gigacat::test
