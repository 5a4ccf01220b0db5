// Hashes stand here as published; a file without one is recorded on first use.
#include <algorithm>
#include <array>

#include "gigacat/core/error.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::weights {
namespace {

constexpr const char* kMit = "MIT";
constexpr const char* kApache = "Apache-2.0";
constexpr const char* kNotSeen = "not seen";

std::string openai(const std::string& sha, const std::string& file) {
  return "https://openaipublic.azureedge.net/clip/models/" + sha + "/" + file;
}

WeightFile clip(const std::string& name, const std::string& file, const std::string& sha) {
  return {name, file, "CLIP score, CLIP-FID, text conditioning", kMit, openai(sha, file), sha, 0};
}

WeightFile dinov2(const std::string& name, const std::string& arch, const std::string& suffix, const std::string& sha,
                  int64_t bytes = 0) {
  const std::string file = arch + suffix + "_pretrain.pth";
  return {name, file, "alignment of GAT and CAT", kApache, "https://dl.fbaipublicfiles.com/dinov2/" + arch + "/" + file,
          sha,  bytes};
}

WeightFile lpips(const std::string& net, const std::string& sha, int64_t bytes) {
  return {
      "lpips-" + net,
      "lpips-v0.1-" + net + ".pth",
      "LPIPS v0.1 heads",
      "BSD-2-Clause",
      "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/082bb24f84c091ea94de2867d34c4544f68e0963/lpips/"
      "weights/v0.1/" +
          net + ".pth",
      sha,
      bytes};
}

std::string hugging_face(const std::string& repository, const std::string& revision, const std::string& file) {
  return "https://huggingface.co/" + repository + "/resolve/" + revision + "/" + file;
}

WeightFile taesd_code(const std::string& file, const std::string& sha, int64_t bytes) {
  std::string name = file;
  std::replace(name.begin(), name.end(), '_', '-');
  return {name,
          file + ".pth",
          "small autoencoder",
          kMit,
          "https://github.com/madebyollin/taesd/raw/5cccb12dc72074a4be35680c3b108548a7c69978/" + file + ".pth",
          sha,
          bytes};
}

std::vector<WeightFile> encoders() {
  return {
      clip("clip-b32", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
      clip("clip-b16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
      clip("clip-l14", "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
      clip("clip-l14-336", "ViT-L-14-336px.pt", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
      {"clip-vocabulary", "bpe_simple_vocab_16e6.txt.gz", "the words of CLIP's tokenizer", kMit,
       "https://github.com/openai/CLIP/raw/main/clip/bpe_simple_vocab_16e6.txt.gz",
       "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a", 1356917},
      {"openclip-g14", "openclip-vit-g-14-laion2b_s12b_b42k.safetensors", "CLIP score of the GigaGAN paper", kNotSeen,
       hugging_face("laion/CLIP-ViT-g-14-laion2B-s12B-b42K", "main", "open_clip_model.safetensors"), "", 0},
      dinov2("dinov2-s14", "dinov2_vits14", "", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
             88283115),
      dinov2("dinov2-s14-reg", "dinov2_vits14", "_reg4",
             "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb"),
      dinov2("dinov2-b14", "dinov2_vitb14", "", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
             346378731),
      dinov2("dinov2-b14-reg", "dinov2_vitb14", "_reg4",
             "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71"),
      dinov2("dinov2-l14", "dinov2_vitl14", "", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
             1217586395),
      dinov2("dinov2-l14-reg", "dinov2_vitl14", "_reg4",
             "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51")};
}

std::vector<WeightFile> evaluators() {
  return {
      {"inception-torchscript", "inception-2015-12-05.pt", "FID and kin as the StyleGAN metrics and clean-fid load it",
       "network Apache-2.0; terms of this packaging not seen",
       "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
       "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4", 95607719},
      {"inception", "pt_inception-2015-12-05-6726825d.pth", "FID and kin, pytorch-fid's file", kApache,
       "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
       "6726825d", 0},
      {"inception-fidelity", "weights-inception-2015-12-05-6726825d.pth", "FID and kin, torch-fidelity's file", kApache,
       "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
       "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", 95628359},
      lpips("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6009),
      lpips("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7289),
      lpips("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76", 10811),
      {"vgg16", "vgg16-397923af.pth", "backbone of LPIPS (vgg)", "BSD-3-Clause",
       "https://download.pytorch.org/models/vgg16-397923af.pth",
       "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 0},
      {"alexnet", "alexnet-owt-7be5be79.pth", "backbone of LPIPS (alex)", "BSD-3-Clause",
       "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
       "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", 244408911}};
}

std::vector<WeightFile> autoencoders() {
  const std::string mse = "31f26fdeee1355a5c34592e401dd41e45d25a493",
                    taesd = "614f76814bbe30edbe2e627ace1c2234c81a2c0e",
                    taesdxl = "b20258aaef75ef61e659c1e0f14f251cf0ad153e",
                    taef1 = "b1b2d00e9e440cfbf3dedb34266864da86016ceb";
  const std::string model = "diffusion_pytorch_model.safetensors", mit_code = "MIT (code repository)";
  return {{"sd-vae-mse", "sd-vae-ft-mse.safetensors", "latents of GAT and CAT; training grids of the official GAT",
           kNotSeen, hugging_face("stabilityai/sd-vae-ft-mse", mse, model),
           "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815", 334643276},
          {"sd-vae-mse-config", "sd-vae-ft-mse.json", "its config.json", kNotSeen,
           hugging_face("stabilityai/sd-vae-ft-mse", mse, "config.json"),
           "92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e", 547},
          {"sd-vae-ema", "sd-vae-ft-ema.safetensors", "samples of the official GAT's generate.py", kNotSeen,
           hugging_face("stabilityai/sd-vae-ft-ema", "main", model), "", 0},
          {"taesd", "taesd.safetensors", "small autoencoder of SD latents, both halves", kMit,
           hugging_face("madebyollin/taesd", taesd, model),
           "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549", 9793292},
          {"taesd-decoder", "taesd_decoder.safetensors", "its decoder", kMit,
           hugging_face("madebyollin/taesd", taesd, "taesd_decoder.safetensors"),
           "f0fb51dd10d41c26612c070fa0b52ea0215a5ff90792134b4971109dd713c019", 4895612},
          {"taesd-encoder", "taesd_encoder.safetensors", "its encoder", kMit,
           hugging_face("madebyollin/taesd", taesd, "taesd_encoder.safetensors"),
           "160d90c61c3a5ce50fe2cbe6404b3429f5763772d61b38523cc37e1525b4e19f", 0},
          {"taesdxl-decoder", "taesdxl_decoder.safetensors", "small decoder of SDXL latents", mit_code,
           hugging_face("madebyollin/taesdxl", taesdxl, "taesdxl_decoder.safetensors"),
           "f6013131e7eb412ef20113f1acc2ea7d3e47e53196ca0530fa65d9b61d814b61", 0},
          {"taesdxl-encoder", "taesdxl_encoder.safetensors", "small encoder of SDXL latents", mit_code,
           hugging_face("madebyollin/taesdxl", taesdxl, "taesdxl_encoder.safetensors"),
           "9f37c0b28f72ec4ca835dc7dbf05255bdf323cde8cf12a304674f106466c98ef", 0},
          {"taef1", "taef1.safetensors", "small autoencoder of FLUX latents", mit_code,
           hugging_face("madebyollin/taef1", taef1, model),
           "47a6c2bff850da04b267cab70fe3553fef57255eb9a8e76852baa0a87850e54d", 9848636},
          taesd_code("taef2_encoder", "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6", 2704692),
          taesd_code("taef2_decoder", "0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5", 2704756),
          taesd_code("taesana_encoder", "858f4e4cc293f88efaf58107f4154b960b9ced0cb5d9c050dad11f926b618c1f", 2537004)};
}

std::vector<WeightFile> upsamplers() {
  const std::string v1 = "87da2f52b29b6351391f71c74de581c393fc19f5", v2 = "ff452185a7c8b51206dd62c21c292e7baad5c3a3";
  const std::string what = "4x upsampler", licence = "weights' own not seen (code CC BY-SA 4.0)";
  return {
      {"aurasr", "aurasr-v1.safetensors", what, licence, hugging_face("fal/AuraSR", v1, "model.safetensors"), "", 0},
      {"aurasr-config", "aurasr-v1.json", "its config.json", licence, hugging_face("fal/AuraSR", v1, "config.json"), "",
       0},
      {"aurasr-v2", "aurasr-v2.safetensors", what, licence, hugging_face("fal/AuraSR-v2", v2, "model.safetensors"), "",
       0},
      {"aurasr-v2-config", "aurasr-v2.json", "its config.json", licence,
       hugging_face("fal/AuraSR-v2", v2, "config.json"), "", 0}};
}

}  // namespace

const std::vector<WeightFile>& known_weights() {
  static const std::vector<WeightFile> all = [] {
    std::vector<WeightFile> files;
    for (const auto& part : {encoders(), evaluators(), autoencoders(), upsamplers()})
      files.insert(files.end(), part.begin(), part.end());
    return files;
  }();
  return all;
}

const WeightFile& find_weight_file(const std::string& name) {
  std::vector<std::string> names;
  for (const WeightFile& file : known_weights()) {
    if (file.name == name || file.file == name) return file;
    names.push_back(file.name);
  }
  const std::string near = nearest(name, names);
  fail<UsageError>("no weight file is called '", name, "'", near.empty() ? "" : cat("; did you mean ", near, "?"),
                   " (gigacat weights list)");
}

}  // namespace gigacat::weights
