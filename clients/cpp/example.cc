// The example of README.md, which a test compares with this file and runs.
#include <cstdio>

#include "clients/cpp/blocking_client.h"

using namespace millrace;

int main(int argc, char** argv) {
  // readme: begin
  std::string why;
  auto broker = client::BlockingClient::connect(argc > 1 ? argv[1] : "127.0.0.1:7411", {}, &why);
  if (!broker) return std::fprintf(stderr, "%s\n", why.c_str()), 1;
  auto queue = (*broker)->create_queue("greetings", {.attributes = {{"VisibilityTimeout", "60"}}});

  // Many requests in flight at once: the callback comes from poll().
  client::Client& client = (*broker)->async();
  int stored = 0;
  for (int i = 0; i < 100; ++i) {
    client::MessageBatch batch;
    (void)batch.add("hello " + std::to_string(i));
    (void)client.send(*queue, batch,
                      [&](const client::Answer& answer) { stored += answer ? 1 : 0; });
  }
  while (client.in_flight() > 0 && client.poll(1000)) {
  }

  // One at a time: lease up to 100 messages, waiting up to a second, then acknowledge them.
  auto messages = (*broker)->receive({.queue = *queue, .messages_max = 100, .wait_ms = 1000});
  std::vector<Receipt> receipts;
  for (const auto& message : *messages)
    receipts.push_back(message.receipt);
  auto results = (*broker)->ack(receipts);
  std::printf("stored %d, received %zu, acknowledged %zu\n", stored, receipts.size(),
              results->size());
  // readme: end
  return stored == 100 && receipts.size() == 100 && results->size() == 100 ? 0 : 1;
}
