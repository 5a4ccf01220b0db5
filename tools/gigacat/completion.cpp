// gigacat completion bash|zsh|fish
#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>

#include "cli.h"
#include "command_tree.h"
#include "gigacat/core/error.h"

namespace gigacat::cli {
namespace {

// In single quotes of a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Paths of all commands but the root: "gigacat train".
std::vector<std::string> paths(const CommandTree& all) {
  std::vector<std::string> out;
  for (size_t i = 1; i < all.size(); ++i) out.push_back(cat("\"", all[i].path, "\""));
  return out;
}

// The commands right below one.
CommandTree below(const CommandTree& all, const CommandNode& command) {
  CommandTree found;
  std::copy_if(all.begin(), all.end(), std::back_inserter(found),
               [&](const CommandNode& other) { return other.path == command.path + " " + other.name; });
  return found;
}

// A command's option names, each as `show` gives it.
std::vector<std::string> option_names(const CommandNode& command,
                                      const std::function<std::string(const std::string&, const std::string&)>& show) {
  std::vector<std::string> names;
  for (const OptionNode& option : command.options)
    for (const std::string& name : option.names) names.push_back(show(name, option.help));
  return names;
}

std::string bash(const CommandTree& all) {
  std::string cases;
  for (const CommandNode& command : all)
    cases += cat("    \"", command.path, "\") words=\"", join(command.children, " "), "\" options=\"",
                 join(option_names(command, [](auto& name, auto&) { return name; }), " "), "\" ;;\n");
  return cat(
      "# Completion of gigacat for bash, made by `gigacat completion bash`.\n_gigacat() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} path=gigacat words= options= i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n    case \"$path ${COMP_WORDS[i]}\" in\n      ",
      join(paths(all), " | "), ") path=\"$path ${COMP_WORDS[i]}\" ;;\n    esac\n  done\n  case $path in\n", cases,
      "  esac\n  [[ $current == -* ]] && words=$options\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) # none: files\n}\n"
      "complete -o default -F _gigacat gigacat\n");
}

// "name:help" as _describe takes it.
std::string described(const std::string& name, const std::string& help) {
  std::string escaped;
  for (const char c : name) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
  return quoted(escaped + ":" + help);
}

std::string zsh(const CommandTree& all) {
  std::string cases;
  for (const CommandNode& command : all) {
    std::vector<std::string> commands;
    for (const CommandNode& other : below(all, command)) commands.push_back(described(other.name, other.help));
    cases += cat("    (\"", command.path, "\")\n      commands=(", join(commands, " "), ")\n      options=(",
                 join(option_names(command, described), " "), ") ;;\n");
  }
  return cat(
      "#compdef gigacat\n# Completion of gigacat for zsh, made by `gigacat completion zsh`.\n_gigacat() {\n"
      "  local at=gigacat word\n  local -a commands options\n  for word in ${words[2,CURRENT-1]}; do\n"
      "    case \"$at $word\" in\n      (",
      join(paths(all), "|"), ") at=\"$at $word\" ;;\n    esac\n  done\n  case $at in\n", cases,
      "  esac\n  if [[ ${words[CURRENT]} == -* ]]; then\n    _describe -o option options\n"
      "  elif (( $#commands )); then\n    _describe command commands\n  else\n    _files\n  fi\n}\n"
      "if [ \"$funcstack[1]\" = _gigacat ]; then _gigacat \"$@\"; else compdef _gigacat gigacat; fi\n");
}

std::string fish(const CommandTree& all) {
  std::string lines;
  for (const CommandNode& command : all) {
    const std::string start = cat("complete -c gigacat -n 'test \"$(__gigacat_at)\" = \"", command.path, "\"'");
    for (const CommandNode& other : below(all, command))
      lines += cat(start, " -f -a ", other.name, " -d ", quoted(other.help), "\n");
    for (const OptionNode& option : command.options) {
      if (option.names.empty()) continue;
      lines += start;
      for (const std::string& name : option.names)
        lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      lines += cat(option.type.empty() ? "" : " -r", " -d ", quoted(option.help), "\n");
    }
  }
  return cat(
      "# Completion of gigacat for fish, made by `gigacat completion fish`.\nfunction __gigacat_at\n"
      "  set -l at gigacat\n  for word in (commandline -opc)[2..]\n    if contains -- \"$at $word\" ",
      join(paths(all), " "), "\n      set at \"$at $word\"\n    end\n  end\n  echo $at\nend\n", lines);
}

int run(const std::string& shell, const CLI::App& app) {
  const CommandTree all = command_tree(app);
  if (shell == "bash")
    std::fputs(bash(all).c_str(), stdout);
  else if (shell == "zsh")
    std::fputs(zsh(all).c_str(), stdout);
  else if (shell == "fish")
    std::fputs(fish(all).c_str(), stdout);
  else
    fail<UsageError>("no completions for '", shell, "': there are bash, zsh and fish");
  return kOk;
}

}  // namespace

void add_completion(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "completion", "print completions for a shell",
                                  "gigacat completion bash > ~/.local/share/bash-completion/completions/gigacat");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->type_name("")->required();
  command->callback([shell, &app, &chosen] { chosen = [shell, &app] { return run(*shell, app); }; });
}

}  // namespace gigacat::cli
