// For functions that nvcc compiles for the GPU and any compiler for the CPU.
#pragma once

#ifdef __CUDACC__
#define GIGACAT_BOTH __host__ __device__ inline
#else
#define GIGACAT_BOTH inline
#endif
