// GigaGAN's building blocks against their definitions.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>

#include "gigacat/core/error.h"
#include "gigacat/nn/cross_attention.h"
#include "gigacat/nn/fused.h"
#include "gigacat/nn/l2_attention.h"
#include "gigacat/nn/minibatch_std.h"
#include "gigacat/nn/modulated_conv.h"
#include "gigacat/nn/resample.h"
#include "golden/gradients.h"
#include "golden/kinds.h"

namespace gigacat::golden {

namespace {

nn::ModulatedOptions modulated_options(const nlohmann::json& v) {
  return {.demodulate = v.at("demod"), .up = v.at("up"), .down = v.at("down"), .weight_gain = v.at("weight_gain")};
}

// A weight of the manifest on its own.
struct OneWeight : torch::nn::Module {
  OneWeight(const std::string& name, at::IntArrayRef shape) : value(register_parameter(name, at::zeros(shape))) {}
  at::Tensor value;
};

at::Tensor weight(Case& c, const std::string& variant, const std::string& name, at::IntArrayRef shape) {
  OneWeight one(name, shape);
  c.fill(one, variant + ".");
  return one.value;
}

void check_modulated_conv(Case& c) {
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const std::string in = "input." + variant + ".", prefix = variant + ".";
    const int64_t k = v.at("k"), channels = c.config().at("in_channels"), out = c.config().at("out_channels");
    const at::Tensor kernel = weight(c, variant, "weight", {out, channels, k, k});
    const at::Tensor x = leaf(c.stored(in + "x")), style = leaf(c.stored(in + "style"));
    const Named inputs{{"x", x}, {"style", style}, {"weight", kernel}};
    const auto run = [&](auto convolution) {
      const at::Tensor y = convolution(x, kernel.unsqueeze(0), at::Tensor(), style, modulated_options(v));
      c.compare("output." + prefix + "y", y);
      compare_gradients(c, prefix, y, c.stored(in + "cotangent"), inputs);
    };
    run(nn::adaptive_conv_reference);
    run(nn::adaptive_conv);
    const nn::TwiceDifferentiable twice;
    run(nn::adaptive_conv);
  }
}

void check_adaptive_conv(Case& c) {
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const std::string in = "input." + variant + ".", prefix = variant + ".";
    const at::Tensor x = leaf(c.stored(in + "x")), w = leaf(c.stored(in + "w"));
    const at::Tensor& cotangent = c.stored(in + "cotangent");
    nn::AdaptiveConv layer(x.size(1), cotangent.size(1), v.at("k"), v.at("n"), w.size(1), nn::Init::zeros(),
                           modulated_options(v));
    // The case has no bias, and gives a bank of one kernel a selection all the same.
    if (layer->select.is_empty())
      layer->select = layer->register_module("select", nn::EqualizedLinear(w.size(1), 1, nn::Init::zeros()));
    const Named parameters = named(*layer, {{"x", x}, {"w", w}});
    struct Without : torch::nn::Module {
    } holder;
    holder.register_parameter("bank", layer->bank);
    holder.register_module("select", layer->select.ptr());
    holder.register_module("affine", layer->affine.ptr());
    c.fill(holder, prefix);
    layer->to(c.device());
    c.compare("output." + prefix + "selection", layer->selection(w));
    c.compare("output." + prefix + "style", layer->affine(w));
    const at::Tensor y = layer(x, w);
    c.compare("output." + prefix + "y", y);
    compare_gradients(c, prefix, y, cotangent, parameters);
    const at::Tensor again =
        nn::adaptive_conv_reference(x, layer->bank, layer->selection(w), layer->affine(w), modulated_options(v));
    c.compare("output." + prefix + "y", again);
    compare_gradients(c, prefix, again, cotangent, parameters);
  }
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
}

double relative(const at::Tensor& a, const at::Tensor& b) { return distance(a, b) / b.norm().item<double>(); }

