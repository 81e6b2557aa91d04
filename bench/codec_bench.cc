// What the binary protocol costs a frame: its checksum looked at, a run of messages in it checked,
// an answer encoded. `messages` of 128 bytes in each.
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/hash.h"
#include "engine/request_check.h"
#include "net/binary/frame.h"

namespace millrace::net {
namespace {

constexpr size_t kBodyBytes = 128;

std::vector<std::byte> run_of(uint32_t messages) {
  std::vector<std::byte> run;
  for (uint32_t i = 0; i < messages; ++i) {
    const MessageHeader header{kBodyBytes, 0, kDelayQueueDefault, 0};
    const size_t at = run.size();
    run.resize(at + message_stride(header));
    std::memcpy(run.data() + at, &header, sizeof header);
  }
  return run;
}

void counters(benchmark::State& state, uint32_t messages) {
  const auto total = static_cast<double>(state.iterations()) * messages;
  state.counters["per_message"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Header taken, header slid up against the body, one hash.
void verify_frame(benchmark::State& state) {
  const auto messages = static_cast<uint32_t>(state.range(0));
  const std::vector<std::byte> run = run_of(messages);
  BufferPool pool;
  OutputBuffer out(pool);
  std::byte* body = begin_frame(out, 4, Errc::ok, 1, run.size());
  std::memcpy(body, run.data(), run.size());
  seal_frame(body, run.size());
  const std::byte* sealed = body - kFrameHeaderBytes;
  std::vector<std::byte> frame(sealed, sealed + kFrameHeaderBytes + run.size());
  const std::vector<std::byte> head(frame.begin(),
                                    frame.begin() + static_cast<ptrdiff_t>(kFrameHeaderBytes));
  for (auto _ : state) {
    std::memcpy(frame.data(), head.data(), head.size());
    const auto header = take<wire::FrameHeader>(frame.data());
    if (!checksum_matches(frame, header.checksum)) return state.SkipWithError("not the checksum");
  }
  counters(state, messages);
}
BENCHMARK(verify_frame)->Arg(1)->Arg(10)->Arg(100);

void check_messages(benchmark::State& state) {
  const auto messages = static_cast<uint32_t>(state.range(0));
  const std::vector<std::byte> run = run_of(messages);
  const QueueAttributes queue;
  for (auto _ : state)
    benchmark::DoNotOptimize(engine::check_run(run, messages, queue));
  counters(state, messages);
}
BENCHMARK(check_messages)->Arg(1)->Arg(10)->Arg(100);

// As a RECEIVE's: the run copied behind its header, and the checksum.
void encode_answer(benchmark::State& state) {
  const auto messages = static_cast<uint32_t>(state.range(0));
  const std::vector<std::byte> run = run_of(messages);
  BufferPool pool;
  OutputBuffer out(pool);
  for (auto _ : state) {
    std::byte* body = begin_frame(out, 5, Errc::ok, 1, run.size());
    std::memcpy(body, run.data(), run.size());
    seal_frame(body, run.size());
    const Bytes sent = out.start_sending();
    benchmark::DoNotOptimize(sent.data());
    out.sent(sent.size());
  }
  counters(state, messages);
}
BENCHMARK(encode_answer)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
}  // namespace millrace::net
