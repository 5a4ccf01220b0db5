#include "gigacat/text/tokenizer.h"

#include <ATen/Functions.h>
#include <zlib.h>

#include <algorithm>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "text/html.h"
#include "text/repair.h"

namespace gigacat::text {
namespace {

using text::Text;
using text::TextView;

constexpr int64_t kBytes = 256, kMerges = 49152 - 256 - 2;
constexpr uint64_t kMostUnpacked = 64ull << 20;

std::string unpack(const std::string& packed, const std::string& name) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) fail("zlib cannot start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  int state = Z_OK;
  while (state == Z_OK && out.size() < kMostUnpacked) {
    const size_t before = out.size();
    out.resize(before + (1 << 20));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = 1 << 20;
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) fail(name, " is no whole gzip file");
  return out;
}

// The vocabulary writes bytes as printable characters: themselves, or 256 and following in order.
std::vector<char32_t> printable_bytes() {
  std::vector<char32_t> characters(kBytes);
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= U'!' && byte <= U'~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters[byte] = itself ? byte : next++;
  }
  return characters;
}

// Bytes in the order of their ids: those that are written as themselves first.
std::vector<int64_t> id_order(const std::vector<char32_t>& characters) {
  std::vector<int64_t> order;
  for (const bool itself : {true, false})
    for (int64_t byte = 0; byte < kBytes; ++byte)
      if ((characters[static_cast<size_t>(byte)] == static_cast<char32_t>(byte)) == itself) order.push_back(byte);
  return order;
}

uint64_t pair_key(int64_t first, int64_t second) {
  return static_cast<uint64_t>(first) << 32 | static_cast<uint64_t>(second);
}

Text cleaned(std::string_view utf8) {
  const Text fixed = text::fix_text(text::from_utf8(utf8));
  const Text plain = text::html_unescape(text::html_unescape(fixed));
  Text joined;
  for (const char32_t c : text::strip(plain)) {
    if (!text::is_space(c))
      joined.push_back(c);
    else if (joined.back() != U' ')
      joined.push_back(U' ');
  }
  return text::lower(joined);
}

// Whether `text` continues with `word`, the long s taken for an s as the pattern's ignoring of case does.
bool continues(TextView text, TextView word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if ((text[i] == U'ſ' ? U's' : text[i]) != word[i]) return false;
  return true;
}

// What parts words and belongs to none: spaces, and the one mark that the pattern takes for no letter and for no other
// character either, because it ignores case and the mark's capital is a letter.
bool parts_words(char32_t c) { return text::is_space(c) || c == 0x0345; }

constexpr TextView kSpecial[] = {U"<start_of_text>", U"<end_of_text>"};

// Length of the word at the front of `text`: special words, contractions, letters, one number,
// others.
size_t word_length(TextView text) {
  for (const TextView word : kSpecial)
    if (continues(text, word)) return word.size();
  for (const TextView word : {TextView(U"'s"), TextView(U"'t"), TextView(U"'re"), TextView(U"'ve"), TextView(U"'m"),
                              TextView(U"'ll"), TextView(U"'d")})
    if (continues(text, word)) return word.size();
  if (text::is_number(text[0])) return 1;
  const bool letters = text::is_letter(text[0]);
  size_t length = 1;
  while (length < text.size() && text::is_letter(text[length]) == letters && !parts_words(text[length]) &&
         !text::is_number(text[length]))
    ++length;
  return length;
}

}  // namespace