// One variant through `attention`, judged by the case's rule: as exact as float32 by the definition, within a factor.
template <class Attention>
void check_distances(Case& c, const std::string& variant, const nlohmann::json& v, const Attention& attention) {
  const std::string in = "input." + variant + ".", out = "output." + variant + ".";
  const bool tied = v.at("tied"), null = v.at("null"), formula = !c.has(in + "q");
  const int64_t heads = v.at("heads"), width = v.at("head_dim"), stride = v.at("stride");
  struct Rows : torch::nn::Module {
  } rows;
  if (formula) {
    for (const char* name : {"q", "v", "cotangent"})
      rows.register_parameter(name, at::zeros({v.at("batch"), heads, v.at("tokens"), width}));
    c.fill(rows, in);
  }
  const auto input = [&](const char* name) {
    return formula ? rows.named_parameters()[name].detach() : c.stored(in + name);
  };
  Named inputs{{"q", leaf(input("q"))}, {"v", leaf(input("v"))}};
  if (!tied) inputs["k"] = leaf(input("k"));
  at::Tensor k = tied ? inputs["q"] : inputs["k"], value = inputs["v"];
  if (null) {
    struct Nulls : torch::nn::Module {
    } nulls;
    inputs["null_k"] = nulls.register_parameter("null_k", at::zeros({heads, width}));
    inputs["null_v"] = nulls.register_parameter("null_v", at::zeros({heads, width}));
    c.fill(nulls, variant + ".");
    k = nn::with_null(inputs["null_k"], k);
    value = nn::with_null(inputs["null_v"], value);
  }
  const at::Tensor y = attention(inputs["q"], k, value);
  const at::Tensor every = at::arange(0, y.size(2), stride, y.options().dtype(at::kLong));
  const at::Tensor reference = c.stored(out + "y64");
  const double factor = c.device().is_cpu() ? 4 : 10;  // a GPU's attention sums in longer chains
  c.judge(out + "y64", relative(y.index_select(2, every), reference),
          factor * relative(c.stored(out + "y32"), reference) + 2e-6);
  for (const char* name : {"y32", "y32_expanded", "errors"})
    if (c.has(out + name)) c.skip(out + name);  // what plain float32 loses: the rule's measure, not a target
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : inputs) {
    names.push_back(name);
    tensors.push_back(tensor);
  }
  const at::Tensor cotangent = input("cotangent");
  const auto grads = torch::autograd::grad({y}, tensors, {cotangent});
  // Where a softmax is saturated gradients vanish; what is left of them is rounding, times the length of a key.
  const double floor = 1e-7 * cotangent.norm().item<double>() * std::max(10.0, k.norm(2, -1).max().item<double>());
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string exact = out + "grad64." + names[i], plain = out + "grad32." + names[i];
    const at::Tensor shown = names[i].starts_with("null") ? grads[i] : grads[i].index_select(2, every);
    const double size = c.stored(exact).norm().item<double>();
    double allowed = factor / 4 * (2e-6 * size + floor);
    if (c.has(plain)) {
      allowed += factor * distance(c.stored(plain), c.stored(exact));
      c.skip(plain);
    }
    c.judge(exact, distance(shown, c.stored(exact)), allowed);
  }
}

void check_l2_attention(Case& c) {
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    if (!v.contains("tokens")) continue;
    check_distances(c, variant, v, [](auto& q, auto& k, auto& x) { return nn::l2_attention_reference(q, k, x); });
    check_distances(c, variant, v, [](auto& q, auto& k, auto& x) { return nn::l2_attention(q, k, x); });
    check_distances(c, variant, v, [](auto& q, auto& k, auto& x) {
      const nn::TwiceDifferentiable twice;
      return nn::l2_attention(q, k, x);
    });
  }
  const auto& layer_config = c.config().at("layer");
  const at::Tensor x = leaf(c.stored("input.layer.x"));  // [B, C, H, W]
  const int64_t channels = x.size(1);
  nn::L2SelfAttention layer(channels, channels, layer_config.at("heads"), true, nn::Init::zeros());
  c.fill(*layer, "layer.");
  const at::Tensor mixed = layer(x.flatten(2).transpose(1, 2)).transpose(1, 2).view(x.sizes());
  const at::Tensor y = x + layer_config.at("gain").get<double>() * mixed;
  c.compare("output.layer.y", y);
  compare_gradients(c, "layer.", y, c.stored("input.layer.cotangent"), named(*layer, {{"x", x}}));
}

