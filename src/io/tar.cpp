// Reading of tar. Source: POSIX pax interchange format; GNU tar manual, "Basic Tar Format" (long names, base-256
// numbers).
#include <algorithm>
#include <charconv>
#include <optional>

#include "archive_name.h"
#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/io/archive.h"
#include "tar_block.h"

namespace gigacat::io {

namespace {

constexpr uint64_t kMostSize = 1ull << 40;
constexpr size_t kZerosLooked = 1 << 16;        // how much after the end must be zero; writers pad to 10 KiB
constexpr uint64_t kMostExtended = 1ull << 20;  // long names and pax headers

uint64_t padded(uint64_t size) { return (size + kTarBlock - 1) / kTarBlock * kTarBlock; }

class TarIndexer {
 public:
  TarIndexer(Bytes file, std::string path) : file_(file), path_(std::move(path)) {}

  // Fault is empty when the archive is whole.
  std::pair<std::vector<Member>, std::string> run() {
    while (fault_.empty() && step()) {
    }
    return {std::move(members_), std::move(fault_)};
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(const Args&... fault) const {
    fail(path_, ": at byte ", at_, ": ", cat(fault...));
  }

  // Takes one header with its data; false at the closing blocks.
  bool step() {
    if (at_ + kTarBlock > file_.size()) {
      fault_ = at_ == file_.size() ? "ends without its closing blocks" : "ends inside a header";
      return false;
    }
    const Bytes block = file_.subspan(at_, kTarBlock);
    if (is_zero(block)) {
      if (!is_zero(file_.subspan(at_, std::min(kZerosLooked, file_.size() - at_))))
        fault_ = "has data after its closing blocks";
      return false;
    }
    check_sum(block);
    uint64_t size = number(field(block, kTarSize));
    const char type = static_cast<char>(block[kTarType.at]);
    const bool regular = type == '0' || type == '\0' || type == '7';
    if (regular && pax_size_) size = *pax_size_;
    if (type >= '1' && type <= '6')
      size = 0;  // links, devices and folders have no data, whatever their size field says
    if (size > kMostSize) refuse("a member of ", size, " bytes is beyond 1 TiB");
    if (size > file_.size() - at_ - kTarBlock) {
      fault_ = cat("ends inside the member '", shown(name_of(block)), "'");
      return false;
    }
    take(block, type, regular, file_.subspan(at_ + kTarBlock, size));
    at_ = std::min<uint64_t>(at_ + kTarBlock + padded(size), file_.size());
    return true;
  }

  void take(Bytes block, char type, bool regular, Bytes data) {
    if (type == 'L') {
      const std::string_view text = as_text(extended(data));
      long_name_ = text.substr(0, text.find('\0'));
    } else if (type == 'x') {
      read_pax(as_text(extended(data)));
    } else if (type == 'S') {
      refuse("the member '", shown(name_of(block)), "' is sparse; make the archive without --sparse");
    } else if (type != 'K' && type != 'g') {
      const std::string name = name_of(block);
      if (regular && !name.ends_with('/')) members_.push_back({member_name(path_, name), at_ + kTarBlock, data.size()});
      long_name_.reset();
      pax_name_.reset();
      pax_size_.reset();
    }
  }

  Bytes extended(Bytes data) const {
    if (data.size() > kMostExtended) refuse("an extended header of ", data.size(), " bytes is beyond 1 MiB");
    return data;
  }

  // Records "LENGTH KEY=VALUE\n", the length counting itself.
  void read_pax(std::string_view text) {
    while (!text.empty() && text.front() != '\0') {
      size_t length = 0;
      const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto digits = static_cast<size_t>(stop - text.data());
      if (error != std::errc() || length > text.size() || length < digits + 3 || *stop != ' ' ||
          text[length - 1] != '\n') {
        refuse("a pax header is malformed");
      }
      pax_record(text.substr(digits + 1, length - digits - 2));
      text.remove_prefix(length);
    }
  }

  void pax_record(std::string_view record) {
    const size_t equals = record.find('=');
    if (equals == record.npos) refuse("a pax record has no '='");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse")) refuse("a member is sparse; make the archive without --sparse");
    if (key == "path") pax_name_ = value.substr(0, value.find('\0'));
    if (key == "size") {
      uint64_t size = 0;
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (error != std::errc() || stop != value.data() + value.size()) refuse("a pax size is not a number");
      pax_size_ = size;
    }
  }

  std::string name_of(Bytes block) const {
    if (pax_name_) return *pax_name_;
    if (long_name_) return *long_name_;
    const std::string name(text_of(field(block, kTarName)));
    const std::string_view prefix = text_of(field(block, kTarPrefix));
    // GNU's variant keeps times where POSIX has the prefix.
    const bool posix = as_text(field(block, kTarMagic)) == std::string_view("ustar\0", 6);
    return posix && !prefix.empty() ? cat(prefix, "/", name) : name;
  }

  static bool is_zero(Bytes block) { return as_text(block).find_first_not_of('\0') == std::string_view::npos; }

  void check_sum(Bytes block) const {
    const auto stored = static_cast<int64_t>(number(field(block, kTarChecksum)));
    // Some old programs summed signed bytes.
    if (stored == tar_checksum<unsigned char>(block) || stored == tar_checksum<signed char>(block)) return;
    refuse(at_ == 0 ? "not a tar file" : "no tar header, its checksum is wrong");
  }

  // Octal digits, or big-endian base 256 when the first bit is set.
  uint64_t number(Bytes digits) const {
    const auto first = std::to_integer<unsigned>(digits[0]);
    if (first & 0x80) {
      uint64_t value = first & 0x7f;
      for (std::byte digit : digits.subspan(1)) {
        if (first == 0xff || value >> 56) refuse("a number in the header is negative or beyond 64 bits");
        value = value << 8 | std::to_integer<uint64_t>(digit);
      }
      return value;
    }
    const std::string text = trim(text_of(digits));
    uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (!text.empty() && (error != std::errc() || stop != text.data() + text.size())) {
      refuse(at_ == 0 ? "not a tar file" : "no tar header, a number in it is not octal");
    }
    return value;
  }

  Bytes file_;
  std::string path_;
  std::vector<Member> members_;
  std::string fault_;
  uint64_t at_ = 0;
  std::optional<std::string> long_name_, pax_name_;  // for the next member
  std::optional<uint64_t> pax_size_;
};

void refuse_other_files(Bytes file, const fs::path& path) {
  if (file.empty()) fail(path.string(), ": empty, not a tar file");
  for (std::string_view magic : {"\x1f\x8b", "BZh",
                                 "\xfd"
                                 "7zXZ",
                                 "\x28\xb5\x2f\xfd"}) {
    if (starts_with(file, magic))
      fail(path.string(), ": the tar file is compressed; members are read in any order, so unpack it");
  }
}

}  // namespace

std::vector<Member> index_tar(const fs::path& path, std::string* fault) {
  const MappedFile file(path);
  refuse_other_files(file.bytes(), path);
  auto [members, found] = TarIndexer(file.bytes(), path.string()).run();
  if (fault) {
    *fault = found;
  } else if (!found.empty()) {
    log::warn(path.string(), ": ", found, "; ", members.size(), " whole members are used");
  }
  return std::move(members);
}

}  // namespace gigacat::io