Tokenizer::Tokenizer(const std::filesystem::path& vocabulary) {
  const std::string name = vocabulary.string();
  std::string content = read_file(vocabulary, kMostUnpacked);
  if (content.starts_with("\x1f\x8b")) content = unpack(content, name);
  const std::vector<char32_t> characters = printable_bytes();
  std::unordered_map<std::string, int64_t> ids;
  byte_ids_.resize(2 * kBytes);
  for (const int64_t byte : id_order(characters)) {
    const std::string symbol = text::to_utf8(TextView(&characters[static_cast<size_t>(byte)], 1));
    const int64_t id = std::ssize(ids) / 2;
    ids[symbol] = byte_ids_[static_cast<size_t>(byte)] = id;
    ids[symbol + "</w>"] = byte_ids_[static_cast<size_t>(kBytes + byte)] = kBytes + id;
  }
  const std::vector<std::string> lines = split(content, '\n');
  if (std::ssize(lines) <= kMerges) fail(name, " is no vocabulary of CLIP: it has ", lines.size(), " lines");
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int64_t rank = 0; rank < kMerges; ++rank) {
    const std::string line = trim(lines[static_cast<size_t>(rank + 1)]);
    const size_t space = line.find(' ');
    if (space == std::string::npos) fail(name, ": line ", rank + 2, " is no pair: ", line.substr(0, 40));
    pairs.emplace_back(line.substr(0, space), line.substr(space + 1));
    ids[pairs.back().first + pairs.back().second] = 2 * kBytes + rank;
  }
  for (int64_t rank = 0; rank < kMerges; ++rank) {
    const auto& [first, second] = pairs[static_cast<size_t>(rank)];
    const auto a = ids.find(first), b = ids.find(second);
    if (a == ids.end() || b == ids.end()) fail(name, ": line ", rank + 2, " joins what no line before it makes");
    merges_[pair_key(a->second, b->second)] = {rank, ids.at(first + second)};
  }
  size_ = 2 * kBytes + kMerges + 2;
}

// Joins the pair of lowest rank, everywhere, until no pair is in the table.
void Tokenizer::add_word(std::string_view bytes, std::vector<int64_t>& ids) const {
  std::vector<int64_t> word;
  for (const char byte : bytes) word.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
  word.back() = byte_ids_[static_cast<size_t>(kBytes + static_cast<uint8_t>(bytes.back()))];
  for (;;) {
    uint64_t best_key = 0;
    const Merge* best = nullptr;
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      const uint64_t key = pair_key(word[i], word[i + 1]);
      const auto found = merges_.find(key);
      if (found == merges_.end() || (best && found->second.rank >= best->rank)) continue;
      best = &found->second;
      best_key = key;
    }
    if (!best) break;
    size_t out = 0;
    for (size_t i = 0; i < word.size(); ++out) {
      const bool joins = i + 1 < word.size() && pair_key(word[i], word[i + 1]) == best_key;
      word[out] = joins ? best->result : word[i];
      i += joins ? 2 : 1;
    }
    word.resize(out);
  }
  ids.insert(ids.end(), word.begin(), word.end());
}

std::vector<int64_t> Tokenizer::encode(std::string_view utf8) const {
  const Text all = cleaned(utf8);
  std::vector<int64_t> ids;
  for (TextView rest = all; !rest.empty();) {
    if (parts_words(rest[0])) {
      rest.remove_prefix(1);
      continue;
    }
    const TextView word = rest.substr(0, word_length(rest));
    rest.remove_prefix(word.size());
    if (word == kSpecial[0])
      ids.push_back(start());
    else if (word == kSpecial[1])
      ids.push_back(end());
    else
      add_word(text::to_utf8(word), ids);
  }
  return ids;
}

at::Tensor Tokenizer::tokens(const std::vector<std::string>& texts, int64_t context) const {
  GIGACAT_CHECK(context >= 2, context);
  const at::Tensor out = at::zeros({std::ssize(texts), context}, at::kLong);
  int64_t* row = out.data_ptr<int64_t>();
  for (const std::string& one : texts) {
    std::vector<int64_t> ids = encode(one);
    ids.insert(ids.begin(), start());
    ids.push_back(end());
    if (std::ssize(ids) > context) {
      ids.resize(static_cast<size_t>(context));
      ids.back() = end();
    }
    std::copy(ids.begin(), ids.end(), row);
    row += context;
  }
  return out;
}

}  // namespace gigacat::text
