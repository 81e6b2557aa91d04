// Fuzzes the requests of SQS in its two protocols, and of SNS, up to what the shard is asked.
//
// The first line says how: the name of an action, and the rest is its JSON body; "form", and the
// rest is a form; "query", and the rest is the query of the target; "sns-form" and "sns-query", the
// same signed for SNS. Checked: no crash; exactly one
// answer, or the call is under way and can be given up; an answer is UTF-8 and never a 5xx; what
// was not an error in JSON is JSON again.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <simdjson.h>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "net/aws/allow_all.h"
#include "net/sns/sns_front.h"
#include "net/sqs/sqs_front.h"
#include "storage/real_disk.h"
#include "tests/net/fake_port.h"
#include "tests/net/fake_topics.h"
#include "tests/support/temporary_directory.h"

namespace {

using namespace millrace;
using namespace millrace::net;

class Exchange final : public HttpExchange {
 public:
  void answer(const HttpResponse& response) override {
    MR_ASSERT(!answered);
    answered = true;
    MR_ASSERT(response.status >= 200 && response.status < 500);
    MR_ASSERT(simdjson::validate_utf8(response.body.data(), response.body.size()));
    if (!response.content_type.starts_with("application/x-amz-json") || response.body.empty())
      return;
    simdjson::dom::parser parser;
    const simdjson::padded_string body(response.body);
    MR_ASSERT(parser.parse(body).error() == simdjson::SUCCESS);
  }
  bool answered = false;
};

// Its signer has a thread and a folder. Nothing is signed: the one subscription is raw.
sns::SnsShared& shared_by_all() {
  static const TemporaryDirectory folder;
  static sns::SnsShared shared([] {
    std::string why;
    auto disk = storage::RealDisk::open_directory(folder / "data", {});
    return topics::Signer::open(std::move(*disk), &why);
  }());
  return shared;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view how = text.substr(0, text.find('\n'));
  const std::string_view rest = text.substr(std::min(how.size() + 1, text.size()));

  test::FakePort port;
  port.add_queue("jobs");
  test::FakeTopics topics;
  port.topic_port = &topics;
  sqs::SqsShared shared;
  sqs::SqsFront front(port, std::make_unique<AllowAll>("000000000000", "us-east-1"), shared,
                      sqs::SqsSettings{}, 1);
  sns::SnsShared& of_sns = shared_by_all();
  sns::SnsFront before(port, std::make_unique<AllowAll>("000000000000", "us-east-1"), front, of_sns,
                       sns::SnsSettings{.accept_undeliverable = true}, 2, [] {});
  // Exactly as large as it must be, so that a sanitizer sees what is read behind it.
  const auto body = std::make_unique<std::byte[]>(rest.size() + kHttpBodyPadding);
  if (!rest.empty()) std::memcpy(body.get(), rest.data(), rest.size());

  const std::string target_field = "AmazonSQS." + std::string(how);
  const bool query = how.ends_with("query");
  const std::string target = query ? "/?" + std::string(rest) : "/";
  const bool for_sns = how.starts_with("sns-");
  const bool form = query || how == "form" || how == "sns-form";
  const HttpField fields[] = {
      {"Host", "localhost"},
      {"Content-Type", form ? "application/x-www-form-urlencoded" : "application/x-amz-json-1.0"},
      for_sns ? HttpField{"Authorization", "Credential=K/20260101/us-east-1/sns/aws4_request"}
              : HttpField{"X-Amz-Target", target_field},
  };
  Exchange exchange;
  before.handle({.method = "POST",
                 .target = target,
                 .fields = std::span(fields).first(form && !for_sns ? 2 : 3),
                 .body = {body.get(), query ? 0 : rest.size()},
                 .peer = {}},
                exchange);
  if (!exchange.answered) {
    MR_ASSERT(front.under_way() + before.under_way() == 1);
    before.cancel(exchange);
  }
  MR_ASSERT(front.under_way() + before.under_way() == 0);
  return 0;
}
