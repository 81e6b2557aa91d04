// The engine inside another program, driven by that program's own loop: one message is sent, leased
// and acknowledged, with commit durability. Includes public headers only.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <millrace/engine.h>

namespace {

// Keeps what the last answers said.
struct Answers : millrace::ReplySink {
  int answered = 0;
  millrace::Errc error = millrace::Errc::ok;
  millrace::QueueId queue{};
  millrace::Receipt receipt{};
  std::string body;

  void note(millrace::Errc e) {
    ++answered;
    error = e;
  }
  void on_send(uint64_t, const millrace::SendReply& reply) override { note(reply.error); }
  void on_receive(uint64_t, const millrace::ReceiveReply& reply) override {
    for (const millrace::Delivery& delivery : reply.deliveries) {
      receipt = delivery.receipt;
      millrace::MessageHeader header;
      std::memcpy(&header, delivery.message.data(), sizeof header);
      body = millrace::as_text(
          delivery.message.subspan(sizeof header + header.properties_bytes, header.body_bytes));
    }
    note(reply.error);
  }
  void on_results(uint64_t, const millrace::ResultsReply& reply) override { note(reply.error); }
  void on_peek(uint64_t, const millrace::PeekReply& reply) override { note(reply.error); }
  void on_queues(uint64_t, const millrace::QueueReply& reply) override {
    if (!reply.queues.empty()) queue = reply.queues.front().id;
    note(reply.error);
  }
  void on_stats(uint64_t, const millrace::BrokerStatsReply& reply) override { note(reply.error); }
};

// Turns the shard until one more answer has come. Bounded: a minute of 1 ms naps.
void wait_for_answer(millrace::ShardPort& shard, Answers& answers) {
  const int before = answers.answered;
  for (int naps = 0; answers.answered == before; ++naps) {
    if (naps > 60'000) throw std::runtime_error("no answer");
    if (!shard.tick()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (answers.error != millrace::Errc::ok)
    throw std::runtime_error(std::string(millrace::errc_text(answers.error)));
}

std::vector<std::byte> one_message(std::string_view body) {
  millrace::MessageHeader header{};
  header.body_bytes = static_cast<uint32_t>(body.size());
  header.delay_ms = millrace::kDelayQueueDefault;
  std::vector<std::byte> run(millrace::message_stride(header));
  std::memcpy(run.data(), &header, sizeof header);
  std::memcpy(run.data() + sizeof header, body.data(), body.size());
  return run;
}

void run(const char* directory) {
  std::string why;
  millrace::BrokerOptions options;
  options.data_directory = directory;
  options.segment_bytes = 4u << 20;
  auto broker = millrace::Broker::open(options, &why);
  if (!broker) throw std::runtime_error(why);
  millrace::ShardPort& shard = (*broker)->shard(millrace::ShardId{0});
  shard.set_waker([] {});  // the loop above looks by itself

  Answers answers;
  shard.create_queue("greetings", {}, {&answers, 1});
  wait_for_answer(shard, answers);
  const auto message = one_message("hello");
  shard.send({.queue = answers.queue, .count = 1, .messages = message}, {&answers, 2});
  wait_for_answer(shard, answers);
  shard.receive({.queue = answers.queue, .wait_ms = 0}, {&answers, 3});
  wait_for_answer(shard, answers);
  shard.ack({.receipts = {&answers.receipt, 1}}, {&answers, 4});
  wait_for_answer(shard, answers);
  if (!(*broker)->stop()) throw std::runtime_error("stop");
  std::printf("%s\n", answers.body.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
