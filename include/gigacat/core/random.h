// Randomness as a pure function: named counter-based streams.
//
// Every draw of a run is Philox-4x32-10 keyed by hash(seed, purpose) at a counter (step, sample, position). Nothing
// hidden is advanced, so that a resumed run, another rank count or another order of evaluation gives the same values.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace gigacat {

// FNV-1a, 64 bits.
uint64_t fnv1a64(std::string_view text);

// Four 32-bit words of Philox-4x32-10 for a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t key);

// The stream of one purpose ("z", "d.aug.fake.colour", "data.order", ...) in a run.
class Stream {
 public:
  Stream(uint64_t seed, std::string_view purpose);

  // Fills `out` with the values of one (step, sample); the first values do not depend on out's length.
  void uniform(uint64_t step, uint64_t sample, std::span<float> out) const;  // [0, 1), multiples of 2^-24
  void normal(uint64_t step, uint64_t sample, std::span<float> out) const;   // N(0, 1) by Box-Muller
  // Whole numbers, uniform in [low, high]. Errors: InternalError when high < low.
  void integers(uint64_t step, uint64_t sample, int64_t low, int64_t high, std::span<int64_t> out) const;
  // One 64-bit word.
  uint64_t bits(uint64_t step, uint64_t sample) const;

  uint64_t key() const { return key_; }

 private:
  uint64_t key_;
};

// A permutation of 0..count-1 chosen by (seed, purpose, epoch), evaluated in O(1) time and memory at any place
// (a Feistel network over Philox, walked until it falls inside the range).
class Permutation {
 public:
  Permutation(uint64_t seed, std::string_view purpose, uint64_t epoch, uint64_t count);
  // Errors: InternalError when position >= count.
  uint64_t operator()(uint64_t position) const;

 private:
  uint64_t key_, count_;
  int bits_;  // the network permutes 0..2^bits_-1
};

}  // namespace gigacat
