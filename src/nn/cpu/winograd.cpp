#include "nn/cpu/winograd.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/nn/fused.h"
#include "gigacat/nn/modulated_conv.h"
#include "nn/cpu/fused_kernels.h"
#include "nn/cpu/winograd_kernels.h"

// Letters: B samples, I and O channels in and out, N kernels of the bank, p places of a transformed tile, T tiles of a
// group. A group is what shares a kernel: a sample, or with N = 1 all samples.
namespace gigacat::nn {

extern const WinogradKernels winograd_kernels_baseline_2, winograd_kernels_baseline_4;
#ifdef __x86_64__
extern const FusedKernels kernels_v3, kernels_v4;
extern const WinogradKernels winograd_kernels_v3_2, winograd_kernels_v3_4, winograd_kernels_v4_2, winograd_kernels_v4_4;
#endif

const WinogradKernels& winograd_kernels(int64_t m) {
#ifdef __x86_64__
  if (&fused_kernels() == &kernels_v4) return m == 2 ? winograd_kernels_v4_2 : winograd_kernels_v4_4;
  if (&fused_kernels() == &kernels_v3) return m == 2 ? winograd_kernels_v3_2 : winograd_kernels_v3_4;
#endif
  return m == 2 ? winograd_kernels_baseline_2 : winograd_kernels_baseline_4;
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kOutputsAtOnce = 128;            // whose kernels exist at one time
constexpr int64_t kTileFloats = int64_t{5} << 19;  // of transformed inputs at one time, about

float* at_row(const at::Tensor& t, int64_t row) { return t.data_ptr<float>() + row * t.stride(0); }

// Transformed tiles or kernels as panels [G, p, channels / kLanes, count, kLanes].
class Panels {
 public:
  Panels() = default;
  Panels(int64_t groups, int64_t places, int64_t channels, int64_t count)
      : places_(places),
        blocks_(channels / kLanes),
        count_(count),
        values_(at::empty({groups * place() * places}, at::kFloat)) {}
  // From one panel to the next, and from one place to the next.
  int64_t panel() const { return count_ * kLanes; }
  int64_t place() const {
    return blocks_ * panel() + kLanes;
  }  // no power of two, which would crowd a few lines of a cache
  float* at(int64_t group, int64_t where = 0, int64_t block = 0, int64_t row = 0) const {
    return values_.data_ptr<float>() + (group * places_ + where) * place() + block * panel() + row * kLanes;
  }
  void clear() const { values_.zero_(); }

 private:
  int64_t places_ = 0, blocks_ = 0, count_ = 0;
  at::Tensor values_;
};

// The convolution of some samples, of whose groups the kernels come in pieces of the outputs.
class Pass {
 public:
  Pass(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection, const at::Tensor& scale,
       bool demodulate, int64_t m)
      : kernels_(winograd_kernels(m)),
        m_(m),
        places_((m + 2) * (m + 2)),
        plan_{x.size(2), x.size(3), (x.size(2) + m - 1) / m, (x.size(3) + m - 1) / m},
        tiles_(plan_.tiles_y * plan_.tiles_x),
        samples_(x.size(0)),
        inputs_(bank.size(2)),
        outputs_(bank.size(1)),
        groups_(selection.defined() ? samples_ : 1),
        piece_(std::min(kOutputsAtOnce, outputs_)),
        x_(x),
        bank_(bank),
        selection_(selection.defined() ? selection : at::ones({1, 1})),
        scale_(scale.defined() ? scale : at::ones({samples_, inputs_})),
        energy_(demodulate ? scale_.square() : at::Tensor()),
        tiled_(groups_, places_, inputs_, rows()) {
    if (rows() > own_tiles()) tiled_.clear();  // rows that no tile fills are multiplied, too
    for_planes(inputs_, [&](int64_t s, int64_t i) {
      std::vector<float> scratch(strip());
      kernels_.input(plane(x_, s, i), at_row(scale_, s) + i, plan_, tiles_of(tiled_, s, i), tiled_.place(),
                     scratch.data());
    });
  }

  // y [B, O, H, W] is set, and factor [B, O], which is undefined where nothing is demodulated.
  void forward(const at::Tensor& y, const at::Tensor& factor) {
    const Panels kernel(groups_, places_, piece_, inputs_), product(groups_, places_, piece_, rows());
    for_pieces([&](int64_t first, int64_t count) {
      mix_for_outputs(kernel, first, count, factor);
      for_products(count, [&](int64_t g, int64_t p, int64_t block, int64_t columns) {
        kernels_.multiply({tiled_.at(g, p), kernel.at(g, p, block), product.at(g, p, block), /*rows_along=*/true,
                           tiled_.panel(), kernel.panel(), product.panel(), rows(), inputs_, columns, /*add=*/false});
      });
      for_planes(count, [&](int64_t s, int64_t o) {
        kernels_.output(tiles_of(product, s, o), product.place(), times(factor, s, first + o), plan_,
                        plane(y, s, first + o));
      });
    });
  }

  // Of the gradient dy [B, O, H, W]: dx and dscale [B, I] are set; dbank, as the bank, and dselection [B, N] are added
  // to.
  void backward(const at::Tensor& dy, const at::Tensor& factor, const at::Tensor& dx, const at::Tensor& dbank,
                const at::Tensor& dselection, const at::Tensor& dscale) {
    const Panels dtiled(groups_, places_, inputs_, rows()), dproduct(groups_, places_, piece_, rows());
    const Panels kernel(groups_, places_, inputs_, piece_);  // of these two, the panels are the inputs'
    const Panels dkernel(groups_, places_, inputs_, piece_);
    if (energy_.defined()) denergy_ = at::zeros({groups_, kParts, inputs_});
    if (rows() > own_tiles()) dproduct.clear();
    dselection_ = at::zeros({kParts, groups_, bank_.size(0)});
    for_pieces([&](int64_t first, int64_t count) {
      mix_for_inputs(kernel, first, count);
      for_planes(count, [&](int64_t s, int64_t o) {
        kernels_.output_adjoint(plane(dy, s, first + o), times(factor, s, first + o), plan_, tiles_of(dproduct, s, o),
                                dproduct.place());
      });
      for_products(inputs_, [&](int64_t g, int64_t p, int64_t block, int64_t columns) {
        kernels_.multiply({dproduct.at(g, p), kernel.at(g, p, block), dtiled.at(g, p, block), /*rows_along=*/true,
                           dproduct.panel(), kernel.panel(), dtiled.panel(), rows(), count, columns,
                           /*add=*/first > 0});
        kernels_.multiply({dproduct.at(g, p), tiled_.at(g, p, block), dkernel.at(g, p, block), /*rows_along=*/false,
                           dproduct.panel(), tiled_.panel(), dkernel.panel(), count, own_tiles(), columns,
                           /*add=*/false});
      });
      kernels_backward(dkernel, factor, first, count, dbank);
    });
    for_planes(inputs_, [&](int64_t s, int64_t i) {
      std::vector<float> scratch(strip());
      kernels_.input_adjoint(tiles_of(dtiled, s, i), dtiled.place(), plane(x_, s, i), at_row(scale_, s) + i, plan_,
                             plane(dx, s, i), at_row(dscale, s) + i, scratch.data());
    });
    if (energy_.defined()) dscale.add_(2 * scale_ * denergy_.sum(1));
    if (dselection.defined()) dselection.add_(dselection_.sum(0));
  }

 private:
  static constexpr int64_t kParts = 8;  // of the outputs, whose shares in a sum are added up apart

  size_t strip() const { return static_cast<size_t>((m_ + 2) * (m_ * plan_.tiles_x + 2) * kLanes); }
  int64_t own_tiles() const { return samples_ / groups_ * tiles_; }
  int64_t rows() const { return (own_tiles() + kRows - 1) / kRows * kRows; }
  float* plane(const at::Tensor& t, int64_t s, int64_t channel) const {
    return t.data_ptr<float>() + (s * t.size(1) + channel) * plan_.height * plan_.width;
  }
  float* tiles_of(const Panels& tiles, int64_t s, int64_t channel) const {
    const int64_t within = s % (samples_ / groups_);
    return tiles.at(s / (samples_ / groups_), 0, channel / kLanes, within * tiles_);
  }
  const float* times(const at::Tensor& factor, int64_t s, int64_t output) const {
    static constexpr float kOnes[kLanes] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    return factor.defined() ? at_row(factor, s) + output : kOnes;
  }

  // body(sample, first of kLanes channels)
  template <class Body>
  void for_planes(int64_t channels, const Body& body) const {
    const int64_t blocks = channels / kLanes;
    at::parallel_for(0, samples_ * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) body(at / blocks, at % blocks * kLanes);
    });
  }
  template <class Body>
  void for_pieces(const Body& body) const {
    for (int64_t first = 0; first < outputs_; first += piece_) body(first, std::min(piece_, outputs_ - first));
  }
  // body(group, place, first panel, columns)
  template <class Body>
  void for_products(int64_t columns, const Body& body) const {
    constexpr int64_t at_once = 8;  // panels
    const int64_t panels = columns / kLanes, parts = (panels + at_once - 1) / at_once;
    at::parallel_for(0, groups_ * places_ * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const int64_t block = at % parts * at_once;
        body(at / parts / places_, at / parts % places_, block, std::min(at_once, panels - block) * kLanes);
      }
    });
  }

  const float* kernel_of(int64_t n, int64_t o, int64_t i = 0) const {
    return bank_.const_data_ptr<float>() + ((n * outputs_ + o) * inputs_ + i) * kTaps;
  }
  Mixture mixture(const std::vector<float>& packed, int64_t g) const {
    const int64_t n = bank_.size(0);
    return {packed.data(), std::ssize(packed) / n, n, at_row(selection_, g)};
  }

  // Kernels of the outputs from `first` on, lanes of outputs; their factor where it is defined.
  void mix_for_outputs(const Panels& kernel, int64_t first, int64_t count, const at::Tensor& factor) const {
    constexpr int64_t at_once = 64;  // inputs
    const int64_t size = at_once * kTaps * kLanes, bank = bank_.size(0);
    at::parallel_for(0, count / kLanes, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> packed(static_cast<size_t>(bank * size));
      for (int64_t block = begin; block < end; ++block) {
        std::vector<float> energy(static_cast<size_t>(groups_ * kLanes), 0.0F);
        for (int64_t i = 0; i < inputs_; i += at_once) {
          const int64_t some = std::min(at_once, inputs_ - i);
          for (int64_t n = 0; n < bank; ++n)
            kernels_.pack(kernel_of(n, first + block * kLanes, i), inputs_ * kTaps, kTaps, some,
                          packed.data() + n * size);
          for (int64_t g = 0; g < groups_; ++g)
            kernels_.kernel(mixture(packed, g), some, kernel.at(g, 0, block, i), kernel.place(),
                            energy_.defined() ? at_row(energy_, g) + i : nullptr, energy.data() + g * kLanes);
        }
        for (int64_t l = 0; l < groups_ * kLanes && factor.defined(); ++l)
          at_row(factor, l / kLanes)[first + block * kLanes + l % kLanes] =
              1 / std::sqrt(energy[static_cast<size_t>(l)] + static_cast<float>(kDemodulationEps));
      }
    });
  }

  // The same, lanes of inputs.
  void mix_for_inputs(const Panels& kernel, int64_t first, int64_t count) const {
    const int64_t size = count * kTaps * kLanes, bank = bank_.size(0);
    at::parallel_for(0, inputs_ / kLanes, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> packed(static_cast<size_t>(bank * size));
      for (int64_t block = begin; block < end; ++block) {
        for (int64_t n = 0; n < bank; ++n)
          kernels_.pack(kernel_of(n, first, block * kLanes), kTaps, inputs_ * kTaps, count, packed.data() + n * size);
        for (int64_t g = 0; g < groups_; ++g)
          kernels_.kernel(mixture(packed, g), count, kernel.at(g, 0, block), kernel.place(), nullptr, nullptr);
      }
    });
  }

  void kernels_backward(const Panels& dkernel, const at::Tensor& factor, int64_t first, int64_t count,
                        const at::Tensor& dbank) const {
    const int64_t size = inputs_ * kTaps, bank = bank_.size(0), step = (count + kParts - 1) / kParts;
    at::parallel_for(0, kParts, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> packed(static_cast<size_t>(bank * size)), grad(packed.size()),
          mixed(static_cast<size_t>(size));
      for (int64_t o = begin * step; o < std::min(count, end * step); ++o) {
        const int64_t part = o / step;
        std::fill(grad.begin(), grad.end(), 0.0F);
        for (int64_t n = 0; n < bank; ++n)
          kernels_.pack(kernel_of(n, first + o), kTaps, kLanes * kTaps, inputs_ / kLanes, packed.data() + n * size);
        for (int64_t g = 0; g < groups_; ++g) {
          const bool demodulated = energy_.defined();
          const Mixture own = mixture(packed, g);
          kernels_.kernel_adjoint(dkernel.at(g, 0, 0, o), dkernel.place(), dkernel.panel(), own, inputs_ / kLanes,
                                  demodulated ? at_row(energy_, g) : nullptr,
                                  demodulated ? at_row(factor, g)[first + o] : 0, mixed.data(),
                                  demodulated ? denergy_.data_ptr<float>() + (g * kParts + part) * inputs_ : nullptr);
          kernels_.mixture_adjoint(mixed.data(), own, size, grad.data(),
                                   dselection_.data_ptr<float>() + (part * groups_ + g) * bank);
        }
        for (int64_t n = 0; n < bank; ++n)
          kernels_.unpack(grad.data() + n * size, kTaps, kLanes * kTaps, inputs_ / kLanes,
                          dbank.data_ptr<float>() + (n * outputs_ + first + o) * size);
      }
    });
  }

  const WinogradKernels& kernels_;
  int64_t m_, places_;
  TilePlan plan_;
  int64_t tiles_, samples_, inputs_, outputs_, groups_, piece_;
  at::Tensor x_, bank_, selection_, scale_, energy_;
  Panels tiled_;                     // [G, p, I / kLanes, T, kLanes]
  at::Tensor denergy_, dselection_;  // [G, kParts, I], [kParts, G, N]
};

