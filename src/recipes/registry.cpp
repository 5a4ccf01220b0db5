#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "recipes/table.h"

namespace gigacat::recipes {
namespace {

struct Entry {
  std::string name;
  GanConfig (*make)();
};

// A new GAN is a line here.
std::vector<Entry>& table() {
  static std::vector<Entry> entries{
      {"gat", make_gat},
      {"cat", make_cat},
      {"gigagan", make_gigagan},
      {"upsampler", make_upsampler},
  };
  return entries;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Entry& entry : table()) names.push_back(entry.name);
  return names;
}

GanConfig make_gan_config(const std::string& name) {
  for (const Entry& entry : table())
    if (entry.name == name) return entry.make();
  const std::string near = nearest(name, recipe_names());
  fail<UsageError>("recipe: unknown recipe \"", name, "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?",
                   " Known: ", join(recipe_names()));
}

void register_recipe(const std::string& name, GanConfig (*make)()) { table().push_back({name, make}); }

}  // namespace gigacat::recipes
