#include "command_tree.h"

namespace gigacat::cli {
namespace {

OptionNode option_node(const CLI::Option& option) {
  OptionNode made;
  for (const std::string& name : option.get_lnames()) made.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) made.names.push_back("-" + name);
  if (option.get_items_expected_max() > 0)
    made.type = option.get_type_name().empty() ? "VALUE" : option.get_type_name();
  made.help = option.get_description();
  made.default_text = option.get_default_str();
  if (made.names.empty()) made.place = option.get_name(/*positional=*/true);
  return made;
}

void add(const CLI::App& app, const std::string& parent, CommandTree& all) {
  CommandNode made{parent.empty() ? app.get_name() : parent + " " + app.get_name(),
                   app.get_name(),
                   app.get_description(),
                   app.get_footer(),
                   {},
                   {}};
  for (const CLI::Option* option : app.get_options()) made.options.push_back(option_node(*option));
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) made.children.push_back(child->get_name());
  const std::string path = made.path;
  all.push_back(std::move(made));
  for (const CLI::App* child : children) add(*child, path, all);
}

}  // namespace

CommandTree command_tree(const CLI::App& root) {
  CommandTree all;
  add(root, "", all);
  return all;
}

}  // namespace gigacat::cli
