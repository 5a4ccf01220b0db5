// Python's pickle read and written as plain data. Nothing is imported, called or built: a class is a name, a call is
// its name and its arguments. Source: Python's pickletools (protocols 1 to 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gigacat::io {

// A value of a pickle. Values refer to each other and may do so in a circle: whoever walks them bounds the depth.
struct PickleValue {
  // What a value is, and which members hold it.
  enum class Kind {
    none,
    boolean,
    integer,
    big,  // an integer beyond 64 bits: its little-endian bytes in `text`
    real,
    text,
    bytes,
    list,    // lists, tuples and sets: `items`
    dict,    // `entries`, in the order of the file
    global,  // a name, "module.name", in `text`
    call,  // `callee` with `args`; what was set and appended afterwards in `entries` and `items`, its state in `state`
    persistent,  // a reference to something outside the pickle: `args`
  };
  Kind kind = Kind::none;
  bool tuple = false;   // of a list
  int64_t integer = 0;  // boolean too
  double real = 0;
  std::string text;
  std::vector<PickleValue*> items;
  std::vector<std::pair<PickleValue*, PickleValue*>> entries;
  PickleValue *callee = nullptr, *args = nullptr, *state = nullptr;

  bool is(Kind other) const { return kind == other; }
  // "module.name" of a global, or of a call's callee; else "".
  std::string_view name() const;
  // The value under a text key of `entries`, or nullptr.
  const PickleValue* find(std::string_view key) const;
};

// Owns the values of one or several pickles.
class PickleArena {
 public:
  PickleArena() = default;
  PickleArena(const PickleArena&) = delete;
  PickleArena& operator=(const PickleArena&) = delete;

  // Reads one pickle from the front of `bytes` and returns its value; `used` (where given) becomes its length.
  // `name` stands for the file in errors. Errors: Error for an opcode that is not known, a stack that does not hold
  // what an opcode needs, and bytes that end inside the pickle. Memory grows with the length of the pickle, not with
  // what it says.
  PickleValue* parse(std::span<const std::byte> bytes, std::string_view name, size_t* used = nullptr);

  // New values, for writing.
  PickleValue* none();
  PickleValue* boolean(bool value);
  PickleValue* integer(int64_t value);
  PickleValue* real(double value);
  PickleValue* text(std::string value);
  PickleValue* list(std::vector<PickleValue*> items, bool tuple = false);
  PickleValue* dict();
  PickleValue* global(std::string name);
  PickleValue* call(std::string name, std::vector<PickleValue*> args);
  PickleValue* persistent(std::vector<PickleValue*> args);

  const std::deque<PickleValue>& values() const { return values_; }

 private:
  friend class PickleReader;
  PickleValue* make(PickleValue::Kind kind);
  std::deque<PickleValue> values_;
};

// The value as a pickle of protocol 2. Errors: InternalError for values nested more than 100 deep and for kinds `big`
// and `bytes`.
std::string write_pickle(const PickleValue& value);

}  // namespace gigacat::io
