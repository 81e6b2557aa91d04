#include "net/aws/credentials.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "base/printable.h"
#define TOML_EXCEPTIONS 0
#include "base/toml.h"
#include "net/aws/arn.h"
#include "net/aws/sha256.h"
#include "net/private_file.h"

namespace millrace::net {
namespace {

constexpr size_t kFileBytesMax = 1u << 20;
constexpr size_t kIdBytesMin = 3;
constexpr size_t kIdBytesMax = 128;
constexpr size_t kStrictSecretBytesMin = 16;
constexpr size_t kLiveKeysMax = 2;  // of a user: the one in use and the one that takes its place
constexpr size_t kPoliciesMax = 10;

bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
}

}  // namespace

// From a file's text to a snapshot. The first mistake ends it.
class CredentialsReader {
 public:
  CredentialsReader(std::string_view path, std::string_view account, std::string* why)
      : path_(path), account_(account), why_(*why), made_(std::make_shared<Credentials>()) {}

  std::shared_ptr<const Credentials> read(std::string& text) {
    toml::parse_result parsed = toml::parse(std::string_view(text), path_);
    const size_t size = text.size();
    wipe(text);
    if (!parsed) {
      refuse(parsed.error().source(), std::string(parsed.error().description()));
      return nullptr;
    }
    const bool good = made_->secrets_.reserve(size)
                          ? read_file(parsed.table())
                          : refuse({}, "there is no memory for the secrets");
    wipe_keys(parsed.table());
    if (!good) return nullptr;
    for (const AccessKey& key : made_->keys_)
      made_->by_id_.emplace(key.id, &key);
    for (const auto& user : made_->users_)
      made_->by_arn_.emplace(user->arn, user.get());
    return std::move(made_);
  }

 private:
  // A value with its name and where it stands.
  struct Entry {
    std::string_view name;
    toml::node& node;
  };

  bool refuse(const toml::source_region& where, std::string text) {
    why_ = base::one_line(where.begin.line > 0
                              ? fmt::format("{}:{}: {}", path_, where.begin.line, text)
                              : fmt::format("{}: {}", path_, text));
    return false;
  }
  bool refuse(const Entry& entry, std::string_view must) {
    return refuse(entry.node.source(), fmt::format("{} must be {}", entry.name, must));
  }

  // The parser's copies of the secrets.
  static void wipe_keys(toml::table& file) {
    toml::array* keys = file["key"].as_array();
    if (keys == nullptr) return;
    for (toml::node& key : *keys) {
      if (!key.is_table()) continue;
      for (auto&& [name, value] : *key.as_table())
        if (toml::value<std::string>* text = value.as_string()) wipe(text->get());
    }
  }

  bool read_file(toml::table& file) {
    for (auto&& [name, node] : file) {
      const Entry entry{name.str(), node};
      if (entry.name == "mode") {
        if (!read_mode(entry)) return false;
      } else if (entry.name != "key" && entry.name != "user") {
        return refuse(node.source(), fmt::format("unknown key \"{}\"", entry.name));
      }
    }
    return each_table(file, "user", [this](toml::table& user) { return read_user(user); }) &&
           each_table(file, "key", [this](toml::table& key) { return read_key(key); });
  }

  template <class Read>
  bool each_table(toml::table& in, std::string_view name, Read read) {
    toml::node* node = in.get(name);
    if (node == nullptr) return true;
    toml::array* tables = node->as_array();
    if (tables == nullptr) return refuse({name, *node}, fmt::format("written as [[{}]]", name));
    for (toml::node& table : *tables) {
      if (!table.is_table()) return refuse({name, table}, fmt::format("written as [[{}]]", name));
      if (!read(*table.as_table())) return false;
    }
    return true;
  }

  bool read_mode(const Entry& entry) {
    const std::string mode = entry.node.value_or(std::string());
    made_->mode_ = mode == "off"       ? AuthMode::off
                   : mode == "relaxed" ? AuthMode::relaxed
                                       : AuthMode::strict;
    return mode == "off" || mode == "relaxed" || mode == "strict" ||
           refuse(entry, "off, relaxed or strict");
  }

  bool read_account(const Entry& entry, std::string* account) {
    *account = entry.node.value_or(std::string());
    return is_account(*account) || refuse(entry, "the 12 digits of an account, as a text");
  }

  bool read_name(const Entry& entry, std::string* name) {
    constexpr size_t kNameBytesMax = 64;
    *name = entry.node.value_or(std::string());
    return (!name->empty() && name->size() <= kNameBytesMax && is_made_of(*name, "_+=,.@-")) ||
           refuse(entry, "1 to 64 of letters, digits and _+=,.@-");
  }

