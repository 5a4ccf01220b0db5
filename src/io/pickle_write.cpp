// Writing of pickles: protocol 2, no memo.
#include <bit>
#include <limits>

#include "bytes.h"
#include "gigacat/core/error.h"
#include "gigacat/io/pickle.h"

namespace gigacat::io {
namespace {

using Kind = PickleValue::Kind;
constexpr int kDeepest = 100;

class Writer {
 public:
  void write(const PickleValue& value, int depth) {
    GIGACAT_CHECK(depth < kDeepest, "a pickle nested too deep");
    switch (value.kind) {
      case Kind::none:
        out += 'N';
        break;
      case Kind::boolean:
        out += value.integer ? '\x88' : '\x89';
        break;
      case Kind::integer:
        integer(value.integer);
        break;
      case Kind::real:
        real(value.real);
        break;
      case Kind::text:
        text(value.text);
        break;
      case Kind::list:
        list(value, depth);
        break;
      case Kind::dict:
        out += '}';
        items(value, depth);
        break;
      case Kind::global:
        global(value.text);
        break;
      case Kind::call:
        write(*value.callee, depth + 1);
        write(*value.args, depth + 1);
        out += 'R';
        items(value, depth);
        break;
      case Kind::persistent:
        write(*value.args, depth + 1);
        out += 'Q';
        break;
      case Kind::big:
      case Kind::bytes:
        fail<InternalError>("this kind of value is not written");
    }
  }
  std::string out = std::string("\x80\x02", 2);

 private:
  void integer(int64_t value) {
    if (value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max()) {
      out += 'J';
      append_le(out, static_cast<int32_t>(value));
      return;
    }
    out += "\x8a\x08";  // LONG1 of eight bytes
    append_le(out, value);
  }
  void real(double value) {
    out += 'G';
    append_le(out, __builtin_bswap64(std::bit_cast<uint64_t>(value)));
  }
  void text(const std::string& value) {
    out += 'X';
    append_le(out, static_cast<uint32_t>(value.size()));
    out += value;
  }
  void global(const std::string& name) {
    const size_t dot = name.rfind('.');
    GIGACAT_CHECK(dot != std::string::npos, name);
    out += cat('c', name.substr(0, dot), '\n', name.substr(dot + 1), '\n');
  }
  void list(const PickleValue& value, int depth) {
    out += value.tuple ? "(" : "](";
    for (const PickleValue* item : value.items) write(*item, depth + 1);
    out += value.tuple ? 't' : 'e';
  }
  void items(const PickleValue& value, int depth) {
    if (value.entries.empty()) return;
    out += '(';
    for (const auto& [key, item] : value.entries) {
      write(*key, depth + 1);
      write(*item, depth + 1);
    }
    out += 'u';
  }
};

}  // namespace

std::string write_pickle(const PickleValue& value) {
  Writer writer;
  writer.write(value, 0);
  return writer.out + '.';
}

PickleValue* PickleArena::none() { return make(Kind::none); }

PickleValue* PickleArena::boolean(bool value) {
  PickleValue* made = make(Kind::boolean);
  made->integer = value;
  return made;
}

PickleValue* PickleArena::integer(int64_t value) {
  PickleValue* made = make(Kind::integer);
  made->integer = value;
  return made;
}

PickleValue* PickleArena::real(double value) {
  PickleValue* made = make(Kind::real);
  made->real = value;
  return made;
}

PickleValue* PickleArena::text(std::string value) {
  PickleValue* made = make(Kind::text);
  made->text = std::move(value);
  return made;
}

PickleValue* PickleArena::list(std::vector<PickleValue*> items, bool tuple) {
  PickleValue* made = make(Kind::list);
  made->items = std::move(items);
  made->tuple = tuple;
  return made;
}

PickleValue* PickleArena::dict() { return make(Kind::dict); }

PickleValue* PickleArena::global(std::string name) {
  PickleValue* made = make(Kind::global);
  made->text = std::move(name);
  return made;
}

PickleValue* PickleArena::call(std::string name, std::vector<PickleValue*> args) {
  PickleValue* callee = global(std::move(name));
  PickleValue* made = make(Kind::call);
  made->callee = callee;
  made->args = list(std::move(args), true);
  return made;
}

PickleValue* PickleArena::persistent(std::vector<PickleValue*> args) {
  PickleValue* made = make(Kind::persistent);
  made->args = list(std::move(args), true);
  return made;
}

}  // namespace gigacat::io
