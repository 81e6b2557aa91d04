// FakeDesk: a topic desk that publishes to nobody. A message that begins with '!' is refused; with
// `held` the answers wait for release().
#pragma once

#include <string>
#include <vector>

#include "net/binary/topic_desk.h"

namespace millrace::net::test {

class FakeDesk final : public TopicDesk {
 public:
  bool held = false;
  Errc error = Errc::ok;  // of the next publishes
  std::vector<std::string> published;
  uint32_t forgotten = 0;  // publishes that were under way when their listener left

  void publish(std::string_view topic, std::span<const PublishEntry> entries,
               PublishListener& listener, uint64_t token) override {
    Asked asked{&listener, token, {}};
    for (const PublishEntry& entry : entries) {
      const bool good = !entry.message.starts_with('!');
      PublishEntryResult result;
      if (good) {
        published.push_back(std::string(topic) + "/" + std::string(entry.subject) + "/" +
                            std::string(entry.message));
        result.id[0] = static_cast<uint8_t>(published.size());
      } else {
        result.error = Errc::invalid_argument;
        result.text = "it begins with '!'";
      }
      asked.results.push_back(std::move(result));
    }
    asked_.push_back(std::move(asked));
    if (!held) release();
  }
  void release() {
    for (const Asked& one : std::exchange(asked_, {}))
      one.listener->on_published(one.token, {.error = error, .results = one.results});
  }
  void forget(PublishListener& listener) override {
    forgotten += static_cast<uint32_t>(
        std::erase_if(asked_, [&](const Asked& one) { return one.listener == &listener; }));
  }
  void turn() override {}
  std::string settings_fault(const TopicSettings& settings) override {
    for (const NamedText& one : settings.attributes)
      if (one.name == "Policy") return "Policy: this desk takes none";
    return {};
  }
  std::string read_endpoint(std::string_view protocol, std::string_view endpoint,
                            SubscribeRequest* request, std::string*) override {
    if (protocol != "sqs") return "this desk delivers to queues";
    request->protocol = protocol;
    request->endpoint = endpoint;
    request->queue = endpoint;
    return {};
  }
  std::string arn_of(std::string_view topic) const override { return "arn:" + std::string(topic); }
  TopicCounts counts_of(TopicId topic) const override { return {raw(topic), 2, 3, 4}; }

 private:
  struct Asked {
    PublishListener* listener;
    uint64_t token;
    std::vector<PublishEntryResult> results;
  };
  std::vector<Asked> asked_;
};

}  // namespace millrace::net::test
