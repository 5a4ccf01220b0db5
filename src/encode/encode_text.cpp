#include "gigacat/encode/encode_text.h"

#include <ATen/ATen.h>

#include <chrono>
#include <set>

#include "encode/encode_files.h"
#include "gigacat/core/error.h"
#include "gigacat/core/progress.h"
#include "gigacat/data/source.h"
#include "gigacat/pretrained/text_store.h"

namespace gigacat::encode {
namespace {

using nlohmann::ordered_json;

ordered_json settings_of(const EncodeTextRequest& request, const data::Source& source) {
  return {{"source", data::identity_of(source)},
          {"encoder", request.text.encoder},
          {"clip_weights", request.text.clip_weights},
          {"captions", request.data.caption_column},
          {"type", request.text.type},
          {"piece", request.text.piece}};
}

// The different captions of the samples first <= i < last; with the first ones the empty caption, which dropout gives.
std::set<std::string> captions_of(const data::Source& source, int64_t first, int64_t last) {
  std::set<std::string> captions;
  if (first == 0) captions.insert("");
  for (int64_t i = first; i < last; ++i) captions.insert(source.read(i).caption);
  return captions;
}

}  // namespace

void EncodeTextConfig::bind(config::Binder& b) {
  b.field("encoder", encoder, "clip", "which frozen text encoder", {.choices = {"clip", "fake"}});
  b.field("clip_weights", clip_weights, "", "safetensors file of CLIP");
  b.field("clip_vocabulary", clip_vocabulary, "", "bpe_simple_vocab_16e6.txt or .txt.gz of CLIP's tokenizer");
  b.field("type", type, "fp16", "number type on disk", {.choices = {"fp16", "fp32"}});
  b.field("batch", batch, 64, "captions encoded at once", {.min = 1, .max = 65536});
  b.field("piece", piece, 20'000, "samples of a file; an interrupted call begins its last one again",
          {.min = 1, .max = 10'000'000});
}

EncodeTextReport encode_text(const EncodeTextRequest& request, dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  if (!request.data.captions) fail<UsageError>("data.captions: it is the captions that are encoded: set it to true");
  const auto source = data::open_source(request.data);
  const EncodeTextConfig& text = request.text;
  const pretrained::TextImageSpec spec{text.encoder, text.clip_weights, text.clip_vocabulary, ""};
  const auto encoder = pretrained::make_text_image_encoder(spec, group.device());
  const EncodeFolder folder(request.out, "text");
  dist::on_first(group, "output folder", [&] {
    folder.prepare(settings_of(request, *source));
    return std::string();
  });

  EncodeTextReport report{.samples = source->size()};
  if (folder.provenance().is_null()) {
    Progress progress("encoding", "caption", source->size());
    folder.fill(group, source->size(), text.piece, [&](int64_t piece, int64_t first, int64_t last) {
      const std::set<std::string> captions = captions_of(*source, first, last);
      pretrained::TextStoreWriter writer;
      std::vector<std::string> batch;
      for (auto caption = captions.begin(); caption != captions.end();) {
        batch.push_back(*caption++);
        if (std::ssize(batch) < text.batch && caption != captions.end()) continue;
        writer.add(batch, encoder->read(batch));
        batch.clear();
        progress.update(first + writer.size() * (last - first) / std::ssize(captions));
      }
      writer.write(folder.piece_path(piece), text.type == "fp16" ? at::kHalf : at::kFloat);
      return ordered_json{{"samples", last - first}};
    });
    progress.finish();
    if (group.is_first())
      folder.complete({{"kind", "text features"},
                       {"settings", settings_of(request, *source)},
                       {"encoder", text.encoder},
                       {"text_width", encoder->text_width()},
                       {"length", encoder->length()},
                       {"layer_widths", encoder->layer_widths()}},
                      {});
    group.barrier("text features described");
  }
  report.captions = pretrained::TextStore(request.out).size();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::encode
