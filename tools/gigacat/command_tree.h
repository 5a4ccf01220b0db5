// The commands and options of the program as it declares them, for completions and the manual page.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gigacat::cli {

// A flag, an option or an argument.
struct OptionNode {
  std::vector<std::string> names;  // "--out", "-o", long ones first; none: an argument by its place
  std::string type;                // "FILE"; empty: takes no value
  std::string help, default_text;  // the default as text
  std::string place;               // name of an argument by its place
};

// A command and its options.
struct CommandNode {
  std::string path;  // "gigacat edit interpolate"
  std::string name, help, footer;
  std::vector<OptionNode> options;
  std::vector<std::string> children;  // names of its commands
};

// The root first, each command before its own commands.
using CommandTree = std::vector<CommandNode>;

// The tree of the program's commands.
CommandTree command_tree(const CLI::App& root);

}  // namespace gigacat::cli
