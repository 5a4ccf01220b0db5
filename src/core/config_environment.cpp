#include <cstdlib>

#include "config_internal.h"

namespace gigacat::config {
namespace {

constexpr size_t kLongest = size_t{1} << 20;

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  const std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  return text.find_first_not_of(letters) == std::string_view::npos;
}

// Replaces one "${...}" whose inner text is `inside`; as in a shell, ":-" also stands in for an empty variable.
void append_variable(Expansion& out, std::string_view inside) {
  const size_t mark = inside.find(":-");
  const std::string name(inside.substr(0, mark));
  if (!is_name(name) || inside.find("${") != std::string_view::npos) {
    out.problem = cat("cannot read ", shown(cat("${", inside, "}")), "; write ${NAME} or ${NAME:-default}");
    return;
  }
  const char* value = std::getenv(name.c_str());
  const bool has_default = mark != std::string_view::npos;
  if (has_default && (value == nullptr || *value == '\0')) {
    out.text += inside.substr(mark + 2);
  } else if (value != nullptr) {
    out.text += value;
  } else {
    out.problem = cat("the environment variable ", name, " is not set; set it or write ${", name, ":-default}");
  }
}

}  // namespace

Expansion expand_environment(std::string_view text) {
  Expansion out;
  while (out.problem.empty()) {
    const size_t dollar = text.find('$');
    out.text += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    if (text.starts_with("$${")) {
      out.text += "${";
      text.remove_prefix(3);
    } else if (text.starts_with("${")) {
      const size_t end = text.find('}');
      if (end == std::string_view::npos) {
        out.problem = "${ without }; write ${NAME} or ${NAME:-default}, or $${ for the characters themselves";
        break;
      }
      append_variable(out, text.substr(2, end - 2));
      out.replaced = true;
      text.remove_prefix(end + 1);
    } else {
      out.text += '$';
      text.remove_prefix(1);
    }
    if (out.text.size() > kLongest) out.problem = "longer than 1 MiB once its variables are replaced";
  }
  return out;
}

}  // namespace gigacat::config
