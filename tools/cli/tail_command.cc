// millrace tail: subscribes, prints messages as they come, acknowledges what was printed.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <vector>

#include "tools/cli/command.h"
#include "tools/cli/message_facts.h"
#include "tools/common/quantity.h"
#include "tools/common/text.h"

namespace millrace::tools {
namespace {

using client::Answer;

struct TailOptions {
  std::string queue;
  std::string max;
  std::string credit = "1000";
};

// A signal that comes just before the wait is seen after this long at the latest.
constexpr int kLookMs = 200;

volatile std::sig_atomic_t g_interrupted = 0;

void interrupt(int) {
  g_interrupted = 1;
}

class Tail {
 public:
  Tail(Context& context, const TailOptions& options)
      : context_(context),
        options_(options),
        credit_(parse_whole(options.credit).value_or(1)),
        left_(options.max.empty() ? UINT64_MAX : parse_whole(options.max).value_or(0)) {}

  int run() {
    QueueId queue{};
    if (!context_.resolve(options_.queue, queue)) return kRefused;
    struct sigaction action {};
    action.sa_handler = interrupt;  // without SA_RESTART: the wait in poll() ends
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);

    client::Client& client = context_.connect()->async();
    const uint64_t credit = std::min(credit_, left_);
    const uint32_t at_once = static_cast<uint32_t>(std::min<uint64_t>(credit, kBatchMessagesMax));
    const auto subscribed = client.subscribe({.queue = queue, .messages_max = at_once}, credit,
                                             [this](const Answer& a) { pushed(a); });
    if (!subscribed) return refuse(errc_text(subscribed.error()));
    granted_ = credit;
    while (g_interrupted == 0 && failure_.empty() && left_ > 0) {
      if (!client.poll(kLookMs)) fail_with(client.failure_text());
      acknowledge(client, *subscribed);
    }
    return finish(client, *subscribed);
  }

 private:
  void pushed(const Answer& answer) {
    if (!answer) {
      fail_with(answer.text());
      return;
    }
    if (answer.opcode() != wire::Opcode::deliver) return;
    for (const client::ReceivedMessage message : answer.messages()) {
      if (context_.json) {
        Json json;
        put_text(json, "body", as_text(message.body));
        put_facts(json, facts_of(QueueId{message.receipt.queue_id}, options_.queue,
                                 message.receipt.shard_slot, as_text(message.properties)));
        json["receive_count"] = message.receive_count;
        json["sent_at_ms"] = message.sent_at.value;
        print_json(json);
      } else {
        print_text(printable(as_text(message.body)) + "\n");
      }
      receipts_.push_back(message.receipt);
      --granted_;
      --left_;
    }
  }

  // A message whose lease had ended, for one, was shown and comes again: whoever reads along is
  // told.
  void acked(const Answer& answer) {
    if (!answer) {
      fail_with(answer.text());
      return;
    }
    unacked_ += answer.results_failed();
    for (uint32_t i = 0; answer.results_failed() > 0 && i < answer.results_size(); ++i) {
      if (answer.result(i) == Errc::ok) continue;
      fmt::print(stderr, "millrace: not acknowledged: {}\n", errc_text(answer.result(i)));
    }
  }

  // Once per turn: shows what came, and only then gives it up for good.
  void acknowledge(client::Client& client, client::RequestId subscription) {
    if (receipts_.empty() || !failure_.empty()) return;
    if (std::fflush(stdout) != 0) {
      fail_with("cannot write the output; nothing more is acknowledged");
      return;
    }
    for (size_t at = 0; at < receipts_.size(); at += kBatchMessagesMax) {
      const size_t count = std::min<size_t>(kBatchMessagesMax, receipts_.size() - at);
      const auto sent =
          client.ack({receipts_.data() + at, count}, [this](const Answer& a) { acked(a); });
      if (!sent) fail_with(errc_text(sent.error()));
    }
    receipts_.clear();
    const uint64_t wanted = std::min(credit_, left_);
    if (granted_ < wanted / 2 + 1 && wanted > granted_) {
      const auto sent = client.add_credit(subscription, wanted - granted_, nullptr);
      if (!sent) fail_with(errc_text(sent.error()));
      granted_ = wanted;
    }
  }

  int finish(client::Client& client, client::RequestId subscription) {
    constexpr int kLastAnswersMs = 2000;
    if (client.open() && failure_.empty()) {
      (void)client.unsubscribe(subscription, nullptr);
      while (client.in_flight() > 0) {
        const uint32_t before = client.in_flight();
        if (!client.poll(kLastAnswersMs) || client.in_flight() == before) break;
      }
    }
    if (failure_.empty() && unacked_ > 0) {
      return refuse(fmt::format("queue '{}': {} of the messages shown were not acknowledged",
                                options_.queue, unacked_));
    }
    return failure_.empty() ? kDone
                            : refuse(fmt::format("queue '{}': {}", options_.queue, failure_));
  }

  void fail_with(std::string_view text) {
    if (failure_.empty()) failure_ = text;
  }

  Context& context_;
  const TailOptions& options_;
  uint64_t credit_;       // messages the server may be ahead of us
  uint64_t granted_ = 0;  // of those, not yet used
  uint64_t left_;
  uint64_t unacked_ = 0;  // shown, but their acks failed
  std::vector<Receipt> receipts_;
  std::string failure_;
};

}  // namespace

void add_tail_command(Parser& parser, Context& context) {
  auto options = std::make_shared<TailOptions>();
  parser
      .command("tail", "subscribe: print messages as they come and acknowledge them",
               [&context, options] { return Tail(context, *options).run(); })
      .argument("QUEUE", options->queue, "")
      .option("--max", "N", options->max, "end after so many messages",
              whole_between(1, UINT32_MAX))
      .option("--credit", "N", options->credit, "messages the server may send ahead [1000]",
              whole_between(1, 1'000'000));
}

}  // namespace millrace::tools
