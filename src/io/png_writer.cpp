// Source: PNG specification (third edition), sections 5 (chunks), 9 (filters), 10 (deflate).
#include "gigacat/io/png_writer.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/io/icc.h"

namespace gigacat::io {
namespace {

constexpr size_t kChunk = 1 << 16;  // bytes of an IDAT
constexpr std::string_view kMark = "\x89PNG\r\n\x1a\n";

std::string be32(uint64_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string chunk(std::string_view kind, std::string_view body) {
  std::string text(kind);
  text += body;
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
  return be32(body.size()) + text + be32(sum);
}

uint8_t paeth(int left, int above, int corner) {
  const int guess = left + above - corner;
  const int a = std::abs(guess - left), b = std::abs(guess - above), c = std::abs(guess - corner);
  return static_cast<uint8_t>(a <= b && a <= c ? left : b <= c ? above : corner);
}

}  // namespace

struct PngWriter::Stream {
  std::function<void(std::string_view)> sink;
  int64_t height, bytes, channels, written = 0;  // bytes of a row
  std::vector<uint8_t> above, line;              // the row before; filter type and filtered row
  std::array<std::vector<uint8_t>, 3> tried;     // rows by filter: 1 left, 2 above, 4 Paeth
  z_stream deflater{};
  std::vector<uint8_t> packed = std::vector<uint8_t>(kChunk);

  // Deflates what is waiting; full buffers become chunks.
  void deflate_all(int flush) {
    int state = Z_OK;
    do {
      state = ::deflate(&deflater, flush);
      GIGACAT_CHECK(state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR, "zlib ", state);
      if (deflater.avail_out == 0 || (state == Z_STREAM_END && deflater.avail_out < kChunk)) emit();
    } while (flush == Z_FINISH ? state != Z_STREAM_END : deflater.avail_in > 0);
  }

  void emit() {
    const size_t size = kChunk - deflater.avail_out;
    sink(chunk("IDAT", {reinterpret_cast<const char*>(packed.data()), size}));
    deflater.next_out = packed.data();
    deflater.avail_out = static_cast<uInt>(kChunk);
  }

  // The filter whose differences are smallest in sum, as libpng chooses.
  void filter(const uint8_t* row) {
    std::array<uint64_t, 3> sums{};
    for (int64_t i = 0; i < bytes; ++i) {
      const auto at = static_cast<size_t>(i), before = static_cast<size_t>(i - channels);
      const int left = i < channels ? 0 : row[before], corner = i < channels ? 0 : above[before];
      const std::array<uint8_t, 3> guesses = {static_cast<uint8_t>(left), above[at], paeth(left, above[at], corner)};
      for (size_t f = 0; f < 3; ++f) {
        const auto off = static_cast<uint8_t>(row[at] - guesses[f]);
        tried[f][at] = off;
        sums[f] += static_cast<uint64_t>(off < 128 ? off : 256 - off);
      }
    }
    constexpr std::array<uint8_t, 3> kTypes = {1, 2, 4};
    const size_t best = sums[0] <= sums[1] ? (sums[0] <= sums[2] ? 0 : 2) : (sums[1] <= sums[2] ? 1 : 2);
    line[0] = kTypes[best];
    std::copy(tried[best].begin(), tried[best].end(), line.begin() + 1);
  }
};

PngWriter::PngWriter(std::function<void(std::string_view)> sink, int64_t height, int64_t width, int64_t channels,
                     const std::string& icc, int compression)
    : stream_(std::make_unique<Stream>()) {
  GIGACAT_CHECK(channels == 1 || channels == 3 || channels == 4, channels, " channels");
  if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX / 4)
    fail("a PNG of ", width, " x ", height, " pixels is not possible");
  Stream& s = *stream_;
  s.sink = std::move(sink);
  s.height = height;
  s.bytes = width * channels;
  s.channels = channels;
  s.above.assign(static_cast<size_t>(s.bytes), 0);
  s.line.resize(static_cast<size_t>(s.bytes) + 1);
  for (auto& row : s.tried) row.resize(static_cast<size_t>(s.bytes));
  const int state = deflateInit2(&s.deflater, compression, Z_DEFLATED, 15, 8, Z_FILTERED);
  GIGACAT_CHECK(state == Z_OK, "zlib ", state);
  s.deflater.next_out = s.packed.data();
  s.deflater.avail_out = static_cast<uInt>(kChunk);
  const char colour = channels == 1 ? 0 : channels == 3 ? 2 : 6;
  const std::string header =
      be32(static_cast<uint64_t>(width)) + be32(static_cast<uint64_t>(height)) + std::string{8, colour, 0, 0, 0};
  s.sink(with_icc_profile(std::string(kMark) + chunk("IHDR", header), icc));
}

PngWriter::~PngWriter() { deflateEnd(&stream_->deflater); }

void PngWriter::write_rows(const uint8_t* pixels, int64_t count) {
  Stream& s = *stream_;
  GIGACAT_CHECK(s.written + count <= s.height, s.written + count, " rows of ", s.height);
  for (int64_t y = 0; y < count; ++y) {
    const uint8_t* row = pixels + y * s.bytes;
    s.filter(row);
    s.deflater.next_in = s.line.data();
    s.deflater.avail_in = static_cast<uInt>(s.line.size());
    s.deflate_all(Z_NO_FLUSH);
    s.above.assign(row, row + s.bytes);
  }
  s.written += count;
}

void PngWriter::finish() {
  Stream& s = *stream_;
  GIGACAT_CHECK(s.written == s.height, s.written, " rows of ", s.height);
  s.deflate_all(Z_FINISH);
  s.sink(chunk("IEND", ""));
}

}  // namespace gigacat::io
