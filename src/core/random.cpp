#include "gigacat/core/random.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "gigacat/core/error.h"
#include "random_math.h"

namespace gigacat {
namespace {

// Which function draws; keeps the values of one purpose apart between them.
enum Kind : uint32_t { kUniform, kNormal, kIntegers, kBits, kPermutation };

// A bijection of 64-bit words that spreads every bit (the finaliser of SplitMix64).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Different for every `index` of one `key`, because all parts are bijections of it.
uint64_t subkey(uint64_t key, uint64_t index) { return mix(key + mix(index + 0x9E3779B97F4A7C15)); }

// N consecutive blocks are made at once: the loops over them are vectorised. Large draws take many, small ones few.
constexpr size_t kMany = 64, kFew = 4;

template <class T, size_t N>
using Columns = std::array<std::array<T, N>, 4>;  // [word of a block][block]

template <size_t N>
using Values = std::array<std::array<float, 4>, N>;  // [block][word of a block]

// Counter of block b: (sample low, sample high, block, kind).
template <size_t N>
void fill_words(Columns<uint32_t, N>& words, uint64_t key, uint64_t sample, uint32_t first_block, Kind kind) {
  auto& [x0, x1, x2, x3] = words;
  x0.fill(static_cast<uint32_t>(sample));
  x1.fill(static_cast<uint32_t>(sample >> 32));
  for (size_t b = 0; b < N; ++b) x2[b] = first_block + static_cast<uint32_t>(b);
  x3.fill(kind);
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    for (size_t b = 0; b < N; ++b) {
      const uint64_t product0 = uint64_t{0xD2511F53} * x0[b], product1 = uint64_t{0xCD9E8D57} * x2[b];
      x0[b] = static_cast<uint32_t>(product1 >> 32) ^ x1[b] ^ k0;
      x1[b] = static_cast<uint32_t>(product1);
      x2[b] = static_cast<uint32_t>(product0 >> 32) ^ x3[b] ^ k1;
      x3[b] = static_cast<uint32_t>(product0);
    }
  }
}

struct ToUniform {
  template <size_t N>
  void operator()(const Columns<uint32_t, N>& words, Values<N>& out) const {
    for (size_t b = 0; b < N; ++b) {
      for (size_t i = 0; i < 4; ++i) out[b][i] = static_cast<float>(static_cast<int32_t>(words[i][b] >> 8)) * 0x1p-24f;
    }
  }
};

struct ToNormal {
  template <size_t N>
  void operator()(const Columns<uint32_t, N>& words, Values<N>& out) const {
    Columns<float, N> columns;
    for (size_t pair = 0; pair < 4; pair += 2) {
      for (size_t b = 0; b < N; ++b) {
        const float radius = std::sqrt(std::max(0.0f, -2.0f * log_of_word(words[pair][b])));
        const auto [sine, cosine] = sine_cosine_of_word(words[pair + 1][b]);
        columns[pair][b] = radius * cosine;
        columns[pair + 1][b] = radius * sine;
      }
    }
    for (size_t b = 0; b < N; ++b) {
      for (size_t i = 0; i < 4; ++i) out[b][i] = columns[i][b];
    }
  }
};

template <size_t N, class Convert>
void fill_floats(uint64_t key, uint64_t sample, Kind kind, std::span<float> out, Convert convert) {
  alignas(64) Columns<uint32_t, N> words;
  alignas(64) Values<N> values;
  for (size_t done = 0; done < out.size(); done += 4 * N) {
    fill_words<N>(words, key, sample, static_cast<uint32_t>(done / 4), kind);
    convert(words, values);
    std::copy_n(values.front().data(), std::min(out.size() - done, 4 * N), out.data() + done);
  }
}

template <class Convert>
void fill_floats(uint64_t key, uint64_t sample, Kind kind, std::span<float> out, Convert convert) {
  GIGACAT_CHECK(out.size() <= (uint64_t{1} << 34), "a draw of ", out.size(), " values");
  if (out.size() > 16 * kFew) {
    fill_floats<kMany>(key, sample, kind, out, convert);
  } else {
    fill_floats<kFew>(key, sample, kind, out, convert);
  }
}

uint64_t join(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

}  // namespace

uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> x, uint64_t key) {
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
    const uint64_t product0 = uint64_t{0xD2511F53} * x[0], product1 = uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<uint32_t>(product1 >> 32) ^ x[1] ^ k0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ x[3] ^ k1, static_cast<uint32_t>(product0)};
  }
  return x;
}

Stream::Stream(uint64_t seed, std::string_view purpose) : key_(subkey(fnv1a64(purpose), seed)) {}

void Stream::uniform(uint64_t step, uint64_t sample, std::span<float> out) const {
  fill_floats(subkey(key_, step), sample, kUniform, out, ToUniform());
}

void Stream::normal(uint64_t step, uint64_t sample, std::span<float> out) const {
  fill_floats(subkey(key_, step), sample, kNormal, out, ToNormal());
}

void Stream::integers(uint64_t step, uint64_t sample, int64_t low, int64_t high, std::span<int64_t> out) const {
  GIGACAT_CHECK(low <= high, "integers from ", low, " to ", high);
  GIGACAT_CHECK(out.size() <= (uint64_t{1} << 33), "a draw of ", out.size(), " values");
  const uint64_t key = subkey(key_, step);
  const uint64_t count = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;  // 0 stands for 2^64
  for (size_t i = 0; i < out.size(); ++i) {
    const auto block = philox(
        {static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32), static_cast<uint32_t>(i / 2), kIntegers},
        key);
    const uint64_t word = i % 2 == 0 ? join(block[0], block[1]) : join(block[2], block[3]);
    // word * count / 2^64: uneven by less than count / 2^64.
    const auto scaled = static_cast<uint64_t>(static_cast<unsigned __int128>(word) * count >> 64);
    out[i] = static_cast<int64_t>(static_cast<uint64_t>(low) + (count == 0 ? word : scaled));
  }
}

uint64_t Stream::bits(uint64_t step, uint64_t sample) const {
  const auto block =
      philox({static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32), 0, kBits}, subkey(key_, step));
  return join(block[0], block[1]);
}

Permutation::Permutation(uint64_t seed, std::string_view purpose, uint64_t epoch, uint64_t count)
    : key_(subkey(Stream(seed, purpose).key(), epoch)), count_(count) {
  // At least 16 places: a smaller network has too few permutations.
  bits_ = std::max(4, static_cast<int>(std::bit_width(count > 0 ? count - 1 : 0)));
}

uint64_t Permutation::operator()(uint64_t position) const {
  GIGACAT_CHECK(position < count_, "position ", position, " of ", count_);
  const int right_bits = bits_ / 2;
  const uint64_t right_mask = (uint64_t{1} << right_bits) - 1, left_mask = (uint64_t{1} << (bits_ - right_bits)) - 1;
  const auto scrambled = [&](uint64_t half, uint32_t round) {
    return philox({static_cast<uint32_t>(half), round, 0, kPermutation}, key_)[0];
  };
  uint64_t value = position;
  // The network permutes a power of two: a value outside the range is permuted again until it comes back in.
  do {
    uint64_t left = value >> right_bits, right = value & right_mask;
    for (uint32_t round = 0; round < 6; round += 2) {
      left ^= scrambled(right, round) & left_mask;
      right ^= scrambled(left, round + 1) & right_mask;
    }
    value = left << right_bits | right;
  } while (value >= count_);
  return value;
}

}  // namespace gigacat
