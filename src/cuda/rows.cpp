#include "cuda/rows.h"

#include "cuda/launch.h"
#include "dist/cuda_abi.h"

namespace gigacat {
namespace {

using nn::QkTables;
using nn::Rows;

constexpr const char* kWhat = "a pass over rows";

// A kernel's thread reads kGpuLanes values at once.
void check(const at::Tensor& t) {
  const auto at = reinterpret_cast<uintptr_t>(t.const_data_ptr());
  TORCH_CHECK(t.is_cuda() && t.is_contiguous() && at % (nn::kGpuLanes * t.element_size()) == 0, "rows of ", t.sizes(),
              " on ", t.device());
}

device::In in(const at::Tensor& t) {
  check(t);
  return {t.const_data_ptr(), device::type_of(t)};
}

device::Out out(const at::Tensor& t) {
  check(t);
  return {t.mutable_data_ptr(), device::type_of(t)};
}

const float* floats(const at::Tensor& t) {
  if (!t.defined()) return nullptr;
  check(t);
  return t.const_data_ptr<float>();
}

float* floats_out(const at::Tensor& t) {
  if (!t.defined() || t.numel() == 0) return nullptr;
  check(t);
  return t.mutable_data_ptr<float>();
}

Rows rows_of(const at::Tensor& x, const at::Tensor& vectors) {
  return nn::rows_of(x.numel(), vectors.numel(), x.size(-1));
}

void rms(const at::Tensor& x, const at::Tensor& w, double plus, double eps, const at::Tensor& y, const at::Tensor& r) {
  device::launch(kWhat, x, device::rms, rows_of(x, w), in(x), floats(w), static_cast<float>(plus),
                 static_cast<float>(eps), out(y), floats_out(r));
}

void rms_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w, double plus, const at::Tensor& r,
                  const at::Tensor& dx, const at::Tensor& partials) {
  device::launch(kWhat, x, device::rms_backward, rows_of(x, w), in(dy), in(x), floats(w), static_cast<float>(plus),
                 floats(r), out(dx), floats_out(partials));
}

void gate(const at::Tensor& x, const at::Tensor& g, const at::Tensor& y, const at::Tensor& to) {
  device::launch(kWhat, x, device::gate, rows_of(x, g), in(x), floats(g), in(y), out(to));
}

void gate_backward(const at::Tensor& dout, const at::Tensor& g, const at::Tensor& y, const at::Tensor& dy,
                   const at::Tensor& partials) {
  device::launch(kWhat, y, device::gate_backward, rows_of(y, g), in(dout), floats(g), in(y), out(dy),
                 floats_out(partials));
}

void swiglu(const at::Tensor& x, const at::Tensor& h) {
  device::launch(kWhat, x, device::swiglu, h.numel() / h.size(-1), h.size(-1), in(x), out(h));
}

void swiglu_backward(const at::Tensor& dh, const at::Tensor& x, const at::Tensor& dx) {
  device::launch(kWhat, x, device::swiglu_backward, dh.numel() / dh.size(-1), dh.size(-1), in(dh), in(x), out(dx));
}

device::Heads heads_of(const at::Tensor& qkv, const QkTables& how) {
  return {qkv.size(0) * qkv.size(1),
          qkv.size(1),
          qkv.size(3),
          qkv.size(4),
          {floats(how.q_weight), floats(how.k_weight)},
          floats(how.cos),
          floats(how.sin),
          static_cast<float>(how.eps)};
}

void rotate(const at::Tensor& qkv, const QkTables& how, const at::Tensor& q, const at::Tensor& k,
            const at::Tensor& scales) {
  device::launch(kWhat, qkv, device::rotate, heads_of(qkv, how), in(qkv), out(q), out(k), floats_out(scales));
}

void rotate_backward(const at::Tensor& qkv, const QkTables& how, const at::Tensor& scales, const at::Tensor& dq,
                     const at::Tensor& dk, const at::Tensor& dqkv, const at::Tensor& partials) {
  device::launch(kWhat, qkv, device::rotate_backward, heads_of(qkv, how), in(qkv), floats(scales), in(dq), in(dk),
                 out(dqkv), floats_out(partials));
}

constexpr nn::RowPasses kOnGpu{rms,    rms_backward,    gate,   gate_backward,
                               swiglu, swiglu_backward, rotate, rotate_backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const nn::RowPasses& gigacat_row_passes() { return kOnGpu; }

static_assert(std::is_same_v<decltype(gigacat_row_passes), cuda_abi::FindRowPasses>);

}  // namespace gigacat
