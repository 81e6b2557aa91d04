// Credentials: who may use the server: access keys, the users they belong to, what those may do.
//
// One snapshot of the credentials file (docs/security.md has its form), immutable once made. A
// reload makes another, which takes this one's place as a whole; who holds this keeps it alive.
//
// Secrets lie together in pages of their own, which are left out of core dumps, locked into memory
// if the system allows it, and wiped with the snapshot. They are in no log line and no error.
// Threads: immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "net/aws/policy.h"
#include "net/aws/secret_pages.h"

namespace millrace::net {

// From the least strict on.
enum class AuthMode : uint8_t {
  off,      // anything is accepted; for local use
  relaxed,  // a known access key is wanted, its signature is not looked at
  strict,   // everything is checked
};

// A user of an account, or the account itself: then the name is empty, and everything in the
// account is allowed that no policy denies.
struct User {
  std::string account;
  std::string name;
  std::string arn;
  std::string id;  // made from the ARN; an account's is its number
  std::vector<Policy> policies;
  bool is_account() const { return name.empty(); }
  // What its policies say; of an account itself, that it is allowed.
  Decision decide(const AccessRequest& request) const;
};

struct AccessKey {
  std::string id;
  std::string_view secret;
  std::string_view token;  // of temporary credentials; empty: the key has none
  const User* user = nullptr;
};

class Credentials {
 public:
  Credentials() = default;
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // `account` is that of keys and users which name none. Null if the file cannot be read, is not
  // for its owner only, or is not in the form: `why` then has one line for people.
  static std::shared_ptr<const Credentials> load(const std::string& path, std::string_view account,
                                                 std::string* why);
  // From the text of a file, whose name is for `why`. The text is wiped.
  static std::shared_ptr<const Credentials> parse(std::string& text, std::string_view path,
                                                  std::string_view account, std::string* why);

  AuthMode mode() const { return mode_; }
  size_t key_count() const { return keys_.size(); }
  std::span<const AccessKey> keys() const { return keys_; }  // that are enabled
  // A key that is enabled; null if there is none.
  const AccessKey* find(std::string_view id) const;
  // By its ARN, among those that keys or [[user]] name; null if there is none.
  const User* find_user(std::string_view arn) const;

 private:
  friend class CredentialsReader;
  AuthMode mode_ = AuthMode::strict;
  std::vector<std::unique_ptr<User>> users_;
  boost::unordered_flat_map<std::string_view, const User*> by_arn_;
  std::vector<AccessKey> keys_;
  boost::unordered_flat_map<std::string_view, const AccessKey*> by_id_;
  SecretPages secrets_;
};

}  // namespace millrace::net
