// TensorBoard event files: TFRecord framing (masked CRC-32C) around hand-written protobuf of tensorflow.Event.
// Source: tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto (formats).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gigacat/core/files.h"

namespace gigacat::io {

class EventWriter {
 public:
  // Opens FOLDER/events.out.tfevents.SECONDS.HOST.PID.N, whose name comes after those of the files that are there, and
  // writes the version record. Errors: Error.
  explicit EventWriter(const fs::path& folder);
  // What the folder's other files hold from `step` on no longer counts: the run goes through these steps again.
  // TensorBoard drops it (SessionLog START).
  void begin_session(int64_t step);
  void scalar(std::string_view tag, double value, int64_t step);
  // An encoded PNG of height x width.
  void image(std::string_view tag, std::string_view png, int64_t height, int64_t width, int64_t step);
  void text(std::string_view tag, std::string_view text, int64_t step);
  // Hands all records to the kernel.
  void flush();
  const fs::path& path() const { return path_; }

 private:
  void record(std::string_view event);
  std::string event(int64_t step, std::string_view summary) const;
  fs::path path_;
  std::unique_ptr<FileWriter> out_;
};

}  // namespace gigacat::io
