// How many queues there may be.
#include <fmt/format.h>

#include "engine/limits.h"
#include "tests/engine/sim_engine_harness.h"

namespace millrace::engine {
namespace {

using QueueLimit = SimEngineTest;

TEST_F(QueueLimit, IsTenThousandAndNotOneMore) {
  open();
  const ReplyTo first = reply();
  for (uint32_t i = 0; i <= kQueuesMax; ++i) {
    const ReplyTo to = i == 0 ? first : reply();
    shard().create_queue(fmt::format("q{}", i), {}, to);
    if (i % 500 == 499) turns(2);
  }
  until([&] { return sink_.queue_errors.size() == kQueuesMax + 1; });
  uint32_t made = 0;
  for (const auto& [token, error] : sink_.queue_errors)
    made += error == Errc::ok ? 1 : 0;
  EXPECT_EQ(made, kQueuesMax);
  EXPECT_EQ(sink_.queue_errors[first.token + kQueuesMax], Errc::over_limit);
  // One that goes makes room.
  const ReplyTo gone = reply();
  shard().delete_queue(sink_.queues[first.token].at(0).id, gone);
  until([&] { return sink_.queue_errors.contains(gone.token); });
  EXPECT_NE(create("another"), QueueId{});
}

}  // namespace
}  // namespace millrace::engine
