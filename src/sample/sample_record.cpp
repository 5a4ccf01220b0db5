#include "sample/sample_record.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gigacat/core/text.h"
#include "gigacat/sample/image_texts.h"
#include "sample/sample_folder.h"

namespace gigacat::sample {
namespace {

using json = nlohmann::ordered_json;

// How samples are drawn and from what.
void add_drawing(io::PngTexts& texts, const SampleRequest& request, const OpenedSampler& opened) {
  texts.emplace_back("truncation", cat(request.truncation));
  texts.emplace_back("guidance", cat(request.guidance));
  if (const upsample::Upsampler* upsampler = opened.sampler->upsampler()) {
    texts.emplace_back("upsampler", upsampler->hash());
    texts.emplace_back("scale", cat(upsampler->scale()));
  }
  add_origin(texts, opened.source);
}

// A line of the list in samples.json.
json entry_of(const Sampler& sampler, const SampleSpec& spec, int64_t i) {
  const int64_t stages = sampler.stages();
  json entry = {{"file", png_name(i, stages - 1, stages)}};
  if (stages > 1)
    for (int64_t stage = 0; stage < stages; ++stage) entry["files"].push_back(png_name(i, stage, stages));
  entry["seed"] = spec.seed;
  entry["index"] = spec.index;
  const Conditions& conditions = sampler.conditions();
  if (conditions.is_text) entry["prompt"] = sampler.prompts().at(static_cast<size_t>(spec.label));
  if (!conditions.has_classes()) return entry;
  entry["class"] = spec.label;
  if (const std::string name = conditions.name_of(spec.label); !name.empty()) entry["class_name"] = name;
  return entry;
}

}  // namespace

json settings_of(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs) {
  const Sampler& sampler = *opened.sampler;
  json settings = {{"checkpoint", opened.source.origin.string()},
                   {"weights_crc32c", opened.source.checksum},
                   {"autoencoder", sampler.space()},
                   {"count", specs.size()}};
  if (sampler.conditions().has_classes()) settings["labels"] = request.labels;
  settings["truncation"] = request.truncation;
  settings["guidance"] = request.guidance;
  settings["all_stages"] = request.all_stages;
  if (!request.prompts.empty()) settings["prompts"] = request.prompts;
  if (sampler.upsampler()) {
    settings["upsampler"] = sampler.upsampler()->hash();
    settings["scale"] = sampler.upsampler()->scale();
  }
  if (request.seeds.empty())
    settings["seed"] = request.seed;
  else
    settings["seeds"] = request.seeds;
  json& list = settings["samples"] = json::array();
  for (const SampleSpec& spec : specs) list.push_back(entry_of(sampler, spec, std::ssize(list)));
  return settings;
}

io::PngTexts texts_of_sample(const SampleRequest& request, const OpenedSampler& opened, const SampleSpec& spec,
                             int64_t stage) {
  const Sampler& sampler = *opened.sampler;
  const Conditions& conditions = sampler.conditions();
  io::PngTexts texts = {{"seed", cat(spec.seed)}};
  if (request.seeds.empty()) texts.emplace_back("index", cat(spec.index));
  if (conditions.is_text) texts.emplace_back("prompt", sampler.prompts().at(static_cast<size_t>(spec.label)));
  if (conditions.has_classes()) texts.emplace_back("class", cat(spec.label));
  if (const std::string name = conditions.name_of(spec.label); !name.empty()) texts.emplace_back("class_name", name);
  if (sampler.stages() > 1) texts.emplace_back("stage", cat(stage));
  add_drawing(texts, request, opened);
  return texts;
}

io::PngTexts texts_of_grid(const SampleRequest& request, const OpenedSampler& opened, int64_t count) {
  const Conditions& conditions = opened.sampler->conditions();
  io::PngTexts texts;
  if (request.seeds.empty())
    texts = {{"seed", cat(request.seed)}, {"count", cat(count)}};
  else
    texts = {{"seeds", request.seeds}};
  if (conditions.is_text) texts.emplace_back("prompts", join(opened.sampler->prompts(), "\n"));
  if (conditions.has_classes()) texts.emplace_back("labels", request.labels);
  if (request.all_stages) texts.emplace_back("all_stages", "true");
  add_drawing(texts, request, opened);
  return texts;
}

}  // namespace gigacat::sample
