#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "gigacat/models/aura_sr/network.h"
#include "golden/kinds.h"
#include "upsample/tiling.h"

namespace gigacat::golden {
namespace {

// The case's rule: relative L2 error, and single values within a share of the largest magnitude.
void compare_l2(Case& c, const std::string& output, const at::Tensor& computed) {
  const at::Tensor expected = c.stored(output).to(at::kDouble);
  const at::Tensor off = computed.detach().to(at::kDouble).reshape(expected.sizes()) - expected;
  c.judge(output, off.norm().item<double>(), c.tolerance("rel_l2") * expected.norm().item<double>());
  c.judge(output, off.abs().max().item<double>(), c.tolerance("abs") * expected.abs().max().item<double>());
}

// A part's output as the case keeps it: about 64 values, and norm, mean, largest magnitude.
void compare_part(Case& c, const std::string& part, const at::Tensor& output) {
  const std::string name = "output.probe." + part;
  if (!c.has(name + ".sample")) return;
  const at::Tensor flat = output.contiguous().flatten();
  compare_l2(c, name + ".sample",
             flat.slice(0, 0, std::nullopt, std::max<int64_t>(1, flat.numel() / 64)).slice(0, 0, 64));
  const at::Tensor wide = flat.to(at::kDouble);
  compare_l2(c, name + ".stats", at::stack({wide.norm(), wide.mean(), wide.abs().max()}));
}

// The image whole, or of a large one every fourth pixel and a part.
void compare_rgb(Case& c, const at::Tensor& rgb) {
  if (c.has("output.rgb")) return compare_l2(c, "output.rgb", rgb);
  compare_l2(c, "output.rgb.strided", rgb.slice(2, 0, std::nullopt, 4).slice(3, 0, std::nullopt, 4));
  compare_l2(c, "output.rgb.crop", rgb.slice(2, 100, 132).slice(3, 124, 156));
}

void check_aura_sr(Case& c) {
  const at::NoGradGuard no_grad;
  models::aura_sr::AuraSr network(models::aura_sr::AuraSrConfig::parse(c.config().at("constructor").dump(), c.name()));
  c.fill(*network);
  c.check_all_used();
  network->probe = [&](const std::string& part, const at::Tensor& output) { compare_part(c, part, output); };
  const at::Tensor image = c.stored("input.lowres"), noise = c.stored("input.noise"), z = c.stored("input.z");
  const at::Tensor rgb = network->forward(image, noise, z);
  compare_rgb(c, rgb);

  // The same with each sample's latent folded in.
  network->probe = nullptr;
  std::vector<at::Tensor> folded;
  for (int64_t i = 0; i < z.size(0); ++i) {
    network->fold(z.narrow(0, i, 1));
    folded.push_back(network->forward(image.narrow(0, i, 1), noise.narrow(0, i, 1)));
  }
  compare_rgb(c, at::cat(folded));
}

// In place of the network: differs with the place in the tile, so that misplaced tiles show.
at::Tensor stub(const at::Tensor& tiles, int64_t scale) {
  const int64_t side = tiles.size(2) * scale;
  const at::Tensor r = at::arange(side, at::kFloat) / static_cast<double>(side - 1);
  const at::Tensor channel = at::arange(3, at::kFloat).view({3, 1, 1});
  return 1.1 * at::upsample_nearest2d(tiles, {side, side}) - 0.1 + 0.2 * r.unsqueeze(1) - 0.1 * r + 0.02 * channel;
}

// Weights [4t, 4t] repeated over [rows, columns], from `shift` on.
at::Tensor repeated(const at::Tensor& weights, int64_t rows, int64_t columns, int64_t shift) {
  const int64_t side = weights.size(0);
  return weights.repeat({rows / side + 1, columns / side + 1}).narrow(0, shift, rows).narrow(1, shift, columns);
}

void check_tiling(Case& c) {
  const int64_t tile = c.config().at("tile"), scale = c.config().at("scale");
  const at::Tensor weights = upsample::checkerboard_weights(tile * scale);
  c.compare("output.weight_tile", weights);
  for (const auto& [name, size] : c.config().at("images").items()) {
    const at::Tensor image = c.stored("input." + name);
    const auto upscaled = [&](const std::string& blend) {
      std::vector<at::Tensor> rows;
      const int64_t batch = c.config().at("max_batch_size");
      upsample::upscale(
          image, {.tile = tile, .scale = scale, .blend = blend, .overlap = 0, .batch = batch},
          [&](const at::Tensor& tiles) { return stub(tiles, scale); },
          [&](const at::Tensor& part) { rows.push_back(part.clone()); });
      return at::cat(rows, 1);
    };
    const std::string out = "output." + name;
    c.compare(out + ".plain", upscaled("plain"));
    const at::Tensor mixed = upscaled("checkerboard");
    c.compare(out + ".checkboard", mixed);
    c.compare(out + ".constant", upscaled("even"));
    const at::Tensor bytes = (mixed * 255).floor();  // the reference truncates
    c.judge(out + ".checkboard_u8", (bytes - c.stored(out + ".checkboard_u8")).abs().max().item<double>(),
            c.tolerance("u8"));
    const at::IntArrayRef padded = c.stored(out + ".share_aligned").sizes();
    const at::Tensor aligned = repeated(weights, padded[0], padded[1], 0),
                     offset = repeated(weights, padded[0], padded[1], weights.size(0) / 2);
    c.compare(out + ".share_aligned", aligned / (aligned + offset));
  }
}

}  // namespace

std::vector<Kind> upsampler_kinds() { return {{"aura_sr", check_aura_sr}, {"aura_sr_tiling", check_tiling, kOnHost}}; }

}  // namespace gigacat::golden
