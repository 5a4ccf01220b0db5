// The pickle reader.
#include "gigacat/io/pickle.h"

#include <cstdlib>
#include <set>

#include "fuzz.h"

namespace {

// Every value that can be reached is looked at once, circles included.
size_t walk(const gigacat::io::PickleValue* value, std::set<const gigacat::io::PickleValue*>& seen) {
  size_t sum = 0;
  std::vector<const gigacat::io::PickleValue*> open{value};
  while (!open.empty()) {
    const auto* one = open.back();
    open.pop_back();
    if (!one || !seen.insert(one).second) continue;
    sum += one->text.size() + one->name().size() + (one->find("key") ? 1 : 0);
    open.insert(open.end(), one->items.begin(), one->items.end());
    for (const auto& [key, item] : one->entries) {
      if (!key || !item) std::abort();
      open.push_back(key);
      open.push_back(item);
    }
    for (const auto* part : {one->callee, one->args, one->state}) open.push_back(part);
  }
  return sum;
}

}  // namespace

FUZZ(bytes) {
  gigacat::io::PickleArena arena;
  size_t used = 0;
  const auto* value = arena.parse(bytes, "fuzz", &used);
  if (!value || used > bytes.size()) std::abort();
  std::set<const gigacat::io::PickleValue*> seen;
  gigacat::fuzz::sink = walk(value, seen);
}
