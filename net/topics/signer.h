// Signer: signs notifications on a thread of its own, since half a millisecond each is more than a
// shard may spend; SigningDesk: its end on a shard.
//
//   desk.sign({text, ...}, "1", [](std::span<const std::string> signatures, const SigningKey& key)
//   ...) desk.turn();     // in each turn of the shard's loop: calls what is done
//
// The key is the one that the data directory keeps. If there is none it is made, and kept, before
// the first signature. One that cannot be kept is told in the log and used until the server stops.
//
// Threads: Signer any; a SigningDesk is its shard's.
// Memory: kJobsMax jobs of a desk, with their texts.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/helper_answers.h"
#include "net/topics/signing_key.h"
#include "storage/disk.h"

namespace millrace::net::topics {

class SigningDesk;

class Signer {
 public:
  // `disk` is rooted at the data directory. `why` gets a line if its key cannot be used: then no
  // server should start.
  static std::unique_ptr<Signer> open(std::unique_ptr<storage::Disk> disk, std::string* why);
  ~Signer();  // after the desks
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  // Null until there is one.
  std::shared_ptr<const SigningKey> key() const;

 private:
  friend class SigningDesk;
  struct Answer {
    uint64_t number = 0;
    std::vector<std::string> signatures;
    std::shared_ptr<const SigningKey> key;
  };
  using Answers = HelperAnswers<Answer>;
  struct Job {
    std::shared_ptr<Answers> answers;
    uint64_t number = 0;
    std::vector<std::string> texts;
    std::string version;
  };

  Signer(std::unique_ptr<storage::Disk> disk, std::shared_ptr<const SigningKey> key);
  void add(Job job);
  void run();
  std::shared_ptr<const SigningKey> make_key();

  const std::unique_ptr<storage::Disk> disk_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Job> jobs_;
  std::shared_ptr<const SigningKey> key_;
  bool stopping_ = false;
  std::thread thread_;
};

class SigningDesk {
 public:
  static constexpr size_t kJobsMax = 1'000;
  using Done = std::function<void(std::span<const std::string> signatures, const SigningKey& key)>;

  // `wake` is called on the signer's thread: it must make this shard's thread call turn() soon.
  SigningDesk(Signer& signer, std::function<void()> wake);
  ~SigningDesk();  // what is under way is answered to nobody
  SigningDesk(const SigningDesk&) = delete;
  SigningDesk& operator=(const SigningDesk&) = delete;

  // False: too much is under way. `done` is called in a later turn(), once.
  bool sign(std::vector<std::string> texts, std::string_view version, Done done);
  void turn();
  size_t under_way() const { return waiting_.size(); }
  std::shared_ptr<const SigningKey> key() const { return signer_.key(); }

 private:
  struct Waiting {
    uint64_t number;
    Done done;
  };
  Signer& signer_;
  std::shared_ptr<Signer::Answers> answers_;
  std::deque<Waiting> waiting_;  // in the order they were asked, in which they are answered
  uint64_t next_ = 0;
};

}  // namespace millrace::net::topics
