// The reader is the stack machine of pickle with every action taken out of it.
#include "gigacat/io/pickle.h"

#include <bit>
#include <unordered_map>

#include "bytes.h"
#include "gigacat/core/error.h"

namespace gigacat::io {

using Kind = PickleValue::Kind;

std::string_view PickleValue::name() const {
  if (kind == Kind::global) return text;
  if (kind == Kind::call && callee && callee->kind == Kind::global) return callee->text;
  return {};
}

const PickleValue* PickleValue::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name->kind == Kind::text && name->text == key) return value;
  return nullptr;
}

class PickleReader {
 public:
  PickleReader(PickleArena& arena, Bytes bytes, std::string_view name) : arena_(arena), bytes_(bytes), name_(name) {}

  PickleValue* run() {
    for (;;) {
      const auto opcode = number<uint8_t>();
      if (opcode == '.') return pop();
      if (!structure(opcode) && !scalar(opcode) && !container(opcode) && !object(opcode))
        wrong("opcode ", static_cast<int>(opcode), " is not read here");
    }
  }
  size_t used() const { return at_; }

 private:
  template <class... Args>
  [[noreturn]] void wrong(const Args&... args) const {
    fail(name_, ": byte ", at_, " of the pickle: ", args...);
  }

  Bytes take(uint64_t count) {
    if (count > bytes_.size() - at_) wrong("the file ends inside a value");
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  template <class T>
  T number() {
    return load_le<T>(take(sizeof(T)), 0);
  }
  std::string_view line() {
    const size_t start = at_;
    while (number<uint8_t>() != '\n') {
    }
    return as_text(bytes_.subspan(start, at_ - 1 - start));
  }

  PickleValue* push(PickleValue* value) {
    stack_.push_back(value);
    return value;
  }
  PickleValue* push(Kind kind) { return push(arena_.make(kind)); }
  PickleValue* top() const {
    if (stack_.size() <= floor()) wrong("a value is missing");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<PickleValue*> since_mark() {
    if (marks_.empty()) wrong("a mark is missing");
    std::vector<PickleValue*> values(stack_.begin() + static_cast<int64_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }

  // Marks, memo, frames.
  bool structure(uint8_t opcode) {
    switch (opcode) {
      case 0x80:
        take(1);
        return true;  // PROTO
      case 0x95:
        take(8);
        return true;  // FRAME
      case '(':
        marks_.push_back(stack_.size());
        return true;  // MARK
      case '0':
        pop();
        return true;  // POP
      case '1':
        since_mark();
        return true;  // POP_MARK
      case '2':
        push(top());
        return true;  // DUP
      case 'q':
        memo_[number<uint8_t>()] = top();
        return true;  // BINPUT
      case 'r':
        memo_[number<uint32_t>()] = top();
        return true;  // LONG_BINPUT
      case 0x94:
        memo_[static_cast<uint32_t>(memo_.size())] = top();
        return true;  // MEMOIZE
      case 'h':
        recall(number<uint8_t>());
        return true;  // BINGET
      case 'j':
        recall(number<uint32_t>());
        return true;  // LONG_BINGET
      default:
        return false;
    }
  }
  void recall(uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) wrong("memo ", key, " is empty");
    push(found->second);
  }

  bool scalar(uint8_t opcode) {
    switch (opcode) {
      case 'N':
        push(Kind::none);
        return true;  // NONE
      case 0x88:
        push(Kind::boolean)->integer = 1;
        return true;  // NEWTRUE
      case 0x89:
        push(Kind::boolean);
        return true;  // NEWFALSE
      case 'J':
        push(Kind::integer)->integer = number<int32_t>();
        return true;  // BININT
      case 'K':
        push(Kind::integer)->integer = number<uint8_t>();
        return true;  // BININT1
      case 'M':
        push(Kind::integer)->integer = number<uint16_t>();
        return true;  // BININT2
      case 0x8a:
        long_integer(number<uint8_t>());
        return true;  // LONG1
      case 0x8b:
        long_integer(number<uint32_t>());
        return true;  // LONG4
      case 'G':
        push(Kind::real)->real = std::bit_cast<double>(load_be<uint64_t>(take(8), 0));
        return true;  // BINFLOAT
      case 'U':
        push(Kind::text)->text = as_text(take(number<uint8_t>()));
        return true;  // SHORT_BINSTRING
      case 'T':
        push(Kind::text)->text = as_text(take(number<uint32_t>()));
        return true;  // BINSTRING
      case 0x8c:
        push(Kind::text)->text = as_text(take(number<uint8_t>()));
        return true;  // SHORT_BINUNICODE
      case 'X':
        push(Kind::text)->text = as_text(take(number<uint32_t>()));
        return true;  // BINUNICODE
      case 0x8d:
        push(Kind::text)->text = as_text(take(number<uint64_t>()));
        return true;  // BINUNICODE8
      case 'C':
        push(Kind::bytes)->text = as_text(take(number<uint8_t>()));
        return true;  // SHORT_BINBYTES
      case 'B':
        push(Kind::bytes)->text = as_text(take(number<uint32_t>()));
        return true;  // BINBYTES
      case 0x8e:      // BINBYTES8
      case 0x96:
        push(Kind::bytes)->text = as_text(take(number<uint64_t>()));
        return true;  // BYTEARRAY8
      default:
        return false;
    }
  }
  // Two's complement, little-endian, of any length.
  void long_integer(uint64_t length) {
    const Bytes digits = take(length);
    if (length > 8) {
      push(Kind::big)->text = as_text(digits);
      return;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < length; ++i) value |= std::to_integer<uint64_t>(digits[i]) << (8 * i);
    const bool negative = length > 0 && (std::to_integer<int>(digits[length - 1]) & 0x80);
    if (negative && length < 8) value |= ~uint64_t{0} << (8 * length);
    push(Kind::integer)->integer = static_cast<int64_t>(value);
  }
  bool container(uint8_t opcode) {
    switch (opcode) {
      case ']':
        push(Kind::list);
        return true;  // EMPTY_LIST
      case 0x8f:
        push(Kind::list);
        return true;  // EMPTY_SET
      case ')':
        push(Kind::list)->tuple = true;
        return true;  // EMPTY_TUPLE
      case 'l':
        list(since_mark(), false);
        return true;  // LIST
      case 0x91:
        list(since_mark(), false);
        return true;  // FROZENSET
      case 't':
        list(since_mark(), true);
        return true;  // TUPLE
      case 0x85:
      case 0x86:
      case 0x87:
        tuple(opcode - 0x84);
        return true;  // TUPLE1, 2, 3
      case 'a':
        append({pop()});
        return true;  // APPEND
      case 'e':
      case 0x90:
        append(since_mark());
        return true;  // APPENDS, ADDITEMS
      case '}':
        push(Kind::dict);
        return true;  // EMPTY_DICT
      case 'd':
        dict();
        return true;  // DICT
      case 's':
        set_item();
        return true;  // SETITEM
      case 'u':
        set(since_mark());
        return true;  // SETITEMS
      default:
        return false;
    }
  }
  void list(std::vector<PickleValue*> items, bool tuple) {
    PickleValue* made = push(Kind::list);
    made->items = std::move(items);
    made->tuple = tuple;
  }
  void tuple(int count) {
    std::vector<PickleValue*> items(static_cast<size_t>(count));
    for (int i = count; i-- > 0;) items[static_cast<size_t>(i)] = pop();
    list(std::move(items), true);
  }
  void append(const std::vector<PickleValue*>& items) {
    PickleValue* target = top();
    if (!target->is(Kind::list) && !target->is(Kind::call)) wrong("something is appended to what is no list");
    target->items.insert(target->items.end(), items.begin(), items.end());
  }
  void dict() {
    const auto items = since_mark();
    push(Kind::dict);
    set(items);
  }
  void set_item() {
    PickleValue *value = pop(), *key = pop();
    set({key, value});
  }
  void set(const std::vector<PickleValue*>& items) {
    PickleValue* target = top();
    if (!target->is(Kind::dict) && !target->is(Kind::call)) wrong("an item is set in what is no dictionary");
    if (items.size() % 2 != 0) wrong("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2) target->entries.emplace_back(items[i], items[i + 1]);
  }

  // Names and calls.
  bool object(uint8_t opcode) {
    switch (opcode) {
      case 'c': {  // GLOBAL
        const std::string_view module = line();
        const std::string_view member = line();
        push(Kind::global)->text = cat(module, ".", member);
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const PickleValue *member = pop(), *module = pop();
        if (!member->is(Kind::text) || !module->is(Kind::text)) wrong("a name that is no text");
        push(Kind::global)->text = cat(module->text, ".", member->text);
        return true;
      }
      case 0x92:
        pop();
        return call();  // NEWOBJ_EX: the keyword arguments are passed over
      case 'R':
      case 0x81:
        return call();  // REDUCE, NEWOBJ
      case 'b': {       // BUILD
        PickleValue* state = pop();
        top()->state = state;
        return true;
      }
      case 'Q': {  // BINPERSID
        PickleValue* reference = pop();
        push(Kind::persistent)->args = reference;
        return true;
      }
      default:
        return false;
    }
  }
  bool call() {
    PickleValue *args = pop(), *callee = pop();
    PickleValue* made = push(callee->name() == "collections.OrderedDict" ? Kind::dict : Kind::call);
    made->callee = callee;
    made->args = args;
    return true;
  }

  PickleArena& arena_;
  Bytes bytes_;
  std::string_view name_;
  size_t at_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
};

PickleValue* PickleArena::parse(Bytes bytes, std::string_view name, size_t* used) {
  PickleReader reader(*this, bytes, name);
  PickleValue* value = reader.run();
  if (used) *used = reader.used();
  return value;
}

PickleValue* PickleArena::make(Kind kind) {
  PickleValue* value = &values_.emplace_back();
  value->kind = kind;
  return value;
}

}  // namespace gigacat::io
