// What the launchers of kernels share; no tensors here.
#pragma once

#include <cstdint>

namespace gigacat::device {

// Of the values that a kernel reads or writes.
enum class Type { f32, f16, bf16 };

// Blocks for so many pieces of work, each block taking `per_block` at once; kernels stride over what is beyond the
// most.
inline unsigned blocks_for(int64_t pieces, int64_t per_block) {
  constexpr int64_t kMost = 65535;
  const int64_t wanted = (pieces + per_block - 1) / per_block;
  return static_cast<unsigned>(wanted < kMost ? wanted : kMost);
}

}  // namespace gigacat::device
