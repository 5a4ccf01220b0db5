#include "gigacat/io/events.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "helpers.h"

namespace gigacat::io {
namespace {

// A field of a protobuf message: a number (varint, fixed) or bytes.
struct Field {
  uint64_t number = 0;
  std::string bytes;
};
using Message = std::multimap<int, Field>;

uint64_t take_varint(std::string_view& text) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    if (text.empty() || shift > 63) throw std::runtime_error("bad varint");
    const auto byte = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128) return value;
  }
}

std::string take(std::string_view& text, size_t size) {
  if (size > text.size()) throw std::runtime_error("message cut short");
  const std::string taken(text.substr(0, size));
  text.remove_prefix(size);
  return taken;
}

Message parse(std::string_view text) {
  Message message;
  while (!text.empty()) {
    const uint64_t key = take_varint(text);
    Field field;
    switch (key & 7) {
      case 0:
        field.number = take_varint(text);
        break;
      case 1:
        std::memcpy(&field.number, take(text, 8).data(), 8);
        break;
      case 2:
        field.bytes = take(text, take_varint(text));
        break;
      case 5:
        std::memcpy(&field.number, take(text, 4).data(), 4);
        break;
      default:
        throw std::runtime_error("bad wire type");
    }
    message.emplace(static_cast<int>(key >> 3), field);
  }
  return message;
}

// The only field of that number.
const Field& at(const Message& message, int field) {
  EXPECT_EQ(message.count(field), 1u) << "field " << field;
  return message.find(field)->second;
}

Message in(const Message& message, int field) { return parse(at(message, field).bytes); }

double as_double(const Field& field) {
  double value;
  std::memcpy(&value, &field.number, 8);
  return value;
}

float as_float(const Field& field) {
  float value;
  std::memcpy(&value, &field.number, 4);
  return value;
}

uint32_t masked(const std::string& bytes) {
  const uint32_t crc = crc32c(bytes_of(bytes));
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

uint32_t word(const std::string& bytes) {
  uint32_t value;
  std::memcpy(&value, bytes.data(), 4);
  return value;
}

std::vector<Message> read_events(const fs::path& path) {
  const std::string file = read_file(path);
  std::string_view text = file;
  std::vector<Message> events;
  while (!text.empty()) {
    const std::string length = take(text, 8);
    EXPECT_EQ(word(take(text, 4)), masked(length));
    uint64_t size;
    std::memcpy(&size, length.data(), 8);
    const std::string event = take(text, size);
    EXPECT_EQ(word(take(text, 4)), masked(event));
    events.push_back(parse(event));
  }
  return events;
}

TEST(Events, VersionComesFirst) {
  const TemporaryFolder folder;
  const EventWriter writer(folder / "new/tb");
  EXPECT_THAT(writer.path().filename().string(), ::testing::StartsWith("events.out.tfevents."));
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(at(events[0], 3).bytes, "brain.Event:2");
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_NEAR(as_double(at(events[0], 1)), now.count(), 60);
}

TEST(Events, Scalars) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path());
  writer.scalar("loss/G", 0.25, 3);
  writer.scalar("loss/D", -1e10, 1ll << 40);
  writer.scalar("nan", NAN, 0);
  writer.flush();
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(at(events[1], 2).number, 3u);
  const Message value = in(in(events[1], 5), 1);
  EXPECT_EQ(at(value, 1).bytes, "loss/G");
  EXPECT_EQ(as_float(at(value, 2)), 0.25f);
  EXPECT_EQ(at(events[2], 2).number, 1ull << 40);
  EXPECT_EQ(as_float(at(in(in(events[2], 5), 1), 2)), -1e10f);
  EXPECT_TRUE(std::isnan(as_float(at(in(in(events[3], 5), 1), 2))));
}

TEST(Events, Images) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path());
  const std::string png(300, 'p');
  writer.image("samples", png, 20, 30, 5);
  writer.flush();
  const Message value = in(in(read_events(writer.path()).at(1), 5), 1);
  EXPECT_EQ(at(value, 1).bytes, "samples");
  const Message image = in(value, 4);
  EXPECT_EQ(at(image, 1).number, 20u);
  EXPECT_EQ(at(image, 2).number, 30u);
  EXPECT_EQ(at(image, 3).number, 3u);
  EXPECT_EQ(at(image, 4).bytes, png);
}

TEST(Events, Text) {
  const TemporaryFolder folder;
  EventWriter writer(folder.path());
  writer.text("config", "größe: 1", 0);
  writer.flush();
  const Message value = in(in(read_events(writer.path()).at(1), 5), 1);
  EXPECT_EQ(at(value, 1).bytes, "config");
  const Message tensor = in(value, 8);
  EXPECT_EQ(at(tensor, 1).number, 7u);  // DT_STRING
  EXPECT_EQ(at(in(in(tensor, 2), 2), 1).number, 1u);
  EXPECT_EQ(at(tensor, 8).bytes, "größe: 1");
  EXPECT_EQ(at(in(in(value, 9), 1), 1).bytes, "text");
}

TEST(Events, WritersOfOneFolderHaveOwnFiles) {
  const TemporaryFolder folder;
  const EventWriter a(folder.path()), b(folder.path());
  EXPECT_NE(a.path(), b.path());
}

TEST(Events, FolderThatCannotBeMade) {
  const TemporaryFolder folder;
  folder.file("file", "x");
  EXPECT_THAT(error_of([&] { EventWriter writer(folder / "file/tb"); }), ::testing::HasSubstr("cannot create"));
}

}  // namespace
}  // namespace gigacat::io
