// Trains a module of one's own on two processes: averaged gradients, a loss scale, activations computed again.
#include <torch/nn.h>

#include <iostream>

#include "gigacat/dist/group.h"
#include "gigacat/dist/launcher.h"
#include "gigacat/nn/activation_checkpoint.h"
#include "gigacat/train/optimizer.h"

namespace dist = gigacat::dist;

// Any torch::nn::Module; run_block keeps the input of a block and not what lies inside it.
struct NetImpl : torch::nn::Module {
  NetImpl() {
    for (int i = 0; i < 4; ++i) layers->push_back(torch::nn::Linear(16, 16));
    register_module("layers", layers);
  }
  at::Tensor forward(at::Tensor x) {
    for (int64_t i = 0; i < 4; ++i) {
      const auto block = [this, i](const std::vector<at::Tensor>& in) {  // runs again in the backward pass
        return in[0] + at::tanh(layers[i]->as<torch::nn::Linear>()->forward(in[0]));
      };
      x = gigacat::nn::run_block(i, block, {x});
    }
    return x;
  }
  torch::nn::ModuleList layers;
};
TORCH_MODULE(Net);

int main() {
  const auto environment = dist::Environment::detect();
  if (environment.launcher == "single") return dist::launch_local({}, {.ranks = 2});  // this program, twice
  const auto group = dist::Group::create(environment, at::kCPU);
  const gigacat::nn::CheckpointScope checkpointing(gigacat::nn::CheckpointPolicy("blocks"));

  torch::manual_seed(0);  // the same weights on both ranks; dist::broadcast_state serves where they differ
  Net net;
  const auto config = gigacat::config::defaults<gigacat::run::OptimizerConfig>();
  gigacat::train::Optimizer optimizer(*net, config, {.scale_loss = true});
  dist::GradientReducer reducer(group, net->parameters());

  torch::manual_seed(1 + group->rank());  // each rank its own data
  double first = 0, last = 0;
  for (int step = 0; step < 100; ++step) {
    const at::Tensor x = at::randn({32, 16});
    const at::Tensor loss = (net(x) - x.flip(1)).square().mean();
    reducer.backward(optimizer.scaled(loss));  // gradients are the mean of both ranks' when it returns
    optimizer.step(/*lr=*/3e-3);
    optimizer.zero_grad();
    last = group->sum(loss.item<double>(), "loss") / group->size();
    if (step == 0) first = last;
  }

  double weight = 0;
  for (const at::Tensor& p : net->parameters()) weight += p.abs().sum().item<double>();
  const double both = group->sum(weight, "weights");
  if (group->is_first())
    std::cout << "loss " << first << " -> " << last << ", loss scale " << optimizer.loss_scale().item<float>() << "\n";
  return last < 0.5 * first && both == 2 * weight ? 0 : 1;  // equal weights, to the bit
}
