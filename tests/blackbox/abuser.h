// Abuser: many connections that misbehave in one way, all on the thread that steps them.
//
//   abuser->begin(&why); while (...) abuser->step(); abuser->end();
//
// step() does what is due and returns soon; end() takes all connections away. Threads: one at a
// time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace millrace::blackbox {

// "127.0.0.1:PORT" of both listeners.
struct AbuseTarget {
  std::string binary;
  std::string http;
};

class Abuser {
 public:
  virtual ~Abuser() = default;
  virtual bool begin(std::string* why) = 0;
  virtual void step() = 0;
  virtual void end() = 0;
  // Open now, or made since begin() if they do not stay.
  virtual uint64_t connections() const = 0;
  // What the server did not answer as it should; empty: nothing.
  const std::string& failure() const { return failure_; }

 protected:
  std::string failure_;
};

// Half of them in the middle of a frame, half in the middle of a request's head; each sends a byte
// every `byte_ms`. Who is closed comes again.
std::unique_ptr<Abuser> slow_abuser(const AbuseTarget& target, uint32_t connections,
                                    int64_t byte_ms);
// Each asks for answers of 1 MiB as fast as it can and reads none. Of those that are closed ten
// come again in a second.
std::unique_ptr<Abuser> deaf_abuser(const AbuseTarget& target, uint32_t connections);
// One after the other: a request a byte at a time, an end of input behind a request, a reset in the
// middle of a request and of an answer. What deserves an answer must get it.
std::unique_ptr<Abuser> rude_abuser(const AbuseTarget& target);
// So many connects in a second. Two of three are reset at once, the others later; none says
// anything.
std::unique_ptr<Abuser> flood_abuser(const AbuseTarget& target, uint32_t per_second);
// Requests without end on each connection, whose answers are read.
std::unique_ptr<Abuser> pipeline_abuser(const AbuseTarget& target, uint32_t connections);

}  // namespace millrace::blackbox
