#include "tools/common/login.h"

#include <cstdlib>
#include <optional>

#include "net/private_file.h"

namespace millrace::tools {
namespace {

constexpr size_t kSecretBytesMax = 4'096;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

bool LoginFlags::read(client::ClientOptions& options, std::string* why) const {
  options.access_key = user.empty() ? variable("MILLRACE_ACCESS_KEY_ID") : user;
  if (secret_file.empty()) {
    options.secret = variable("MILLRACE_SECRET_ACCESS_KEY");
  } else {
    std::optional<std::string> text = net::read_private_file(secret_file, kSecretBytesMax, why);
    if (!text) return false;
    // As editors and echo end it.
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r'))
      text->pop_back();
    options.secret = std::move(*text);
  }
  if (options.access_key.empty() == options.secret.empty()) return true;
  *why = options.secret.empty()
             ? "an access key without its secret: give --secret-file, or MILLRACE_SECRET_ACCESS_KEY"
             : "a secret without its access key: give --user, or MILLRACE_ACCESS_KEY_ID";
  return false;
}

}  // namespace millrace::tools