  // In the form that AWS's have, and the same at each start.
  static std::string user_id_of(std::string_view arn) {
    constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    constexpr size_t kIdBytes = 21;
    std::string id = "AIDA";
    for (const uint8_t byte : Sha256().of(arn)) {
      if (id.size() < kIdBytes) id += kLetters[byte % kLetters.size()];
    }
    return id;
  }

  User* find_user(std::string_view account, std::string_view name) {
    for (const auto& user : made_->users_)
      if (user->account == account && user->name == name) return user.get();
    return nullptr;
  }

  User* add_user(std::string account, std::string name) {
    auto user = std::make_unique<User>();
    user->arn = name.empty() ? fmt::format("arn:aws:iam::{}:root", account)
                             : fmt::format("arn:aws:iam::{}:user/{}", account, name);
    user->id = name.empty() ? account : user_id_of(user->arn);
    user->account = std::move(account);
    user->name = std::move(name);
    made_->users_.push_back(std::move(user));
    return made_->users_.back().get();
  }

  // --- users ---

  bool read_user(toml::table& table) {
    std::string account = account_;
    std::string name;
    for (auto&& [key, node] : table) {
      const Entry entry{key.str(), node};
      const bool good =
          entry.name == "name"      ? read_name(entry, &name)
          : entry.name == "account" ? read_account(entry, &account)
          : entry.name == "policy" || entry.name == "rule"
              ? true
              : refuse(node.source(), fmt::format("a user has no \"{}\"", entry.name));
      if (!good) return false;
    }
    if (name.empty()) return refuse(table.source(), "a user must have a name");
    if (find_user(account, name) != nullptr)
      return refuse(table.source(), fmt::format("the user {} comes twice", name));
    User& user = *add_user(std::move(account), std::move(name));
    if (toml::node* policy = table.get("policy"); policy != nullptr) {
      if (!read_policies({"policy", *policy}, user)) return false;
    }
    return each_table(table, "rule", [&](toml::table& rule) { return read_rule(rule, user); });
  }

  bool read_policies(const Entry& entry, User& user) {
    toml::array* list = entry.node.as_array();
    if (list == nullptr) return read_policy(entry, user);
    return std::all_of(list->begin(), list->end(), [&](toml::node& one) {
      return read_policy({entry.name, one}, user);
    });
  }

  bool read_policy(const Entry& entry, User& user) {
    const auto* text = entry.node.as_string();
    if (text == nullptr) return refuse(entry, "a policy document in JSON, or a list of them");
    return add_policy(entry.node.source(), text->get(), user);
  }

  bool add_policy(const toml::source_region& where, std::string_view text, User& user) {
    if (user.policies.size() == kPoliciesMax)
      return refuse(where, fmt::format("a user may have {} policies and rules", kPoliciesMax));
    PolicyRefusal refusal;
    std::optional<Policy> policy = Policy::parse(text, PolicyOf::user, &refusal);
    if (!policy) return refuse(where, fmt::format("a policy of {}: {}", user.name, refusal.text));
    user.policies.push_back(std::move(*policy));
    return true;
  }

  // allow = ["SendMessage"], queues = ["orders*"]: a statement in short. With topics and no queues
  // actions are SNS's.
  bool read_rule(toml::table& table, User& user) {
    std::string actions;
    std::string resources;
    std::string_view effect;
    const std::string_view service =
        table.contains("topics") && !table.contains("queues") ? "sns" : "sqs";
    for (auto&& [key, node] : table) {
      const Entry entry{key.str(), node};
      bool good = false;
      if (entry.name == "allow" || entry.name == "deny") {
        if (!effect.empty()) return refuse(node.source(), "a rule has either allow or deny");
        effect = entry.name == "allow" ? "Allow" : "Deny";
        const std::string prefix = fmt::format("{}:", service);
        good = quote_each(entry, "*?:-", "names of actions", &actions, [&](std::string_view name) {
          const bool whole = name == "*" || name.find(':') != std::string_view::npos;
          return whole ? std::string_view() : prefix;
        });
      } else if (entry.name == "queues" || entry.name == "topics") {
        const bool queues = entry.name == "queues";
        const std::string prefix =
            fmt::format("arn:aws:{}:*:{}:", queues ? "sqs" : "sns", user.account);
        good = quote_each(entry, "*?_.-", queues ? "names of queues" : "names of topics",
                          &resources, [&](std::string_view) { return std::string_view(prefix); });
      } else {
        good = refuse(node.source(), fmt::format("a rule has no \"{}\"", entry.name));
      }
      if (!good) return false;
    }
    if (effect.empty()) return refuse(table.source(), "a rule must have allow or deny");
    if (resources.empty()) resources = "\"*\"";
    return add_policy(
        table.source(),
        fmt::format(R"({{"Statement":{{"Effect":"{}","Action":[{}],"Resource":[{}]}}}})", effect,
                    actions, resources),
        user);
  }

