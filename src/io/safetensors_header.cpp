#include "safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "bytes.h"
#include "gigacat/core/error.h"

namespace gigacat::io {

namespace {

using Json = nlohmann::json;

constexpr size_t kMostDimensions = 64;

std::optional<Dtype> dtype_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Dtype::f64); ++i) {
    if (dtype_name(static_cast<Dtype>(i)) == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

// Receives the header event by event: a document tree would hide duplicate names, and costs memory a hostile file
// chooses.
class HeaderReader {
 public:
  SafetensorsHeader take() { return std::move(header_); }

  bool null() { return scalar("null"); }
  bool boolean(bool) { return scalar("a boolean"); }
  bool number_integer(Json::number_integer_t value) { return scalar(cat("the negative number ", value)); }
  bool number_float(Json::number_float_t, const std::string& text) { return scalar(cat("the number ", text)); }
  bool binary(Json::binary_t&) { return scalar("binary data"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (place_ == Place::shape) {
      add_dimension(value);
    } else if (place_ == Place::offsets) {
      if (offsets_ == 2) refuse("has more than two data_offsets");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
    } else {
      return scalar(cat("the number ", value));
    }
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      header_.metadata.emplace(key_, std::move(value));
    } else if (place_ == Place::tensor && key_ == "dtype") {
      const auto dtype = dtype_of(value);
      if (!dtype) refuse(cat("has the unknown dtype '", shown(value), "'"));
      entry_.dtype = *dtype;
    } else {
      return scalar("a string");
    }
    return true;
  }

  bool start_object(size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      if (name_ != "__metadata__") entry_ = {};
      place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
      seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    } else {
      return enter("an object");
    }
    return true;
  }

  bool end_object() {
    if (skipped_ > 0) return leave();
    if (place_ == Place::tensor) {
      if (!seen_dtype_ || !seen_shape_ || !seen_offsets_) refuse("lacks dtype, shape or data_offsets");
      header_.tensors.emplace(name_, std::move(entry_));
    }
    place_ = Place::top;
    return true;
  }

  bool start_array(size_t) {
    if (place_ != Place::tensor || skipped_ > 0) return enter("an array");
    if (key_ == "shape") {
      place_ = Place::shape;
    } else if (key_ == "data_offsets") {
      place_ = Place::offsets;
      offsets_ = 0;
    } else {
      return enter("an array");
    }
    return true;
  }

  bool end_array() {
    if (skipped_ > 0) return leave();
    if (place_ == Place::offsets && offsets_ != 2) refuse("has fewer than two data_offsets");
    place_ = Place::tensor;
    return true;
  }

  bool key(std::string& key) {
    if (skipped_ > 0) return true;
    if (place_ == Place::top) {
      name_ = key;
      const bool again =
          name_ == "__metadata__" ? std::exchange(seen_metadata_, true) : header_.tensors.contains(name_);
      if (again) fail("the name '", shown(name_), "' stands twice");
    } else if (place_ == Place::metadata) {
      if (header_.metadata.contains(key)) fail("the metadata key '", shown(key), "' stands twice");
    } else {
      bool* seen = key == "dtype"          ? &seen_dtype_
                   : key == "shape"        ? &seen_shape_
                   : key == "data_offsets" ? &seen_offsets_
                                           : nullptr;
      if (seen && std::exchange(*seen, true)) refuse(cat("has two fields '", key, "'"));
    }
    key_ = key;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& fault) {
    fail("the header is not valid JSON at byte ", position, ": ", shown(fault.what()));
  }

 private:
  enum class Place { outside, top, metadata, tensor, shape, offsets };

  [[noreturn]] void refuse(std::string_view fault) const { fail("tensor '", shown(name_), "' ", fault); }

  // Fields that later versions of the format may add to a tensor are passed over, whatever they hold.
  bool unknown_field() const {
    return skipped_ > 0 || (place_ == Place::tensor && key_ != "dtype" && key_ != "shape" && key_ != "data_offsets");
  }

  bool scalar(std::string_view what) {
    if (!unknown_field()) misplaced(what);
    return true;
  }

  bool enter(std::string_view what) {
    if (!unknown_field()) misplaced(what);
    ++skipped_;
    return true;
  }

  bool leave() {
    --skipped_;
    return true;
  }

  [[noreturn]] void misplaced(std::string_view what) const {
    switch (place_) {
      case Place::outside:
        fail("the header is ", what, ", not an object");
      case Place::top:
        fail("entry '", shown(name_), "' is ", what, ", not an object");
      case Place::metadata:
        fail("metadata '", shown(key_), "' is ", what, ", not a string");
      default:
        refuse(cat("has ", what, " as ", key_));
    }
  }

  void add_dimension(uint64_t value) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) refuse(cat("has the dimension ", value));
    if (entry_.shape.size() == kMostDimensions) refuse(cat("has more than ", kMostDimensions, " dimensions"));
    entry_.shape.push_back(static_cast<int64_t>(value));
  }

  SafetensorsHeader header_;
  HeaderEntry entry_;
  std::string name_, key_;  // of the entry; of the field in it
  Place place_ = Place::outside;
  int offsets_ = 0;
  size_t skipped_ = 0;  // open brackets of a field that is passed over
  bool seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false, seen_metadata_ = false;
};

}  // namespace

SafetensorsHeader parse_header(std::string_view json) {
  if (json.empty() || json.front() != '{') fail("the header does not begin with {");
  // nlohmann takes a NUL for the end of the text, so that anything could hide after it.
  if (json.find('\0') != json.npos) fail("the header holds a NUL byte");
  HeaderReader reader;
  Json::sax_parse(json.begin(), json.end(), &reader);
  return reader.take();
}

}  // namespace gigacat::io
