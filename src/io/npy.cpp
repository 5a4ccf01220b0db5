// Source: numpy.lib.format ("The npy format").
#include "gigacat/io/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include "bytes.h"
#include "gigacat/core/error.h"

namespace gigacat::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostHeader = 1 << 20;
constexpr size_t kMostDimensions = 64;
constexpr size_t kAlignment = 64;

// The header is a Python dictionary with three entries: 'descr', 'fortran_order' and 'shape'.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  struct Fields {
    std::optional<std::string> descr;
    std::optional<bool> fortran;
    std::optional<std::vector<int64_t>> shape;
  };

  Fields run() {
    Fields fields;
    expect('{');
    while (!accept('}')) {
      read_entry(fields);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (!text_.empty()) refuse("text follows the header");
    if (!fields.descr || !fields.fortran || !fields.shape) refuse("the header lacks descr, fortran_order or shape");
    return fields;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(const Args&... fault) const {
    fail(name_, ": not a valid .npy: ", cat(fault...));
  }

  void read_entry(Fields& fields) {
    const std::string key = read_string();
    expect(':');
    if (key == "descr" && !fields.descr) {
      skip_blanks();
      if (text_.starts_with('[')) fail(name_, ": a structured array is not supported; save one array for each field");
      fields.descr = read_string();
    } else if (key == "fortran_order" && !fields.fortran) {
      fields.fortran = read_bool();
    } else if (key == "shape" && !fields.shape) {
      fields.shape = read_shape();
    } else {
      refuse("the header has an unknown or second entry '", shown(key), "'");
    }
  }

  void skip_blanks() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size())); }

  bool accept(char wanted) {
    skip_blanks();
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) refuse("the header lacks '", wanted, "'");
  }

  std::string read_string() {
    skip_blanks();
    const char quote = text_.empty() ? '\0' : text_.front();
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, 1) : text_.npos;
    if (end == text_.npos) refuse("the header lacks a string");
    const std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }

  bool read_bool() {
    skip_blanks();
    const bool value = text_.starts_with("True");
    if (!value && !text_.starts_with("False")) refuse("fortran_order is neither True nor False");
    text_.remove_prefix(value ? 4 : 5);
    return value;
  }

  std::vector<int64_t> read_shape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(read_dimension());
      if (shape.size() > kMostDimensions) refuse("more than ", kMostDimensions, " dimensions");
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  int64_t read_dimension() {
    skip_blanks();
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) refuse("a dimension is not a non-negative integer");
    text_.remove_prefix(static_cast<size_t>(stop - text_.data()));
    if (text_.starts_with('L')) text_.remove_prefix(1);  // Python 2 wrote long integers so
    return value;
  }

  std::string_view text_, name_;
};

struct Extent {
  size_t begin, length;
};

Extent header_extent(Bytes bytes, std::string_view name) {
  if (!starts_with(bytes, kMagic)) fail(name, ": not a .npy file");
  const size_t fixed = bytes.size() > 6 && bytes[6] == std::byte{1} ? 10 : 12;
  if (bytes.size() < fixed) fail(name, ": cut short within the .npy header");
  const auto version = std::to_integer<int>(bytes[6]);
  if (version < 1 || version > 3) fail(name, ": .npy version ", version, " is not known (1 to 3 are)");
  const size_t length = version == 1 ? load_le<uint16_t>(bytes, 8) : load_le<uint32_t>(bytes, 8);
  if (length > kMostHeader) fail(name, ": a .npy header of ", length, " bytes is refused");
  if (length > bytes.size() - fixed) fail(name, ": cut short within the .npy header");
  return {fixed, length};
}

// Kind and size of "<f4" and the like.
void read_descr(const std::string& descr, NpyHeader& header, std::string_view name) {
  const std::string quoted = cat("dtype '", shown(descr), "'");
  if (descr.find('O') != descr.npos) fail(name, ": ", quoted, " holds Python objects, which are never loaded");
  const auto item = descr.size() == 3 ? static_cast<size_t>(descr[2] - '0') : 0;
  const char kind = descr.size() == 3 ? descr[1] : '?';
  const bool known = (kind == 'f' && (item == 2 || item == 4 || item == 8)) || (kind == 'b' && item == 1) ||
                     ((kind == 'i' || kind == 'u') && (item == 1 || item == 2 || item == 4 || item == 8));
  if (!known) fail(name, ": ", quoted, " is not supported (f2 to f8, i1 to i8, u1 to u8 and b1 are)");
  if (descr[0] == '>' && item > 1) fail(name, ": ", quoted, " is big-endian; save it as little-endian");
  if (descr[0] != '<' && descr[0] != '|' && descr[0] != '=' && descr[0] != '>')
    fail(name, ": ", quoted, " is not supported");
  header.kind = kind;
  header.item = item;
}

