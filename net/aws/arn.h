// ARNs and queue URLs: how AWS names a queue outside of it.
//
//   arn:aws:sqs:us-east-1:000000000000:jobs
//   http://127.0.0.1:9324/000000000000/jobs
//
// Threads: any; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::net {

struct Arn {
  std::string_view partition, service, region, account, resource;
};

// Six parts between colons, the first "arn", the resource not empty. Views of `text`.
std::optional<Arn> parse_arn(std::string_view text);
std::string make_arn(std::string_view service, std::string_view region, std::string_view account,
                     std::string_view resource);

bool is_account(std::string_view text);  // 12 digits

// What of a queue's URL counts, views of it; scheme and host do not. A bare name has no account.
struct QueuePlace {
  std::string_view account;
  std::string_view name;  // empty: it names no queue
};
QueuePlace parse_queue_url(std::string_view url);

}  // namespace millrace::net
