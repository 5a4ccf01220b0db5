// GigaGAN's networks, losses, sizes and edits against their definitions.
#include <ATen/ATen.h>

#include "gigacat/core/error.h"
#include "gigacat/losses/text_image.h"
#include "gigacat/models/gigagan/discriminator.h"
#include "gigacat/models/gigagan/generator.h"
#include "gigacat/models/gigagan/upsampler.h"
#include "gigacat/models/style.h"
#include "gigacat/nn/fused.h"
#include "gigacat/nn/resample.h"
#include "golden/gradients.h"
#include "golden/kinds.h"

namespace gigacat::golden {

namespace gigagan = models::gigagan;

namespace {

void check_mapping(Case& c) {
  for (const auto& [variant, v] : c.config().at("variants").items()) {
    const std::string in = "input." + variant + ".", prefix = variant + ".";
    const int64_t t_width = v.at("t");
    gigagan::Mapping mapping(v.at("z"), t_width, v.at("w"), v.at("layers"), v.at("lr_mult"), nn::Init::zeros());
    c.fill(*mapping, prefix);
    const at::Tensor z = leaf(c.stored(in + "z")), t = t_width > 0 ? leaf(c.stored(in + "t")) : at::Tensor();
    const at::Tensor w = mapping(z, t);
    c.compare("output." + prefix + "w", w);
    Named inputs = named(*mapping, {{"z", z}});
    if (t_width > 0) inputs["t"] = t;
    compare_gradients(c, prefix, w, c.stored(in + "cotangent"), inputs);
    c.compare("output." + prefix + "w_avg",
              gigagan::moved_mean(c.stored(in + "w_avg"), w.detach(), c.config().at("w_avg_beta")));
  }
}

void check_rgb_pyramid(Case& c) {
  const at::Tensor w = leaf(c.stored("input.w"));
  Named inputs{{"w", w}};
  at::Tensor image, sum;
  for (const int64_t r : {4, 8, 16, 32}) {
    const std::string at_r = std::to_string(r), prefix = "rgb" + at_r + ".";
    const at::Tensor f = leaf(c.stored("input.f" + at_r));
    nn::ModulatedLinear rgb(f.size(1), 3, w.size(1), false, nn::Init::zeros());
    c.fill(*rgb, prefix);
    image = gigagan::add_level(rgb(f, w), image);
    c.compare("output.image" + at_r, image);
    const at::Tensor part = (image * c.stored("input.cotangent" + at_r)).sum();
    sum = sum.defined() ? sum + part : part;
    inputs["f" + at_r] = f;
    for (const auto& item : rgb->named_parameters()) inputs[prefix + item.key()] = item.value();
  }
  compare_gradients(c, "", sum, at::ones({}), inputs);
}

// The case's sizes as our config.
gigagan::GeneratorConfig generator_config(const nlohmann::json& json) {
  auto config = config::defaults<gigagan::GeneratorConfig>();
  config.z_dim = json.at("z_dim");
  config.w_dim = json.at("w_dim");
  config.mapping_layers = json.at("mapping_layers");
  config.channel_base = json.at("channel_base");
  config.channel_max = json.at("channel_max");
  config.blocks = json.at("blocks").get<std::vector<int64_t>>();
  config.bank = json.at("filters").get<std::vector<int64_t>>();
  config.attention = json.at("attn_depth").get<std::vector<int64_t>>();
  config.attention_ff = json.at("attn_ff");
  config.tied = json.at("tied_qk");
  return config;
}

// The table's upsampler, 64 -> 512 px with text; norms' gains are left out of it.
void check_upsampler_table(Case& c, const std::string& name) {
  const nlohmann::json &sizes = c.config().at(name).at("config"), &counts = c.config().at(name).at("parameters");
  auto config = config::defaults<gigagan::UpsamplerConfig>();
  config.z_dim = sizes.at("z_dim");
  config.w_dim = sizes.at("w_dim");
  config.channel_base = sizes.at("channel_base");
  config.channel_max = sizes.at("channel_max");
  auto text = config::defaults<gigagan::TextConfig>();
  text.width = sizes.at("text_dim");
  text.layers = sizes.at("text_layers");
  text.features = text.width;
  const gigagan::Upsampler upsampler(config, text, sizes.at("input"), 8, nn::Init::zeros());
  const std::string output = "output." + name + ".millions";
  int64_t gains = 0;
  const auto check = [&](const std::string& child, const std::string& part) {
    int64_t wanted = 0, found = 0;
    for (const auto& [key, number] : counts.at(part).items()) wanted += number.get<int64_t>();
    for (const auto& item : upsampler->named_children()[child]->named_parameters()) {
      const bool is_gain = item.key().find("norm") != std::string::npos;
      (is_gain ? gains : found) += item.value().numel();
    }
    c.judge(output, static_cast<double>(std::abs(found - wanted)), 0);
  };
  for (int i = 0; i < 3; ++i) check(cat("down", i), cat("down", 64 >> i, "to", 32 >> i));
  check("mid", "attn8");
  for (int i = 0; i < 6; ++i) check(cat("up", i), cat("up", 8 << i, "to", 16 << i));
  const double total = static_cast<double>(nn::count_elements(upsampler->parameters()) - gains);
  c.compare(output, at::tensor({total / 1e6}));
  if (name == "upsampler") c.judge(output, std::abs(total / c.config().at(name).at("paper").get<double>() - 1), 0.01);
}

void check_param_table(Case& c) {
  for (const std::string name : {"base", "base_small"}) {
    const nlohmann::json &sizes = c.config().at(name).at("config"), &counts = c.config().at(name).at("parameters");
    const gigagan::GeneratorConfig config = generator_config(sizes);
    auto text = config::defaults<gigagan::TextConfig>();
    text.width = sizes.at("text_dim");
    text.layers = sizes.at("text_layers");
    text.features = text.width;
    const gigagan::Generator generator(config, text, models::ImageShape{3, 64, 64, 1}, nn::Init::zeros());
    const std::string output = "output." + name + ".millions";
    const auto check = [&](const std::string& child, int64_t wanted) {
      const int64_t found = nn::count_elements(generator->named_children()[child]->parameters());
      c.judge(output, static_cast<double>(std::abs(found - wanted)), 0);
    };
    check("mapping", counts.at("mapping"));
    check("text", counts.at("text"));
    int64_t gains = 0;
    for (size_t place = 0; place < config.attention.size(); ++place) {
      const int64_t r = int64_t{4} << place;
      int64_t wanted = config.attention[place] * 2 * config.channels(r);  // norms' gains, which the table leaves out
      gains += wanted;
      for (const auto& [part, number] : counts.at(std::to_string(r)).items()) wanted += number.get<int64_t>();
      check(cat("b", r), wanted);
    }
    const double total = static_cast<double>(nn::count_elements(generator->parameters()) - gains);
    c.compare(output, at::tensor({total / 1e6}));
    if (name == "base") c.judge(output, std::abs(total / c.config().at(name).at("paper").get<double>() - 1), 0.01);
  }
  for (const char* name : {"upsampler", "upsampler_small"}) check_upsampler_table(c, name);
}

// The trunk that the case puts under the predictions: shared 1 x 1 layers and mean pooling.
struct Stub : torch::nn::Module {
  Stub(Case& c, int64_t count, int64_t width, int64_t text) : levels(count) {
    for (int64_t i = 0; i < levels; ++i) rgb.push_back(conv(c, cat("from_rgb", i), 3, width));
    for (int64_t j = 1; j <= levels; ++j) {
      trunk.push_back(conv(c, cat("trunk", j), width, width));
      heads.push_back(register_module(cat("head", j), gigagan::PredictionHead(width, text, 4, nn::Init::zeros())));
      c.fill(*heads.back()->psi, cat("psi", j, "."));
      c.fill(*heads.back()->uncond, cat("uncond", j, "."));
    }
  }
  nn::EqualizedConv conv(Case& c, const std::string& name, int64_t in, int64_t out) {
    auto made = register_module(name, nn::EqualizedConv(in, out, 1, nn::Init::zeros()));
    c.fill(*made, name + ".");
    return made;
  }
  // Predictions on each level's images [B, 3, r, r], finest first, in the order of the pairs.
  std::vector<at::Tensor> judge(const std::vector<at::Tensor>& pyramid, const at::Tensor& t) {
    std::vector<at::Tensor> logits;
    for (int64_t i = 0; i < levels; ++i) {
      at::Tensor f = nn::leaky_relu(rgb[static_cast<size_t>(i)](pyramid[static_cast<size_t>(i)]));
      for (int64_t j = i + 1; j <= levels; ++j) {
        f = nn::leaky_relu(trunk[static_cast<size_t>(j - 1)](f));
        f = j < levels ? at::avg_pool2d(f, 2) : f.mean({2, 3}, /*keepdim=*/true);
        logits.push_back(heads[static_cast<size_t>(j - 1)](f, t));
      }
    }
    return logits;
  }
  int64_t levels;
  std::vector<nn::EqualizedConv> rgb, trunk;
  std::vector<gigagan::PredictionHead> heads;
};

// A parameter's name in the case: "head3.psi.1.weight" is "psi3.1.weight".
std::string case_name(const std::string& name) {
  if (!name.starts_with("head")) return name;
  const size_t dot = name.find('.'), next = name.find('.', dot + 1);
  return name.substr(dot + 1, next - dot - 1) + name.substr(4, dot - 4) + name.substr(next);
}

void check_predictions(Case& c) {
  const int64_t levels = c.config().at("levels"), width = c.config().at("stub_channels"),
                text = c.config().at("text_dim");
  Stub stub(c, levels, width, text);
  const auto pairs = gigagan::prediction_pairs(levels, true);
  at::Tensor stored_pairs = at::empty({std::ssize(pairs), 2});
  for (size_t p = 0; p < pairs.size(); ++p) {
    stored_pairs[static_cast<int64_t>(p)][0] = pairs[p].first;
    stored_pairs[static_cast<int64_t>(p)][1] = pairs[p].second;
  }
  c.compare("output.pairs", stored_pairs);
  std::vector<at::Tensor> real, fake;
  for (int64_t i = 0; i < levels; ++i) {
    real.push_back(c.stored(cat("input.real", i)));
    fake.push_back(leaf(c.stored(cat("input.fake", i))));
  }
  const at::Tensor& t = c.stored("input.t");
  const at::Tensor t_hat = t.index_select(0, c.labels("input.mismatch")), all = at::ones({t.size(0)}, t.options());
  const auto on_real = stub.judge(real, t), on_fake = stub.judge(fake, t);
  const auto real_mis = stub.judge(real, t_hat), fake_mis = stub.judge(fake, t_hat);
  std::vector<at::Tensor> d_gan, g_gan, d_match, g_minimised, g_adversarial;
  for (size_t p = 0; p < pairs.size(); ++p) {
    const std::string at_pair = cat(pairs[p].first, "_", pairs[p].second);
    c.compare("output.logits.real." + at_pair, on_real[p]);
    c.compare("output.logits.fake." + at_pair, on_fake[p]);
    c.compare("output.logits.real_mis." + at_pair, real_mis[p]);
    c.compare("output.logits.fake_mis." + at_pair, fake_mis[p]);
    d_gan.push_back(losses::logistic_discriminator(on_real[p], on_fake[p]));
    g_gan.push_back(losses::logistic_generator(on_fake[p]));
    g_minimised.push_back(losses::logistic_mismatch(fake_mis[p], all));
    g_adversarial.push_back(losses::logistic_mismatch(-fake_mis[p], all));
    d_match.push_back(losses::logistic_mismatch(real_mis[p], all) + g_minimised.back());
  }
  const at::Tensor d = at::stack(d_gan), g = at::stack(g_gan), match = at::stack(d_match);
  c.compare("output.d_gan", d);
  c.compare("output.g_gan", g);
  c.compare("output.d_match", match);
  c.compare("output.g_match_minimised", at::stack(g_minimised));
  c.compare("output.g_match_adversarial", at::stack(g_adversarial));
  c.compare("output.totals_sum", at::stack({d.sum(), g.sum(), match.sum()}));
  c.compare("output.totals_mean", at::stack({d.mean(), g.mean(), match.mean()}));
  Named weights, images;
  for (const auto& item : stub.named_parameters()) weights["d." + case_name(item.key())] = item.value();
  for (int64_t i = 0; i < levels; ++i) images[cat("g.fake", i)] = fake[static_cast<size_t>(i)];
  compare_gradients(c, "", (d + match).mean(), at::ones({}), weights);
  compare_gradients(c, "", g.mean(), at::ones({}), images);
}

void check_derangements(Case& c) {
  const at::Tensor captions = c.labels("input.captions").cpu(), orders = c.labels("input.permutations").cpu();
  std::vector<std::string> names;
  for (int64_t i = 0; i < captions.size(0); ++i) names.push_back(std::to_string(captions[i].item<int64_t>()));
  at::Tensor verdict = at::zeros({orders.size(0)});
  for (int64_t p = 0; p < orders.size(0); ++p) {
    const int64_t* row = orders[p].contiguous().data_ptr<int64_t>();
    verdict[p] = losses::is_derangement(names, std::vector<int64_t>(row, row + names.size())) ? 1 : 0;
  }
  c.compare("output.derangement", verdict);
}

void check_small_losses(Case& c) {
  const at::Tensor logits = leaf(c.stored("input.loss.logits"));
  const at::Tensor loss = losses::logistic_mismatch(logits, at::ones({logits.size(0)}, c.device()));
  c.compare("output.loss.softplus", at::softplus(logits));
  c.compare("output.loss.softplus_neg", at::softplus(-logits));
  c.compare("output.loss.grad", torch::autograd::grad({loss * logits.numel()}, {logits})[0]);

  const at::Tensor image = leaf(c.stored("input.clip.image")), text = leaf(c.stored("input.clip.text"));
  const int64_t first = c.config().at("clip_rank").get<int64_t>() * image.size(0);
  const double scale = c.config().at("clip_scale");
  const at::Tensor gathered = losses::clip_contrastive(image, text, first, scale);
  c.compare("output.clip.loss_local",
            losses::clip_contrastive(image, text.narrow(0, 0, image.size(0)), 0, scale).view({1}));
  c.compare("output.clip.loss_gathered", gathered.view({1}));
  compare_gradients(c, "clip.", gathered, at::ones({}), {{"image", image}, {"text", text}});
}

void check_r1(Case& c) {
  struct Net : torch::nn::Module {
    nn::EqualizedConv conv0{nullptr}, conv1{nullptr};
    nn::EqualizedLinear head{nullptr};
  } net;
  const int64_t width = c.config().at("stub_channels");
  net.conv0 = net.register_module("conv0", nn::EqualizedConv(3, width, 3, nn::Init::zeros()));
  net.conv1 = net.register_module("conv1", nn::EqualizedConv(width, width, 3, nn::Init::zeros()));
  net.head = net.register_module("head", nn::EqualizedLinear(width, 1, nn::Init::zeros()));
  c.fill(net, "r1.");
  const nn::TwiceDifferentiable twice;
  const at::Tensor x = leaf(c.stored("input.r1.x"));
  const at::Tensor f = nn::leaky_relu(net.conv1(nn::downsample2d(nn::leaky_relu(net.conv0(x)))));
  const at::Tensor logits = net.head(f.mean({2, 3}));  // [B, 1]
  const at::Tensor penalty = losses::gradient_penalty(logits.squeeze(1), x);
  const at::Tensor loss = c.config().at("gamma").get<double>() / 2 * penalty.mean();
  c.compare("output.r1.logits", logits);
  c.compare("output.r1.image_grad", torch::autograd::grad({logits.sum()}, {x}, {}, true)[0]);
  c.compare("output.r1.penalty", penalty);
  c.compare("output.r1.loss", loss.view({1}));
  Named weights = named(net, {});
  c.compare("output.r1.grad.head.bias", at::zeros({1}));  // it moves no gradient of the image
  weights.erase("head.bias");
  weights.erase("conv0.bias");
  weights.erase("conv1.bias");
  for (const char* bias : {"output.r1.grad.conv0.bias", "output.r1.grad.conv1.bias"})
    c.compare(bias, at::zeros({width}));
  compare_gradients(c, "r1.", loss, at::ones({}), weights);
}

void check_vision(Case& c) {
  const at::Tensor& t = c.stored("input.vis.t");
  const int64_t layers = c.config().at("vision_layers");
  at::Tensor d, g;
  Named fakes;
  for (int64_t l = 0; l < layers; ++l) {
    const at::Tensor real = c.stored(cat("input.vis.real", l)), fake = leaf(c.stored(cat("input.vis.fake", l)));
    gigagan::VisionHead head(real.size(1), 5, t.size(1), nn::Init::zeros());
    c.fill(*head, cat("vis", l, "."));
    const at::Tensor on_real = head(real, t), on_fake = head(fake, t);
    c.compare(cat("output.vis.logits_real", l), on_real);
    c.compare(cat("output.vis.logits_fake", l), on_fake);
    const at::Tensor d_part = losses::logistic_discriminator(on_real, on_fake) / static_cast<double>(layers);
    const at::Tensor g_part = losses::logistic_generator(on_fake) / static_cast<double>(layers);
    d = d.defined() ? d + d_part : d_part;
    g = g.defined() ? g + g_part : g_part;
    fakes[cat("fake", l)] = fake;
  }
  c.compare("output.vis.d_loss", d.view({1}));
  c.compare("output.vis.g_loss", g.view({1}));
  compare_gradients(c, "vis.", g, at::ones({}), fakes);
}

void check_msio(Case& c) {
  check_predictions(c);
  check_derangements(c);
  check_small_losses(c);
  check_r1(c);
  check_vision(c);
  c.check_all_used();
}

void check_applications(Case& c) {
  using models::Style;
  const int64_t layers = c.config().at("layers");
  gigagan::Mapping mapping(c.config().at("z_dim"), c.config().at("text_dim"), c.config().at("w_dim"), 2, 1,
                           nn::Init::zeros());
  c.fill(*mapping);
  const at::NoGradGuard no_grad;
  const auto map = [&](const at::Tensor& z, const at::Tensor& t) { return mapping(z, t.expand({z.size(0), -1})); };
  const at::Tensor &t_a = c.stored("input.t_global_a"), &t_b = c.stored("input.t_global_b"), &z = c.stored("input.z");
  const at::Tensor w_a = map(z, t_a), w_b = map(z, t_b);
  c.compare("output.w_a", w_a);
  c.compare("output.w_b", w_b);
  const auto told = [&](const at::Tensor& w, const char* tokens) {
    const at::Tensor local = c.stored(tokens).unsqueeze(0);
    return Style::of(w, local, at::ones(local.sizes().slice(0, 2), local.options().dtype(at::kBool)));
  };
  const Style a = told(w_a, "input.t_local_a"), b = told(w_b, "input.t_local_b");
  const Style rows = Style::of(map(c.stored("input.z_rows"), t_a)),
              columns = Style::of(map(c.stored("input.z_cols"), t_a));
  for (const int64_t crossover : c.config().at("crossovers")) {
    const std::string end = cat(".c", crossover);
    c.compare("output.style_grid" + end, models::style_grid(rows, columns, layers, crossover).w);
    const Style mixed = models::mix(a, b, layers, crossover);
    c.compare("output.prompt_mix.w" + end, mixed.w);
    c.compare("output.prompt_mix.t_local" + end, mixed.text);
    const Style which = models::mix(Style::of(at::zeros({1, 1})), Style::of(at::ones({1, 1})), layers, crossover);
    c.compare("output.prompt_mix.which" + end, which.w);
  }
  std::vector<at::Tensor> w, local, of_t;
  for (const double alpha : c.config().at("alphas")) {
    const Style between = models::interpolate(a, b, alpha);
    w.push_back(between.w_of(0));
    local.push_back(between.text_of(0));
    of_t.push_back(map(z, t_a + (t_b - t_a) * alpha));
  }
  c.compare("output.interp.w", at::cat(w));
  c.compare("output.interp.t_local", at::cat(local));
  c.compare("output.interp.w_of_t", at::cat(of_t));
  const at::Tensor mean = map(c.stored("input.z_many"), t_a).mean(0, true);
  c.compare("output.trunc.w_mean_c", mean);
  std::vector<at::Tensor> truncated;
  for (const double psi : c.config().at("psis"))
    truncated.push_back(models::truncate(w_a, c.stored("input.w_avg"), mean, psi));
  c.compare("output.trunc.w", at::cat(truncated));
}

}  // namespace

std::vector<Kind> gigagan_model_kinds() {
  return {{"mapping", check_mapping},
          {"rgb_pyramid", check_rgb_pyramid},
          {"gigagan_param_table", check_param_table},
          {"msio", check_msio},
          {"applications", check_applications}};
}

}  // namespace gigacat::golden
