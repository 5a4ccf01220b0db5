// The functions of Box and Muller's method, of 32 random bits. Logarithm, sine and cosine are our own: those of the C
// library differ in the last bit between versions and processors, and do not vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace gigacat {

// Natural logarithm of (word + 1/2) / 2^32, in (0, 1].
inline float log_of_word(uint32_t word) {
  const float value = (static_cast<float>(word >> 1) * 2.0f + static_cast<float>(word & 1) + 0.5f) * 0x1p-32f;
  // value = 2^exponent * mantissa with the mantissa in [sqrt(1/2), sqrt(2)).
  const uint32_t shifted = std::bit_cast<uint32_t>(value) + (0x3F800000 - 0x3F3504F3);
  const int exponent = static_cast<int>(shifted >> 23) - 127;
  const float mantissa = std::bit_cast<float>((shifted & 0x007FFFFF) + 0x3F3504F3);
  // log m = 2 artanh s, s = (m - 1) / (m + 1), |s| < 0.172: the first term left out is below 2e-9 of the sum.
  const float s = (mantissa - 1.0f) / (mantissa + 1.0f), s2 = s * s;
  const float series = s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return static_cast<float>(exponent) * 0.693147181f + 2.0f * (s + s * series);
}

struct SineCosine {
  float sine, cosine;
};

// Of the angle 2 pi word / 2^32. The top two bits, rounded, are the quadrant; the rest lies within pi / 4 of its axis.
inline SineCosine sine_cosine_of_word(uint32_t word) {
  const uint32_t quadrant = (word + 0x20000000) >> 30;
  const auto rest = static_cast<int32_t>(word - (quadrant << 30));
  const float x = static_cast<float>(rest) * 1.46291808e-9f;  // 2 pi / 2^32
  const float y = x * x;
  // Taylor series: the first terms left out are below 2e-9.
  const float s = x + x * y * (-1.0f / 6 + y * (1.0f / 120 + y * (-1.0f / 5040 + y * (1.0f / 362880))));
  const float c = 1 + y * (-0.5f + y * (1.0f / 24 + y * (-1.0f / 720 + y * (1.0f / 40320 + y * (-1.0f / 3628800)))));
  const bool odd = quadrant & 1;
  const float sine = odd ? c : s, cosine = odd ? s : c;
  const uint32_t sine_sign = (quadrant & 2) << 30, cosine_sign = ((quadrant + 1) & 2) << 30;
  return {std::bit_cast<float>(std::bit_cast<uint32_t>(sine) ^ sine_sign),
          std::bit_cast<float>(std::bit_cast<uint32_t>(cosine) ^ cosine_sign)};
}

}  // namespace gigacat
