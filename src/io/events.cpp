#include "gigacat/io/events.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>

#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/core/host.h"
#include "protobuf.h"

namespace gigacat::io {

namespace {

// Field numbers of tensorflow.Event, Summary, Summary.Value, Summary.Image, SummaryMetadata and TensorProto.
namespace event_field {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace value_field {
constexpr int kTag = 1, kSimpleValue = 2, kImage = 4, kTensor = 8, kMetadata = 9;
}
namespace image_field {
constexpr int kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
}
constexpr int kSummaryValue = 1, kMetadataPlugin = 1, kPluginName = 1;
constexpr int kTensorDtype = 1, kTensorShape = 2, kTensorStrings = 8, kShapeDimension = 2, kDimensionSize = 1;
constexpr int kRgb = 3, kTypeString = 7, kSessionStatus = 1, kSessionStart = 1;

// The masking that TFRecord asks for, so that the checksum of data that holds checksums stays useful.
uint32_t masked_crc(Bytes bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Seconds in the name of the last file of a folder; 0 when there is none.
int64_t last_seconds(const fs::path& folder) {
  int64_t last = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix)) last = std::max<int64_t>(last, std::atoll(name.c_str() + kPrefix.size()));
  }
  return last;
}

// A name that no other writer has. TensorBoard reads all files of a folder in the order of their names: this one comes
// last, also where two runs began in one second or the clock was set back.
fs::path new_path(const fs::path& folder) {
  static std::atomic<int> count{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  if (const int64_t last = last_seconds(folder); last >= seconds) seconds = last + 1;
  std::string digits = std::to_string(seconds);
  digits.insert(0, 10 - std::min<size_t>(10, digits.size()), '0');
  return folder / cat(kPrefix, digits, ".", host_name(), ".", getpid(), ".", count++);
}

std::string summary_of(std::string_view value) {
  std::string out;
  proto::add_bytes(out, kSummaryValue, value);
  return out;
}

}  // namespace

EventWriter::EventWriter(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot create ", folder.string(), ": ", error.message());
  path_ = new_path(folder);
  out_ = std::make_unique<FileWriter>(path_);
  std::string version = event(0, "");
  proto::add_bytes(version, event_field::kFileVersion, "brain.Event:2");
  record(version);
  flush();
}

void EventWriter::begin_session(int64_t step) {
  std::string session, start = event(step, "");
  proto::add_integer(session, kSessionStatus, kSessionStart);
  proto::add_bytes(start, event_field::kSessionLog, session);
  record(start);
  flush();
}

void EventWriter::scalar(std::string_view tag, double value, int64_t step) {
  std::string out;
  proto::add_bytes(out, value_field::kTag, tag);
  proto::add_float(out, value_field::kSimpleValue, static_cast<float>(value));
  record(event(step, summary_of(out)));
}

void EventWriter::image(std::string_view tag, std::string_view png, int64_t height, int64_t width, int64_t step) {
  std::string image;
  proto::add_integer(image, image_field::kHeight, height);
  proto::add_integer(image, image_field::kWidth, width);
  proto::add_integer(image, image_field::kColorspace, kRgb);
  proto::add_bytes(image, image_field::kEncoded, png);
  std::string out;
  proto::add_bytes(out, value_field::kTag, tag);
  proto::add_bytes(out, value_field::kImage, image);
  record(event(step, summary_of(out)));
}

void EventWriter::text(std::string_view tag, std::string_view text, int64_t step) {
  std::string dimension, shape, tensor, plugin, metadata, out;
  proto::add_integer(dimension, kDimensionSize, 1);
  proto::add_bytes(shape, kShapeDimension, dimension);
  proto::add_integer(tensor, kTensorDtype, kTypeString);
  proto::add_bytes(tensor, kTensorShape, shape);
  proto::add_bytes(tensor, kTensorStrings, text);
  proto::add_bytes(plugin, kPluginName, "text");
  proto::add_bytes(metadata, kMetadataPlugin, plugin);
  proto::add_bytes(out, value_field::kTag, tag);
  proto::add_bytes(out, value_field::kTensor, tensor);
  proto::add_bytes(out, value_field::kMetadata, metadata);
  record(event(step, summary_of(out)));
}

void EventWriter::flush() { out_->flush(); }

std::string EventWriter::event(int64_t step, std::string_view summary) const {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  std::string out;
  proto::add_double(out, event_field::kWallTime, now.count());
  proto::add_integer(out, event_field::kStep, step);
  if (!summary.empty()) proto::add_bytes(out, event_field::kSummary, summary);
  return out;
}

void EventWriter::record(std::string_view event) {
  std::string out;
  append_le<uint64_t>(out, event.size());
  append_le<uint32_t>(out, masked_crc(as_bytes(out)));
  out += event;
  append_le<uint32_t>(out, masked_crc(as_bytes(event)));
  out_->write(out);
}

}  // namespace gigacat::io
