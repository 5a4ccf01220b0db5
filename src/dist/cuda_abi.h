// What libgigacat_cuda.so exports, looked up by name because nothing links it.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <cstdint>

namespace at {
class Tensor;
}
namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace gigacat::device {
struct Fir;
}
namespace gigacat::nn {
struct RowPasses;
}

namespace gigacat::cuda_abi {

// `gigacat_make_nccl_group`: a ProcessGroupNCCL. Errors: c10::Error.
using MakeNcclGroup = c10::intrusive_ptr<c10d::Backend>(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                        int size, int64_t timeout_ms);

// `gigacat_fill_normal`, `gigacat_fill_uniform`: values of the stream `key` in `step` for each of positions [B] (int64)
// into out [B, per_sample] (float32, contiguous), on the current CUDA stream. Errors: c10::Error.
using FillRandom = void(uint64_t key, uint64_t step, const at::Tensor& positions, at::Tensor& out);

// `gigacat_fir`: from [B, C, H, W] filtered into to [B, C, R, S], both contiguous, of one type (float32, float16,
// bfloat16) and one GPU, on the current CUDA stream. Errors: c10::Error.
using RunFir = void(const device::Fir& fir, const at::Tensor& from, at::Tensor& to);

// `gigacat_row_passes`: those of nn/row_passes.h, on the current CUDA stream.
using FindRowPasses = const nn::RowPasses&();

}  // namespace gigacat::cuda_abi
