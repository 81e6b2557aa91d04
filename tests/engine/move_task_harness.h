// A broker whose dead-letter queues are filled and redriven.
#pragma once

#include <string>
#include <vector>

#include "tests/engine/engine_harness.h"

namespace millrace::engine {

class MoveTasksTest : public EngineTest {
 protected:
  // Sends to `queue` and has the message go to its dead-letter queue.
  void bury(QueueId queue, const Batch& batch, uint16_t at = 0) {
    send(queue, batch, at);
    for (uint32_t seen = 0; seen < batch.count();) {
      const auto got = receive(queue, 1'000, 0, at);
      seen += static_cast<uint32_t>(got.size());
      if (got.empty()) tick();
    }
    EXPECT_TRUE(receive(queue, 1'000, 0, at).empty());
    settle_moves();
  }
  struct Answer {
    Errc error{};
    std::string detail;
    std::vector<MoveTask> tasks;
  };
  Answer wait_for(ReplyTo to) {
    until([&] { return sink_.move_errors.contains(to.token); });
    return {sink_.move_errors[to.token], sink_.move_details[to.token], sink_.moves[to.token]};
  }
  Answer start(const MoveRequest& request, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).start_move(request, to);
    return wait_for(to);
  }
  Answer cancel(QueueId source, uint64_t task = 0, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).cancel_move(source, task, to);
    return wait_for(to);
  }
  Answer list(QueueId source, uint32_t max = 10, uint16_t at = 0) {
    const ReplyTo to = reply();
    shard(at).list_moves(source, max, to);
    return wait_for(to);
  }
  MoveTask newest(QueueId source) {
    const Answer answer = list(source, 1);
    return answer.tasks.empty() ? MoveTask{} : answer.tasks[0];
  }
  MoveTask until_ended(QueueId source) {
    MoveTask task;
    until([&] {
      task = newest(source);
      return task.state != MoveState::running && task.state != MoveState::cancelling;
    });
    settle_moves();
    return task;
  }
};

}  // namespace millrace::engine
