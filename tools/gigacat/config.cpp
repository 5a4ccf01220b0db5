// gigacat config list|show|check|schema|docs
#include "gigacat/core/config.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/installation.h"
#include "gigacat/core/text.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/run/config.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::string file, recipe;
  std::vector<std::string> overrides;
};

int show(const Flags& flags) {
  check_overrides(flags.overrides);
  std::fputs(config::to_yaml(run::load_config(flags.file, flags.overrides)->binder, /*origins=*/true).c_str(), stdout);
  return kOk;
}

int check(const Flags& flags) {
  check_overrides(flags.overrides);
  run::load_config(flags.file, flags.overrides);
  std::printf("%s: ok\n", flags.file.c_str());
  return kOk;
}

// The sentence that a preset begins with, without the comment's mark.
std::string first_sentence(const fs::path& file) {
  std::string text;
  for (const std::string& line : split(read_file(file), '\n')) {
    if (!line.starts_with("# ") || line.starts_with("#  ")) break;  // further in: a command
    text += (text.empty() ? "" : " ") + line.substr(2);
  }
  const size_t end = text.find(". ");
  return text.substr(0, end == std::string::npos && text.ends_with('.') ? text.size() - 1 : end);
}

// Files that only others include are left out: runs have a name, sweeps a base.
int list() {
  const fs::path configs = share_folder() / "configs";
  std::vector<std::pair<std::string, std::string>> trains, sweeps;
  for (const fs::path& file : preset_files()) {
    const config::Document document = config::Document::load(configs / file);
    const bool is_part = file.parent_path().filename() == "base";
    if (is_part || (document.scalar("name").empty() && document.scalar("base").empty())) continue;
    (document.scalar("base").empty() ? trains : sweeps).emplace_back(file.string(), first_sentence(configs / file));
  }
  if (trains.empty())
    fail("no presets are installed with this program: share/gigacat/configs is missing beside its folder");
  std::puts("presets, for `gigacat train NAME data.path=DIR`; a file of your own may include: NAME");
  for (const auto& [name, text] : trains) std::printf("  %-38s %s\n", name.c_str(), text.c_str());
  std::puts("sweeps, for `gigacat sweep run NAME`");
  for (const auto& [name, text] : sweeps) std::printf("  %-38s %s\n", name.c_str(), text.c_str());
  return kOk;
}

std::vector<std::string> wanted_recipes(const Flags& flags) {
  return flags.recipe.empty() ? recipes::recipe_names() : std::vector<std::string>{flags.recipe};
}

nlohmann::json schema_of(const std::string& recipe) {
  nlohmann::json schema =
      config::to_json_schema(run::default_config(recipe)->binder, "gigacat config, recipe " + recipe);
  // So that an editor knows which of several schemas a file is to be held against.
  schema["properties"]["recipe"]["const"] = recipe;
  schema["required"] = {"recipe"};
  return schema;
}

int schema(const Flags& flags) {
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& recipe : wanted_recipes(flags)) all.push_back(schema_of(recipe));
  const nlohmann::json whole =
      all.size() == 1 ? all.front() : nlohmann::json{{"title", "gigacat config"}, {"anyOf", all}};
  std::puts(whole.dump(2).c_str());
  return kOk;
}

// Headings a level down.
std::string deeper(const std::string& markdown) {
  std::string text;
  for (const std::string& line : split(markdown, '\n')) text += (line.starts_with("## ") ? "#" : "") + line + "\n";
  text.resize(text.size() - std::min<size_t>(text.size(), 1));  // split gives what stands behind the last line end too
  return text;
}

// Paths that every recipe declares, apart from the networks and losses.
std::set<std::string> shared_paths() {
  std::map<std::string, size_t> uses;
  const std::vector<std::string> names = recipes::recipe_names();
  for (const std::string& name : names)
    for (const config::Field& field : run::default_config(name)->binder.fields()) ++uses[field.path];
  std::set<std::string> shared;
  for (const auto& [path, count] : uses)
    if (count == names.size() && !path.starts_with("model.") && !path.starts_with("loss.")) shared.insert(path);
  return shared;
}

// The fields whose paths are in `shared`, or all others.
config::Binder part_of(config::Binder binder, const std::set<std::string>& shared, bool inside) {
  std::erase_if(binder.fields(), [&](const config::Field& field) { return shared.contains(field.path) != inside; });
  return binder;
}

int docs(const Flags& flags) {
  const std::vector<std::string> names = wanted_recipes(flags);
  const std::set<std::string> shared = shared_paths();
  std::string page =
      "# Configuration\n\n"
      "Made by `gigacat config docs`. Every value can stand in a file or on the command line as `section.key=value`; "
      "`gigacat config show FILE` prints what holds and where it comes from.\n\n";
  page += "## All recipes\n\n" +
          deeper(config::to_markdown(part_of(run::default_config(names.front())->binder, shared, true)));
  for (const std::string& name : names)
    page += cat("\n## Recipe ", name, "\n\n",
                deeper(config::to_markdown(part_of(run::default_config(name)->binder, shared, false))));
  std::fputs(page.c_str(), stdout);
  return kOk;
}

using Action = int (*)(const Flags&);

void add_file_command(CLI::App& group, Chosen& chosen, const std::string& name, const std::string& help,
                      Action action) {
  CLI::App* command =
      add_command(group, name, help, "gigacat config " + name + " cat/imagenet256-b-2.yaml train.batch=64");
  auto flags = std::make_shared<Flags>();
  command->add_option("CONFIG", flags->file, "config file, or the name of a preset")->type_name("")->required();
  add_overrides(*command, flags->overrides);
  command->callback([flags, action, &chosen] { chosen = [flags, action] { return action(*flags); }; });
}

void add_recipe_command(CLI::App& group, Chosen& chosen, const std::string& name, const std::string& help,
                        const std::string& example, Action action) {
  CLI::App* command = add_command(group, name, help, example);
  auto flags = std::make_shared<Flags>();
  command->add_option("RECIPE", flags->recipe, "only this recipe; without it all recipes")->type_name("");
  command->callback([flags, action, &chosen] { chosen = [flags, action] { return action(*flags); }; });
}

}  // namespace

void add_config(CLI::App& app, Chosen& chosen) {
  CLI::App* group = add_command(app, "config", "list, show, check and document configs",
                                "gigacat config show quickstart/emoji-cat.yaml");
  group->require_subcommand(1);
  CLI::App* listing = add_command(*group, "list", "name the presets, with a line each", "gigacat config list");
  listing->callback([&chosen] { chosen = list; });
  add_file_command(*group, chosen, "show", "print every value and where it comes from", show);
  add_file_command(*group, chosen, "check", "print ok, or every mistake", check);
  add_recipe_command(*group, chosen, "schema", "print the JSON Schema, for editors",
                     "gigacat config schema > gigacat.schema.json", schema);
  add_recipe_command(*group, chosen, "docs", "print the reference of all keys as Markdown",
                     "gigacat config docs > docs/configuration.md", docs);
}

}  // namespace gigacat::cli
