#include "export/huggingface.h"

#include <ATen/ATen.h>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/run/class_names.h"

namespace gigacat::exports {
namespace {

using nlohmann::json;

constexpr uint64_t kMostJson = 64 << 20;  // bytes of a file that a run wrote

json read_json(const fs::path& file) {
  if (!fs::exists(file)) return json::object();
  json value = json::parse(read_file(file, kMostJson), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) fail(file.string(), " is damaged: it holds no JSON object");
  return value;
}

std::vector<json> newest_results(const fs::path& metrics) {
  std::map<std::string, json> newest;
  if (!fs::exists(metrics)) return {};
  for (const std::string& line : split(read_file(metrics, kMostJson), '\n')) {
    const json value = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object() || !value.contains("eval")) continue;  // a line of losses, or one that was cut short
    newest[value["eval"].value("metric", "")] = value;
  }
  std::vector<json> all;
  for (const auto& [metric, value] : newest) all.push_back(value);
  return all;
}

std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::string row(const std::string& what, const std::string& value) {
  return value.empty() ? "" : cat("| ", what, " | ", value, " |\n");
}

std::string data_text(const json& data) {
  if (!data.is_object()) return "";
  std::string text = cat(text_of(data.value("samples", json(0))), " samples");
  if (const json classes = data.value("classes", json(0)); classes != 0 && classes != 1)
    text += cat(", ", text_of(classes), " classes");
  return cat(fs::path(data.value("path", "")).filename().string(), " (", text, ")");
}

std::string metric_rows(const std::vector<json>& evaluations) {
  std::string rows;
  for (const json& line : evaluations) {
    const json& eval = line["eval"];
    if (!eval.contains("results")) continue;
    for (const auto& [name, value] : eval["results"].items())
      rows +=
          cat("| ", name, " | ", text_of(value), " | ", text_of(line.value("step", json(""))), " | ",
              text_of(eval.value("fake_images", json(""))), " | ", text_of(eval.value("protocol", json(""))), " |\n");
  }
  if (rows.empty()) return "None were measured while it was trained.\n";
  return "| metric | value | step | images | protocol |\n| --- | --- | --- | --- | --- |\n" + rows;
}

std::string classes_text(const Exported& made) {
  constexpr size_t kMostNames = 20;
  if (!made.model->has_classes()) return "";
  std::string text = cat(made.model->shape().num_classes);
  if (!made.class_names.empty()) text += ": " + join_first(made.class_names, kMostNames);
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');  // of a table
  return text;
}

// What the card's examples draw: words for the shell, and what inputs_of() takes for two samples.
struct DrawingWords {
  std::string arguments, inputs;
};

DrawingWords drawing_words(const Exported& made) {
  if (made.generator.text) return {"\"red heart\" \"blue circle\"", "[\"red heart\", \"blue circle\"]"};
  if (!made.model->has_classes()) return {"--count 3", "2"};
  return made.model->shape().num_classes > 2 ? DrawingWords{"0 1 2", "[\"0\", \"1\"]"}
                                             : DrawingWords{"0 1", "[\"0\", \"1\"]"};
}

std::string facts_table(const Exported& made, const RunFacts& facts) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : made.weights) tensors.push_back(tensor);
  const models::ImageShape& shape = made.model->shape();
  const auto number = [&](const json& of, const char* key) { return of.contains(key) ? of[key].dump() : ""; };
  return cat(
      "| | |\n| --- | --- |\n", row("architecture", made.model->name()),
      row("output", cat(shape.channels, " x ", shape.height, " x ", shape.width)), row("classes", classes_text(made)),
      row("parameters", cat(nn::count_elements(tensors))),
      row("weights", join(std::vector<std::string>{made.dtype, facts.weights}, facts.weights.empty() ? "" : ", ")),
      row("data", data_text(facts.run.value("data", json()))), row("training steps", number(facts.state, "step")),
      row("images seen", number(facts.state, "images")), row("ranks", number(facts.state, "ranks")),
      row("started", facts.run.value("started", "")),
      row("made by", facts.run.contains("version") ? "gigacat " + facts.run["version"].get<std::string>() : ""));
}

// How the run was gone on with, where it was.
std::string history(const json& run) {
  const json starts = run.value("starts", json::array());
  if (starts.size() < 2) return "";
  std::string rows = "\n## Starts\n\n| after step | time | ranks | changes |\n| --- | --- | --- | --- |\n";
  for (const json& start : starts) {
    const auto changes = start.value("changes", std::vector<std::string>());
    rows += cat("| ", text_of(start.value("step", json(0))), " | ", start.value("time", ""), " | ",
                text_of(start.value("ranks", json(1))), " | ", join(changes, "; "), " |\n");
  }
  return rows;
}

}  // namespace

RunFacts read_facts(const run::WeightSource& source) {
  if (!fs::is_directory(source.origin)) return {"", json::object(), json::object(), {}};
  const fs::path run = fs::absolute(source.origin).parent_path().parent_path();  // RUN/checkpoints/step-N
  const bool average = source.weights.stem() == "ema";
  return {average ? "moving average" : "of the last step", read_json(run / "run.json"),
          read_json(source.origin / "state.json"), newest_results(run / "metrics.jsonl")};
}

std::string model_card(const Exported& made, const RunFacts& facts, const std::string& license) {
  const run::RunConfig& config = *made.config;
  const bool text = made.generator.text.has_value(), latents = !made.makes_pixels;
  const DrawingWords words = drawing_words(made);
  std::string card = cat(
      "---\nlicense: ", license,
      "\nlibrary_name: gigacat\npipeline_tag: ", text ? "text-to-image" : "unconditional-image-generation",
      "\ntags:\n- gan\n- ", made.model->name(), "\n---\n\n# ", config.name, "\n\nA generator trained with gigacat.\n\n",
      facts_table(made, facts), history(facts.run), "\n## Metrics\n\n", metric_rows(facts.evaluations),
      "\n## Drawing images\n\nNeeds `torch` and `safetensors`:\n\n```sh\npython gigacat_generator.py ", words.arguments,
      " --seed 0 --out ", latents ? "latents.safetensors" : "samples", "\n```\n\n```python\n",
      "from gigacat_generator import Generator\n\ngenerator = Generator()\n",
      "z = generator.latents(0, range(2))  # of samples 0 and 1 of seed 0\nimages = generator(z, "
      "*generator.inputs_of(",
      words.inputs, "), truncation=0.7)\n```\n\n");
  card += latents ? cat("It draws latents of the autoencoder that it was trained on, scaled: "
                        "`latents / ",
                        config.data.latent_scale, " + ", config.data.latent_shift,
                        "` is what the autoencoder's decoder takes.\n")
                  : "Images lie in [-1, 1].\n";
  return card + "`config.yaml` holds every value that it was trained with.\n";
}

void write_huggingface(const Exported& made, const run::WeightSource& source, const std::string& license,
                       const fs::path& out) {
  fs::create_directories(out);
  nn::write_tensors(out / "model.safetensors", made.weights, {{"format", "pt"}});
  write_atomically(out / "config.yaml", made.config->to_yaml());
  run::write_class_names(out, made.class_names);
  write_atomically(out / "config.json", describe(made).dump(2) + "\n");
  write_atomically(out / "gigacat_network.py", made.generator.functions);
  write_atomically(out / "gigacat_generator.py", kLoaderText);
  write_atomically(out / "README.md", model_card(made, read_facts(source), license));
}

}  // namespace gigacat::exports
