// gigacat data encode
#include <cstdio>

#include "cli.h"
#include "gigacat/core/text.h"
#include "gigacat/encode/encode.h"
#include "gigacat/encode/encode_text.h"
#include "gigacat/pretrained/features.h"
#include "launch.h"

namespace gigacat::cli {
namespace {

struct Flags {
  std::string data;
  encode::EncodeRequest request;
  std::vector<std::string> settings;
  int ranks = 1;
  bool text = false;
  encode::EncodeTextConfig text_config;
};

void read_settings(Flags& flags) {
  check_overrides(flags.settings);
  check_out_folder(flags.request.out.string());
  encode::EncodeRequest& request = flags.request;
  config::Binder binder;
  binder.section("data", request.data, "the samples");
  if (flags.text) {
    binder.section("text", flags.text_config, "encoder of the captions");
  } else {
    binder.section("autoencoder", request.autoencoder, "autoencoder that turns the images into latents");
    binder.section("encode", request.encode, "what is written");
  }
  std::vector<std::string> values = {"data.path=" + flags.data};
  if (flags.text) values.insert(values.end(), {"data.captions=true", "data.resolution=64"});  // no image is decoded
  values.insert(values.end(), flags.settings.begin(), flags.settings.end());
  config::Document::parse("", "command line", values).apply(binder);
}

void print(const Flags& flags, const encode::EncodeReport& report) {
  const std::string out = flags.request.out.string();
  std::printf("%lld latents [%s] in %s", static_cast<long long>(report.written), join(report.latent, ", ").c_str(),
              out.c_str());
  if (report.kept > 0) std::printf(", %lld were there", static_cast<long long>(report.kept));
  std::printf(" (%s)\n", human_time(report.seconds).c_str());
  if (report.bad > 0) std::printf("%lld images cannot be decoded\n", static_cast<long long>(report.bad));
  for (const std::string& reason : report.first_bad) std::printf("  bad: %s\n", reason.c_str());
  std::printf("mean %.4f, deviation %.4f; train on them with\n", report.mean, report.deviation);
  std::printf(
      "  data.kind=latents data.flip=false data.path=%s data.channels=%lld data.height=%lld data.width=%lld "
      "data.latent_shift=%.4f "
      "data.latent_scale=%.4f autoencoder.kind=%s autoencoder.weights=%s\n",
      out.c_str(), static_cast<long long>(report.latent[0]), static_cast<long long>(report.latent[1]),
      static_cast<long long>(report.latent[2]), report.mean, report.deviation > 0 ? 1 / report.deviation : 1.0,
      flags.request.autoencoder.kind.c_str(), flags.request.autoencoder.weights.c_str());
  if (flags.request.encode.features != "none")
    std::printf("  'data.features=%s/*.tar' loss.align=precomputed loss.align_dim=%lld\n", out.c_str(),
                static_cast<long long>(pretrained::feature_width(flags.request.encode.features)));
}

int encode_text(const Flags& flags, dist::Group& group) {
  const encode::EncodeTextRequest request{flags.request.out, flags.request.data, flags.text_config};
  const encode::EncodeTextReport report = encode::encode_text(request, group);
  if (!group.is_first()) return kOk;
  std::printf("features of %lld captions of %lld samples in %s (%s); train on them with\n",
              static_cast<long long>(report.captions), static_cast<long long>(report.samples),
              request.out.string().c_str(), human_time(report.seconds).c_str());
  std::printf("  model.text.encoder=%s model.text.stored=%s\n", request.text.encoder.c_str(),
              request.out.string().c_str());
  return kOk;
}

int run(Flags& flags) {
  read_settings(flags);
  return on_ranks(flags.ranks, [&](dist::Group& group) {
    if (flags.text) return encode_text(flags, group);
    const encode::EncodeReport report = encode::encode_images(flags.request, group);
    if (group.is_first()) print(flags, report);
    return kOk;
  });
}

}  // namespace

void add_data_encode(CLI::App& group, Chosen& chosen) {
  CLI::App* command = add_command(
      group, "encode", "turn images into latents of an autoencoder, or captions into features of a text encoder",
      "gigacat data encode data/photos data/latents data.resolution=256 autoencoder.kind=taesd "
      "autoencoder.weights=taef2-encoder,taef2-decoder\n\n"
      "Keys: data.*, autoencoder.* as in a config, encode.layout (shards, repa), encode.piece, encode.flip, "
      "encode.keep_images, encode.features, encode.features_weights; with --text data.*, text.encoder, "
      "text.clip_weights, text.clip_vocabulary, text.type, text.batch, text.piece.");
  auto flags = std::make_shared<Flags>();
  command->add_option("DATA", flags->data, "data set of images")->type_name("")->required();
  command->add_option("OUT", flags->request.out, "folder to write")->type_name("")->required();
  command->add_option("SETTINGS", flags->settings, "values, as data.resolution=256")->type_name("");
  command->add_flag("--text", flags->text, "encode the captions, for model.text.stored of a GigaGAN");
  add_count(*command, "--ranks", flags->ranks, 1024, "processes to start on this machine", "Processes");
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace gigacat::cli