  // Texts as a JSON list without its brackets, each with the prefix that it needs.
  template <class Prefix>
  bool quote_each(const Entry& entry, std::string_view others, std::string_view what,
                  std::string* out, Prefix prefix) {
    toml::array* list = entry.node.as_array();
    if (list == nullptr || list->empty()) return refuse(entry, fmt::format("a list of {}", what));
    for (toml::node& node : *list) {
      const std::string name = node.value_or(std::string());
      if (name.empty() || !is_made_of(name, others))
        return refuse({entry.name, node}, fmt::format("a list of {}", what));
      if (!out->empty()) *out += ',';
      *out += fmt::format("\"{}{}\"", prefix(name), name);
    }
    return true;
  }

  // --- keys ---

  bool read_key(toml::table& table) {
    AccessKey key;
    std::string account = account_;
    std::string user;
    bool enabled = true;
    for (auto&& [name, node] : table) {
      const Entry entry{name.str(), node};
      const bool good = entry.name == "id"        ? read_id(entry, &key.id)
                        : entry.name == "secret"  ? read_secret(entry, &key.secret)
                        : entry.name == "token"   ? read_secret(entry, &key.token)
                        : entry.name == "user"    ? read_name(entry, &user)
                        : entry.name == "account" ? read_account(entry, &account)
                        : entry.name == "enabled"
                            ? read_enabled(entry, &enabled)
                            : refuse(node.source(), fmt::format("a key has no \"{}\"", entry.name));
      if (!good) return false;
    }
    if (key.id.empty()) return refuse(table.source(), "a key must have an id");
    if (key.secret.empty())
      return refuse(table.source(), fmt::format("the key {} has no secret", key.id));
    if (made_->mode_ == AuthMode::strict && key.secret.size() < kStrictSecretBytesMin)
      return refuse(table.source(), fmt::format("the secret of {} is shorter than {} characters",
                                                key.id, kStrictSecretBytesMin));
    if (!ids_.insert(key.id).second)
      return refuse(table.source(), fmt::format("the key {} comes twice", key.id));
    const User* owner = find_user(account, user);
    if (owner == nullptr && !user.empty())
      return refuse(table.source(),
                    fmt::format("there is no user {} in the account {}", user, account));
    if (!enabled) return true;
    if (owner == nullptr) owner = add_user(std::move(account), {});
    if (++live_keys_[owner] > kLiveKeysMax)
      return refuse(table.source(), fmt::format("{} has more than {} keys that are enabled",
                                                owner->arn, kLiveKeysMax));
    key.user = owner;
    made_->keys_.push_back(std::move(key));
    return true;
  }

  bool read_id(const Entry& entry, std::string* id) {
    *id = entry.node.value_or(std::string());
    return (id->size() >= kIdBytesMin && id->size() <= kIdBytesMax && is_made_of(*id, "_-")) ||
           refuse(entry, "3 to 128 of letters, digits, _ and -");
  }

  bool read_secret(const Entry& entry, std::string_view* secret) {
    const auto* text = entry.node.as_string();
    if (text == nullptr || text->get().empty()) return refuse(entry, "a text");
    *secret = made_->secrets_.keep(text->get());
    return true;
  }

  bool read_enabled(const Entry& entry, bool* enabled) {
    if (!entry.node.is_boolean()) return refuse(entry, "true or false");
    *enabled = entry.node.value_or(false);
    return true;
  }

  const std::string_view path_;
  const std::string account_;
  std::string& why_;
  std::shared_ptr<Credentials> made_;
  std::set<std::string> ids_;
  std::map<const User*, size_t> live_keys_;
};

std::shared_ptr<const Credentials> Credentials::parse(std::string& text, std::string_view path,
                                                      std::string_view account, std::string* why) {
  return CredentialsReader(path, account, why).read(text);
}

std::shared_ptr<const Credentials> Credentials::load(const std::string& path,
                                                     std::string_view account, std::string* why) {
  std::optional<std::string> text = read_private_file(path, kFileBytesMax, why);
  return text ? parse(*text, path, account, why) : nullptr;
}

Decision User::decide(const AccessRequest& request) const {
  if (is_account()) return Decision::allowed;
  Decision best = Decision::none;
  for (const Policy& policy : policies)
    best = std::max(best, policy.decide(request));
  return best;
}

const User* Credentials::find_user(std::string_view arn) const {
  const auto found = by_arn_.find(arn);
  return found == by_arn_.end() ? nullptr : found->second;
}

const AccessKey* Credentials::find(std::string_view id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

}  // namespace millrace::net
