#include "engine/message_names.h"

#include <algorithm>
#include <cstring>

#include <openssl/evp.h>

#include "base/assert.h"

namespace millrace::engine {

Bytes properties_of(const std::byte* message) {
  const auto& header = *reinterpret_cast<const MessageHeader*>(message);
  return {message + sizeof header, header.properties_bytes};
}

namespace {

// Looking the algorithm up costs several times what a short body does, so each thread keeps it.
class Sha256 {
 public:
  Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    MR_ASSERT(algorithm_ != nullptr && context_ != nullptr);
  }
  ~Sha256() {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(algorithm_);
  }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  ContentHash of(Bytes bytes) {
    ContentHash hash;
    const bool made = EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1 &&
                      EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1 &&
                      EVP_DigestFinal_ex(context_, hash.data(), nullptr) == 1;
    MR_ASSERT(made);
    return hash;
  }

 private:
  EVP_MD* algorithm_;
  EVP_MD_CTX* context_;
};

}  // namespace

ContentHash content_hash(Bytes body) {
  thread_local Sha256 sha256;
  return sha256.of(body);
}

std::array<char, 64> hex_text(const ContentHash& hash) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 64> text;
  for (size_t i = 0; i < hash.size(); ++i) {
    text[2 * i] = kDigits[hash[i] >> 4];
    text[2 * i + 1] = kDigits[hash[i] & 15];
  }
  return text;
}

base::Hash128 group_key(const base::KeyedHash& names, Bytes properties) {
  return names.of(find_property(properties, PropertyTag::group).value_or(Bytes{}));
}

namespace {

struct NameTexts {
  explicit NameTexts(Bytes properties) {
    PropertyReader reader(properties);
    while (const auto property = reader.next()) {
      if (property->tag == PropertyTag::group) group = as_text(property->value);
      if (property->tag == PropertyTag::deduplication_id) id = as_text(property->value);
      if (property->tag == PropertyTag::content_hash &&
          property->value.size() == sizeof(ContentHash)) {
        ContentHash hash;
        std::memcpy(hash.data(), property->value.data(), hash.size());
        hex = hex_text(hash);
        id = {hex.data(), hex.size()};
      }
    }
  }
  NameTexts(const NameTexts&) = delete;
  NameTexts& operator=(const NameTexts&) = delete;

  std::string_view group;
  std::string_view id;
  std::array<char, 64> hex;  // what `id` shows, if it is by content
};

std::optional<base::Hash128> dedup_key(const base::KeyedHash& names, std::string_view group,
                                       std::string_view id, bool by_group) {
  if (id.empty()) return std::nullopt;
  if (!by_group) return names.of(as_bytes(id));
  // The group's length first: no two pairs give the same bytes.
  std::array<char, 1 + 2 * kGroupIdBytesMax> pair;
  group = group.substr(0, kGroupIdBytesMax);
  id = id.substr(0, kGroupIdBytesMax);
  pair[0] = static_cast<char>(group.size());
  char* end = std::copy(group.begin(), group.end(), pair.data() + 1);
  end = std::copy(id.begin(), id.end(), end);
  return names.of(as_bytes({pair.data(), end}));
}

}  // namespace

std::optional<base::Hash128> dedup_key(const base::KeyedHash& names, Bytes properties,
                                       bool by_group) {
  const NameTexts texts(properties);
  return dedup_key(names, texts.group, texts.id, by_group);
}

MessageNames names_of(const base::KeyedHash& names, Bytes properties, bool by_group) {
  const NameTexts texts(properties);
  return {names.of(as_bytes(texts.group)), dedup_key(names, texts.group, texts.id, by_group)};
}

void properties_that_move(Bytes properties, std::string* out) {
  out->clear();
  PropertyReader reader(properties);
  while (const auto property = reader.next()) {
    switch (property->tag) {
      case PropertyTag::deduplication_id:
      case PropertyTag::content_hash:
      case PropertyTag::moved:
        break;
      default:
        append_property(*out, property->tag, property->name, property->type, property->value);
    }
  }
}

}  // namespace millrace::engine
