// gigacat man
#include <cstdio>

#include "cli.h"
#include "command_tree.h"
#include "gigacat/core/text.h"

namespace gigacat::cli {
namespace {

// Text in which troff sees no commands.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '-') out += '\\';
    out += c == '\\' ? 'e' : c;
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string option_text(const OptionNode& option) {
  std::string head = option.place;
  for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + name;
  const std::string value = option.type.empty() || option.names.empty() ? "" : " \\fI" + plain(option.type) + "\\fR";
  const std::string standard = option.default_text.empty() ? "" : cat(" (default: ", plain(option.default_text), ")");
  return cat(".TP\n\\fB", plain(head), "\\fR", value, "\n", plain(option.help), standard, "\n");
}

// The lines behind "Example:".
std::string example(const CommandNode& command) {
  const std::string mark = "Example:\n";
  const size_t at = command.footer.find(mark);
  if (at == std::string::npos) return "";
  const std::vector<std::string> lines = split(command.footer.substr(at + mark.size()), '\n');
  return lines.empty() ? "" : cat(".PP\nExample:\n.PP\n.EX\n", plain(lines.front()), "\n.EE\n");
}

std::string page(const CommandTree& all) {
  std::string text =
      cat(".TH GIGACAT 1 \"\" \"", plain(version_line()), "\" \"User Commands\"\n.SH NAME\ngigacat \\- ",
          plain(all.front().help), "\n.SH SYNOPSIS\n\\fBgigacat\\fR \\fICOMMAND\\fR ...\n.SH COMMANDS\n");
  for (size_t i = 1; i < all.size(); ++i) {
    const CommandNode& command = all[i];
    text += cat(".SS \"", plain(command.path), "\"\n", plain(command.help), "\n");
    for (const OptionNode& option : command.options) text += option_text(option);
    text += example(command);
  }
  return text +
         ".SH \"EXIT STATUS\"\n0: done. 1: something outside the program failed. 2: the command line or the config is "
         "wrong. 3: a fault of gigacat itself.\n.SH ENVIRONMENT\n.TP\n\\fBGIGACAT_CACHE\\fR\nfolder for indexes, "
         "statistics and weights; else ~/.cache/gigacat\n.TP\n\\fBGIGACAT_IMAGES\\fR\nsamples on a terminal: none, "
         "blocks (of "
         "characters) or sixel; else what the terminal is known to show\n";
}

}  // namespace

void add_man(CLI::App& app, Chosen& chosen) {
  CLI::App* command = add_command(app, "man", "print the manual page", "gigacat man > gigacat.1");
  command->callback([&app, &chosen] {
    chosen = [&app] {
      std::fputs(page(command_tree(app)).c_str(), stdout);
      return kOk;
    };
  });
}

}  // namespace gigacat::cli