// body(first, count) of samples whose transformed inputs fit.
template <class Body>
void for_samples(const at::Tensor& x, int64_t m, const Body& body) {
  const int64_t floats = x.numel() / x.size(0) * (m + 2) * (m + 2) / (m * m);
  const int64_t at_once = std::max<int64_t>(1, kTileFloats / floats);
  for (int64_t first = 0; first < x.size(0); first += at_once) body(first, std::min(at_once, x.size(0) - first));
}

at::Tensor some(const at::Tensor& t, int64_t first, int64_t count) {
  return t.defined() ? t.narrow(0, first, count) : t;
}

struct WinogradFunction : public torch::autograd::Function<WinogradFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& bank_in,
                            const std::optional<at::Tensor>& selection_in, const std::optional<at::Tensor>& scale_in,
                            bool demodulate, int64_t m) {
    const auto dense = [](const std::optional<at::Tensor>& t) { return t ? t->contiguous() : at::Tensor(); };
    const at::Tensor x = x_in.contiguous(), bank = bank_in.contiguous();
    const at::Tensor selection = dense(selection_in), scale = dense(scale_in);
    const at::Tensor y = at::empty({x.size(0), bank.size(1), x.size(2), x.size(3)}, x.options());
    const at::Tensor factor = demodulate ? at::empty({x.size(0), bank.size(1)}, x.options()) : at::Tensor();
    for_samples(x, m, [&](int64_t first, int64_t count) {
      Pass(some(x, first, count), bank, some(selection, first, count), some(scale, first, count), demodulate, m)
          .forward(some(y, first, count), some(factor, first, count));
    });
    ctx->save_for_backward({x, bank, selection, scale, factor});
    ctx->saved_data["m"] = m;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    GIGACAT_CHECK(!at::GradMode::is_enabled(), "a convolution by tiles cannot be differentiated again");
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &bank = saved[1], &selection = saved[2], &scale = saved[3], &factor = saved[4];
    const int64_t m = ctx->saved_data["m"].toInt();
    const at::Tensor dy = grads[0].contiguous(), dx = at::empty_like(x), dbank = at::zeros_like(bank);
    const at::Tensor dselection = selection.defined() ? at::zeros_like(selection) : at::Tensor();
    const at::Tensor dscale = at::empty({x.size(0), x.size(1)}, x.options());
    for_samples(x, m, [&](int64_t first, int64_t count) {
      Pass(some(x, first, count), bank, some(selection, first, count), some(scale, first, count), factor.defined(), m)
          .backward(some(dy, first, count), some(factor, first, count), some(dx, first, count), dbank,
                    some(dselection, first, count), some(dscale, first, count));
    });
    return {dx, dbank, dselection, scale.defined() ? dscale : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

int64_t winograd_tile(const at::Tensor& x, int64_t outputs, bool per_sample) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || TwiceDifferentiable::active()) return 0;
  if (at::autocast::is_autocast_enabled(at::kCPU) || x.size(1) % kLanes != 0 || outputs % kLanes != 0) return 0;
  const int64_t channels = std::min(x.size(1), outputs), shared = per_sample ? 1 : x.size(0);
  const auto tiles = [&](int64_t m) { return shared * ((x.size(2) + m - 1) / m) * ((x.size(3) + m - 1) / m); };
  // Few tiles do not pay for the transforms of the kernels, which are larger for 4 than for 2.
  if (channels >= 64 && tiles(4) >= 64) return 4;
  if (per_sample) return tiles(2) >= 64 && channels >= 128 ? 2 : tiles(2) >= 16 && channels >= 256 ? 2 : 0;
  return channels >= 64 && tiles(2) >= 32 ? 2 : 0;
}

at::Tensor winograd_conv(const at::Tensor& x, const at::Tensor& bank, const at::Tensor& selection,
                         const at::Tensor& scale, bool demodulate, int64_t tile) {
  GIGACAT_CHECK(
      (tile == 2 || tile == 4) && bank.size(3) == 3 && (selection.defined() || (bank.size(0) == 1 && !demodulate)),
      "tile ", tile, ", bank ", bank.sizes(), ", demodulated ", demodulate);
  const auto given = [](const at::Tensor& t) { return t.defined() ? std::optional(t) : std::nullopt; };
  return WinogradFunction::apply(x, bank, given(selection), given(scale), demodulate, tile);
}

}  // namespace gigacat::nn
