// Poster: posts to endpoints outside, on a thread of its own; PostingDesk: its end on a shard.
//
//   desk.post({.url = "http://hooks.example.com/", .body = text}, [](Posted& posted) {...});
//   desk.turn();   // in each turn of the shard's loop: calls what is done
//
// A connection is made to nothing but what Reach allows, judged by the address itself when it is
// made; redirects are not followed, proxies not used, certificates are checked. Five seconds to
// connect, ten in all, and at most 4 KiB of an answer are read.
//
// Threads: Poster any; a PostingDesk is its shard's.
// Memory: what its desks have under way; kTransfersMax connections at once.
// Source: https://curl.se/libcurl/c/CURLOPT_OPENSOCKETFUNCTION.html, for why the address is judged
// there and not after a look-up of one's own.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "net/delivery/reach.h"
#include "net/helper_answers.h"

namespace millrace::net::delivery {

inline constexpr int64_t kMsNs = 1'000'000;

struct Post {
  std::string url;
  std::vector<std::string> fields{};  // "name: value"
  std::string body{};
  bool look_only = false;  // nothing is sent: whether Reach allows all addresses of its host
};

struct Posted {
  Post post;            // as it was given
  int status = 0;       // of the answer; 0: there was none
  bool allowed = true;  // false: it leads where nobody may be reached
  std::string fault{};  // why there was no answer, for people
  // What was looked at was found and is allowed; what was sent was taken.
  bool well() const {
    return post.look_only ? allowed && fault.empty() : status >= 200 && status < 300;
  }
};

class PostingDesk;

class Poster {
 public:
  static constexpr size_t kTransfersMax = 128;
  static constexpr long kConnectMs = 5'000;
  static constexpr long kTotalMs = 10'000;
  static constexpr size_t kAnswerBytesMax = 4'096;

  // `authorities`: a file with the certificates that sign those of endpoints; empty: the system's.
  Poster(Reach reach, std::string authorities);
  ~Poster();  // after the desks; what is under way is cut off
  Poster(const Poster&) = delete;
  Poster& operator=(const Poster&) = delete;

  const Reach& reach() const { return reach_; }

 private:
  friend class PostingDesk;
  class Transfers;
  struct Answer {
    uint64_t number = 0;
    Posted posted;
  };
  using Answers = HelperAnswers<Answer>;
  struct Job {
    std::shared_ptr<Answers> answers;
    uint64_t number = 0;
    Post post;
  };
  struct Reminder {
    std::shared_ptr<Answers> answers;
    int64_t at_ns = 0;
  };

  void add(Job job);
  void remind(Reminder reminder);
  void run();
  // In milliseconds; wakes those whose time has come.
  int wake_due();

  const Reach reach_;
  const std::string authorities_;
  const std::unique_ptr<Transfers> transfers_;
  std::mutex mutex_;
  std::deque<Job> jobs_;
  std::vector<Reminder> reminders_;
  bool stopping_ = false;
  std::thread thread_;
};

class PostingDesk {
 public:
  using Done = std::function<void(Posted& posted)>;

  // `wake` is called on the poster's thread: it must make this shard's thread call turn() soon.
  PostingDesk(Poster& poster, std::function<void()> wake);
  ~PostingDesk();  // what is under way is answered to nobody
  PostingDesk(const PostingDesk&) = delete;
  PostingDesk& operator=(const PostingDesk&) = delete;

  // `done` is called in a later turn(), once.
  void post(Post post, Done done);
  // Whether wake() was called since the last turn.
  bool turn();
  // wake() is called when so long has passed. Takes the place of an earlier call.
  void wake_in(int64_t ms);
  size_t under_way() const { return waiting_.size(); }
  const Reach& reach() const { return poster_.reach(); }

 private:
  Poster& poster_;
  std::shared_ptr<Poster::Answers> answers_;
  std::unordered_map<uint64_t, Done> waiting_;  // by number
  uint64_t next_ = 0;
};

}  // namespace millrace::net::delivery