void check_cross_attention(Case& c) {
  const at::Tensor mask = c.stored("input.mask").to(at::kBool);
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const std::string in = "input." + variant + ".", prefix = variant + ".";
    nn::CrossAttention layer(c.config().at("channels"), c.config().at("token_dim"),
                             nn::CrossAttentionOptions{.inner = c.config().at("inner"),
                                                       .heads = c.config().at("heads"),
                                                       .logits = v.at("logits"),
                                                       .null = v.at("null")},
                             nn::Init::zeros());
    c.fill(*layer, prefix);
    const at::Tensor x = leaf(c.stored(in + "x")), tokens = leaf(c.stored(in + "tokens"));
    const at::Tensor pixels = x.flatten(2).transpose(1, 2);  // [B, T, C]
    const at::Tensor y = layer(pixels, tokens, mask).transpose(1, 2).reshape(x.sizes());
    c.compare("output." + prefix + "y", y);
    c.compare("output." + prefix + "null_share", layer->null_share(pixels, tokens, mask));
    compare_gradients(c, prefix, y, c.stored(in + "cotangent"), named(*layer, {{"x", x}, {"tokens", tokens}}));
  }
}

// second.x: gradient of |d loss / d x|^2, what a penalty on gradients needs.
at::Tensor second(const at::Tensor& loss, const at::Tensor& x) {
  const at::Tensor grad = torch::autograd::grad({loss}, {x}, {}, true, /*create_graph=*/true)[0];
  return torch::autograd::grad({grad.square().sum()}, {x}, {}, true)[0];
}

void check_fir_resample(Case& c) {
  std::map<std::string, at::Tensor> filters;
  for (const auto& [name, taps] : c.config().at("filters").items()) {
    std::vector<double> values;
    const bool flat = taps[0].is_number();
    for (const auto& row : taps)
      for (const auto& value : flat ? nlohmann::json::array({row}) : row) values.push_back(value);
    const int64_t rows = static_cast<int64_t>(taps.size());
    filters[name] = flat ? at::tensor(values) : at::tensor(values).view({rows, -1});
  }
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const auto& p = v.at("pad");
    const nn::Pads pads{p[0], p[1], p[2], p[3]};
    const std::string in = "input." + variant + ".", out = "output." + variant + ".";
    const auto run = [&](const at::Tensor& x) {
      return nn::upfirdn2d(x, filters.at(v.at("filter")), v.at("up"), v.at("down"), pads, v.at("gain"));
    };
    const at::Tensor x = leaf(c.stored(in + "x"));
    const at::Tensor y = run(x);
    c.compare(out + "y", y);
    compare_gradients(c, variant + ".", y, c.stored(in + "cotangent"), {{"x", x}});
    c.compare(out + "second.x", second(y.pow(3).sum() / 3, x));  // the operation is linear: the cube makes it curved
    const std::map<std::string, at::Tensor (*)(const at::Tensor&)> presets{
        {"up_f1331", nn::upsample2d}, {"down_f1331", nn::downsample2d}, {"filter_f1331", nn::filter2d}};
    for (const auto& [name, preset] : presets)
      if (variant.starts_with(name)) c.compare(out + "y", preset(x));
  }
}

void check_minibatch_std(Case& c) {
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const at::Tensor x = leaf(c.stored("input." + variant + ".x"));
    const at::Tensor& cotangent = c.stored("input." + variant + ".cotangent");
    // The reference's groups are strided: brought together, and back.
    const int64_t n = x.size(0), g = std::min(v.at("group").get<int64_t>(), n);
    const at::Tensor together = at::arange(n).view({g, n / g}).t().flatten();
    const at::Tensor y = nn::minibatch_std(x.index_select(0, together), v.at("group"), v.at("channels"))
                             .index_select(0, together.argsort());
    c.compare("output." + variant + ".y", y);
    compare_gradients(c, variant + ".", y, cotangent, {{"x", x}});
    c.compare("output." + variant + ".second.x", second((y * cotangent).sum(), x));
  }
}

}  // namespace

std::vector<Kind> gigagan_kinds() {
  return {{"modulated_conv", check_modulated_conv}, {"adaptive_conv", check_adaptive_conv},
          {"l2_attention", check_l2_attention},     {"cross_attention", check_cross_attention},
          {"fir_resample", check_fir_resample},     {"minibatch_std", check_minibatch_std}};
}

}  // namespace gigacat::golden
