#include <gtest/gtest.h>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "temporary_folder.h"

namespace gigacat {

namespace detail {
uint32_t crc32c_by_tables(std::span<const std::byte> bytes, uint32_t crc);
}

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 + i / 256);
  return text;
}

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c(bytes_of("")), 0u);
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\0'))), 0x8A9136AAu);
  EXPECT_EQ(crc32c(bytes_of(std::string(32, '\xFF'))), 0x62A8AB43u);
}

TEST(Crc32c, ContinuesFromAPart) {
  const std::string text = pattern(1000);
  for (const size_t cut : {0, 1, 7, 8, 500, 1000}) {
    const uint32_t first = crc32c(bytes_of(text.substr(0, cut)));
    EXPECT_EQ(crc32c(bytes_of(text.substr(cut)), first), crc32c(bytes_of(text))) << cut;
  }
}

TEST(Crc32c, TablesAgreeWithTheInstruction) {
  const std::string text = pattern(600);
  for (size_t size = 0; size < text.size(); ++size) {
    const auto part = bytes_of(text).subspan(size % 9, size - size % 9);
    ASSERT_EQ(detail::crc32c_by_tables(part, 0), crc32c(part)) << size;
  }
}

TEST(Crc32c, SeesEveryFlippedBit) {
  std::string text = pattern(64);
  const uint32_t right = crc32c(bytes_of(text));
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_NE(crc32c(bytes_of(text)), right);
    text[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
}

// FIPS 180-4 examples.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256(bytes_of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(bytes_of(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Lengths around the places where padding needs another block; values by Python's hashlib.
TEST(Sha256, LengthsAroundABlock) {
  EXPECT_EQ(sha256(bytes_of(std::string(55, 'x'))), "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072");
  EXPECT_EQ(sha256(bytes_of(std::string(56, 'x'))), "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e");
  EXPECT_EQ(sha256(bytes_of(std::string(63, 'x'))), "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2");
  EXPECT_EQ(sha256(bytes_of(std::string(64, 'x'))), "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c");
  EXPECT_EQ(sha256(bytes_of(std::string(119, 'x'))),
            "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c");
  EXPECT_EQ(sha256(bytes_of(std::string(120, 'x'))),
            "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98");
}

TEST(Sha256, OfAFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(sha256_file(folder.file("abc", "abc")), sha256(bytes_of("abc")));
  EXPECT_EQ(sha256_file(folder.file("empty", "")), sha256(bytes_of("")));
  EXPECT_THROW(sha256_file(folder / "absent"), Error);
}

}  // namespace
}  // namespace gigacat
