// The device a rank computes on, and the CUDA module that is loaded only when there is a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace gigacat::dist {

// "auto", "cpu", "cuda", "cuda:1". auto and cuda: this rank's GPU; auto takes the CPU when there is none. Loads
// libtorch_cuda and libgigacat_cuda when a GPU is used and makes it the current one; call it before the first backward,
// because LibTorch counts its devices then. Products and convolutions of float32 are then computed in float32, not in
// TF32. Errors: UsageError when the device cannot be had, with the reason.
at::Device choose_device(const std::string& name, int local_rank);

// A tensor of the host, of any shape, on the device; a GPU that still computes is not waited for.
at::Tensor send(const at::Tensor& host, at::Device device);

// Number of GPUs that the driver shows, without loading CUDA libraries; 0 when there is no driver.
int visible_gpus();

// PCI address of a GPU, as "0000:3b:00.0"; "" when the driver does not say.
std::string gpu_address(at::Device device);

// Why CUDA cannot be used here, or "".
std::string cuda_problem();

// Loads libtorch_cuda.so and libgigacat_cuda.so once. Errors: Error with dlopen's reason.
void load_cuda_module();

// True once load_cuda_module has succeeded.
bool cuda_loaded();

// Symbol of the CUDA module. Errors: Error when it is not loaded or has no such symbol.
void* cuda_symbol(const char* name);

}  // namespace gigacat::dist
