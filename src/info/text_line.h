// Lines of the texts that `gigacat info` prints.
#pragma once

#include <iomanip>
#include <ostream>
#include <string>

namespace gigacat::info {

// "  NAME    VALUE  NOTE", name and value in columns of their own.
inline void line(std::ostream& out, const std::string& name, const std::string& value, const std::string& note = "") {
  out << "  " << std::left << std::setw(28) << name << std::right << std::setw(12) << value;
  if (!note.empty()) out << "  " << note;
  out << "\n";
}

}  // namespace gigacat::info
