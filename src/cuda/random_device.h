// The draws of core/random.h block by block, for the GPU and, in a test, for the CPU. The same operations in the same
// order, so that the values are equal to the bit; compile without fused multiply-add.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/device_code.h"

namespace gigacat::device {

enum Kind : uint32_t { kUniform, kNormal };  // as core numbers them

GIGACAT_BOTH float float_of_bits(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } both{bits};
  return both.value;
}

GIGACAT_BOTH uint32_t bits_of_float(float value) {
  union {
    float value;
    uint32_t bits;
  } both{value};
  return both.bits;
}

GIGACAT_BOTH uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Key of one step of the stream `key`.
GIGACAT_BOTH uint64_t step_key(uint64_t key, uint64_t step) { return mix(key + mix(step + 0x9E3779B97F4A7C15)); }

struct Words {
  uint32_t x[4];
};

// Philox-4x32-10 at the counter (sample, block, kind).
GIGACAT_BOTH Words philox_block(uint64_t key, uint64_t sample, uint32_t block, Kind kind) {
  Words w{{static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32), block, kind}};
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    const uint64_t product0 = uint64_t{0xD2511F53} * w.x[0], product1 = uint64_t{0xCD9E8D57} * w.x[2];
    w = {{static_cast<uint32_t>(product1 >> 32) ^ w.x[1] ^ k0, static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ w.x[3] ^ k1, static_cast<uint32_t>(product0)}};
  }
  return w;
}

// Natural logarithm of (word + 1/2) / 2^32; see core/random_math.h for the series here and below.
GIGACAT_BOTH float log_of_word(uint32_t word) {
  const float value = (static_cast<float>(word >> 1) * 2.0f + static_cast<float>(word & 1) + 0.5f) * 0x1p-32f;
  const uint32_t shifted = bits_of_float(value) + (0x3F800000 - 0x3F3504F3);
  const int exponent = static_cast<int>(shifted >> 23) - 127;
  const float mantissa = float_of_bits((shifted & 0x007FFFFF) + 0x3F3504F3);
  const float s = (mantissa - 1.0f) / (mantissa + 1.0f), s2 = s * s;
  const float series = s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return static_cast<float>(exponent) * 0.693147181f + 2.0f * (s + s * series);
}

// Sine and cosine of 2 pi word / 2^32.
GIGACAT_BOTH void sine_cosine_of_word(uint32_t word, float& sine, float& cosine) {
  const uint32_t quadrant = (word + 0x20000000) >> 30;
  const float x = static_cast<float>(static_cast<int32_t>(word - (quadrant << 30))) * 1.46291808e-9f;
  const float y = x * x;
  const float s = x + x * y * (-1.0f / 6 + y * (1.0f / 120 + y * (-1.0f / 5040 + y * (1.0f / 362880))));
  const float c = 1 + y * (-0.5f + y * (1.0f / 24 + y * (-1.0f / 720 + y * (1.0f / 40320 + y * (-1.0f / 3628800)))));
  const bool odd = quadrant & 1;
  sine = float_of_bits(bits_of_float(odd ? c : s) ^ ((quadrant & 2) << 30));
  cosine = float_of_bits(bits_of_float(odd ? s : c) ^ (((quadrant + 1) & 2) << 30));
}

// Box and Muller: a pair of words gives a pair of normals.
GIGACAT_BOTH void normal_pair(uint32_t radius_word, uint32_t angle_word, float* out) {
  const float square = -2.0f * log_of_word(radius_word);
  const float radius = sqrtf(square > 0.0f ? square : 0.0f);
  float sine, cosine;
  sine_cosine_of_word(angle_word, sine, cosine);
  out[0] = radius * cosine;
  out[1] = radius * sine;
}

// Values 4 block ... 4 block + 3 of a sample; `key` is a step_key.
GIGACAT_BOTH void normal_block(uint64_t key, uint64_t sample, uint32_t block, float* out) {
  const Words w = philox_block(key, sample, block, kNormal);
  normal_pair(w.x[0], w.x[1], out);
  normal_pair(w.x[2], w.x[3], out + 2);
}

GIGACAT_BOTH void uniform_block(uint64_t key, uint64_t sample, uint32_t block, float* out) {
  const Words w = philox_block(key, sample, block, kUniform);
  for (int i = 0; i < 4; ++i) out[i] = static_cast<float>(w.x[i] >> 8) * 0x1p-24f;
}

}  // namespace gigacat::device
