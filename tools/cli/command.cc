#include "tools/cli/command.h"

#include <algorithm>
#include <cstdio>

#include "base/os_clock.h"
#include "tools/common/quantity.h"
#include "tools/common/receipt_text.h"
#include "tools/common/text.h"

namespace millrace::tools {

client::BlockingClient* Context::connect() {
  if (!client_) {
    std::string why;
    client::ClientOptions options{.name = "millrace"};
    if (!login.read(options, &why)) {
      misuse(why);
      return nullptr;
    }
    auto made = client::BlockingClient::connect(server, options, &why);
    if (!made) {
      refuse(why);
      return nullptr;
    }
    client_ = std::move(*made);
  }
  return client_.get();
}

bool Context::resolve(const std::string& name, QueueId& queue) {
  client::BlockingClient* broker = connect();
  if (broker == nullptr) return false;
  const Result<QueueId> found = broker->resolve(name);
  if (!found) {
    refused("queue '" + name + "'");
    return false;
  }
  queue = *found;
  return true;
}

int Context::refused(std::string_view what) const {
  // The server's line may name the queue already.
  const std::string_view why = client_->error_text();
  const size_t quote = std::min(what.find('\''), what.size());
  if (quote < what.size() && why.find(what.substr(quote)) != std::string_view::npos)
    return refuse(why);
  return refuse(fmt::format("{}: {}", what, why));
}

bool split_named(const std::string& text, NamedText& named) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return false;
  named = {text.substr(0, equals), text.substr(equals + 1)};
  return true;
}

int refuse(std::string_view line) {
  fmt::print(stderr, "millrace: {}\n", printable(line));
  return kRefused;
}

int misuse(std::string_view line) {
  refuse(line);
  return kUsage;
}

void print_json(const Json& json) {
  print_text(json.dump() + "\n");
}

void print_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void put_text(Json& json, const std::string& key, std::string_view text) {
  if (valid_utf8(text))
    json[key] = text;
  else
    json[key + "_base64url"] = base64url(text);
}

uint32_t seconds_to_ms(const std::string& text) {
  return static_cast<uint32_t>(parse_seconds(text).value_or(0));
}

int64_t wall_clock_ms() {
  return base::os_wall_ms();
}

}  // namespace millrace::tools