float half_to_float(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  const float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                          : exponent     ? std::ldexp(static_cast<float>(fraction + 1024), exponent - 25)
                                         : std::ldexp(static_cast<float>(fraction), -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

template <class T, class Value>
void convert(Bytes data, std::vector<Value>& out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Value>(load_le<T>(data, i * sizeof(T)));
}

template <class Value>
void convert_half(Bytes data, std::vector<Value>& out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = half_to_float(load_le<uint16_t>(data, 2 * i));
}

template <class Array>
Array read_array(std::string_view bytes, std::string_view name) {
  const NpyHeader header = parse_npy(as_bytes(bytes), bytes.size(), name);
  const Bytes data = as_bytes(bytes).subspan(header.data_offset);
  Array array{header.shape, {}};
  array.values.resize(static_cast<size_t>(header.elements()));
  const auto is = [&](char kind, size_t item) { return header.kind == kind && header.item == item; };
  if (is('f', 2))
    convert_half(data, array.values);
  else if (is('f', 4))
    convert<float>(data, array.values);
  else if (is('f', 8))
    convert<double>(data, array.values);
  else if (is('i', 1))
    convert<int8_t>(data, array.values);
  else if (is('i', 2))
    convert<int16_t>(data, array.values);
  else if (is('i', 4))
    convert<int32_t>(data, array.values);
  else if (is('i', 8))
    convert<int64_t>(data, array.values);
  else if (is('u', 2))
    convert<uint16_t>(data, array.values);
  else if (is('u', 4))
    convert<uint32_t>(data, array.values);
  else if (is('u', 8))
    convert<uint64_t>(data, array.values);
  else
    convert<uint8_t>(data, array.values);
  return array;
}

std::string shape_text(std::span<const int64_t> shape) {
  return cat("(", join(shape, ", "), shape.size() == 1 ? "," : "", ")");
}

std::string_view text_of(std::span<const int64_t> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

int64_t NpyHeader::elements() const {
  int64_t product = 1;
  for (int64_t dimension : shape) product *= dimension;
  return product;
}

NpyHeader parse_npy(Bytes bytes, uint64_t size, std::string_view name) {
  const Extent extent = header_extent(bytes, name);
  auto fields = HeaderParser(as_text(bytes.subspan(extent.begin, extent.length)), name).run();
  NpyHeader header{};
  read_descr(*fields.descr, header, name);
  header.shape = std::move(*fields.shape);
  header.data_offset = extent.begin + extent.length;
  if (*fields.fortran && header.shape.size() > 1) {
    fail(name, ": in Fortran order; save it with numpy.ascontiguousarray");
  }
  std::optional<int64_t> needed = static_cast<int64_t>(header.item);
  for (int64_t dimension : header.shape) {
    if (needed) needed = checked_mul(*needed, dimension);
  }
  if (!needed) fail(name, ": the size of shape ", shape_text(header.shape), " overflows");
  if (size < header.data_offset || size - header.data_offset != static_cast<uint64_t>(*needed)) {
    fail(name, ": shape ", shape_text(header.shape), " needs ", *needed, " bytes after the header but the file has ",
         size - std::min<uint64_t>(size, header.data_offset));
  }
  return header;
}

FloatArray read_npy_float(std::string_view bytes, std::string_view name) { return read_array<FloatArray>(bytes, name); }

DoubleArray read_npy_double(std::string_view bytes, std::string_view name) {
  return read_array<DoubleArray>(bytes, name);
}

std::string npy_header(std::string_view descr, std::span<const int64_t> shape) {
  constexpr size_t kFixed = 10;
  std::string text = cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape_text(shape), ", }");
  text.append((kAlignment - (kFixed + text.size() + 1) % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string out(kMagic);
  out.append("\x01\x00", 2);
  append_le<uint16_t>(out, static_cast<uint16_t>(text.size()));
  return out + text;
}

NpzImageWriter::NpzImageWriter(FileWriter& out, int64_t count, int64_t height, int64_t width, int64_t channels)
    : zip_(out), left_(count), image_bytes_(height * width * channels), count_(count) {
  const std::string header = npy_header("|u1", std::vector{count, height, width, channels});
  zip_.begin("arr_0.npy", header.size() + static_cast<uint64_t>(count * image_bytes_));
  zip_.append(header.data(), header.size());
}

void NpzImageWriter::add(std::span<const uint8_t> pixels) {
  GIGACAT_CHECK(left_ > 0, "more images than the ", count_, " announced");
  GIGACAT_CHECK(static_cast<int64_t>(pixels.size()) == image_bytes_, pixels.size(), " bytes of ", image_bytes_);
  zip_.append(pixels.data(), pixels.size());
  --left_;
}

void NpzImageWriter::finish(std::span<const int64_t> labels) {
  GIGACAT_CHECK(left_ == 0, left_, " of ", count_, " images are missing");
  GIGACAT_CHECK(labels.empty() || static_cast<int64_t>(labels.size()) == count_, labels.size(), " labels");
  zip_.end();
  if (!labels.empty()) zip_.add("arr_1.npy", npy_header("<i8", std::vector{count_}).append(text_of(labels)));
  zip_.finish();
}

}  // namespace gigacat::io
