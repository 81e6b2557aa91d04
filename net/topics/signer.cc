#include "net/topics/signer.h"

#include <atomic>
#include <utility>

#include "base/assert.h"
#include "base/log_line.h"

namespace millrace::net::topics {

struct Signer::Answers {
  struct One {
    uint64_t number;
    std::vector<std::string> signatures;
    std::shared_ptr<const SigningKey> key;
  };
  std::mutex mutex;
  std::vector<One> done;
  std::function<void()> wake;  // null: nobody is there any more
  std::atomic<bool> any{false};
};

std::unique_ptr<Signer> Signer::open(std::unique_ptr<storage::Disk> disk, std::string* why) {
  std::shared_ptr<const SigningKey> key = SigningKey::read(*disk, why);
  if (!why->empty()) return nullptr;
  return std::unique_ptr<Signer>(new Signer(std::move(disk), std::move(key)));
}

Signer::Signer(std::unique_ptr<storage::Disk> disk, std::shared_ptr<const SigningKey> key)
    : disk_(std::move(disk)), key_(std::move(key)), thread_([this] { run(); }) {}

Signer::~Signer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

std::shared_ptr<const SigningKey> Signer::key() const {
  const std::lock_guard lock(mutex_);
  return key_;
}

void Signer::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  work_.notify_one();
}

std::shared_ptr<const SigningKey> Signer::make_key() {
  std::shared_ptr<const SigningKey> key = SigningKey::make();
  const Status kept = key->keep(*disk_);
  if (kept)
    base::log_line(base::LogLevel::info, "topics", "{} is new: it signs notifications",
                   SigningKey::kFile);
  else
    base::log_line(base::LogLevel::warn, "topics",
                   "{}: cannot be written, another key will be made at the next start: {}",
                   SigningKey::kFile, errc_text(kept.error()));
  return key;
}

void Signer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    std::shared_ptr<const SigningKey> key = key_;
    lock.unlock();
    if (key == nullptr) key = make_key();
    Answers::One answer{job.number, {}, key};
    for (const std::string& text : job.texts)
      answer.signatures.push_back(key->sign(text, job.version));
    {
      const std::lock_guard put(job.answers->mutex);
      job.answers->done.push_back(std::move(answer));
      job.answers->any.store(true, std::memory_order_release);
      // Under the lock: afterwards the desk may be gone, and with it who is woken.
      if (job.answers->wake) job.answers->wake();
    }
    lock.lock();
    key_ = std::move(key);
  }
}

SigningDesk::SigningDesk(Signer& signer, std::function<void()> wake)
    : signer_(signer), answers_(std::make_shared<Signer::Answers>()) {
  answers_->wake = std::move(wake);
}

SigningDesk::~SigningDesk() {
  const std::lock_guard lock(answers_->mutex);
  answers_->wake = nullptr;
}

bool SigningDesk::sign(std::vector<std::string> texts, std::string_view version, Done done) {
  if (waiting_.size() >= kJobsMax) return false;
  waiting_.push_back({++next_, std::move(done)});
  signer_.add({answers_, next_, std::move(texts), std::string(version)});
  return true;
}

void SigningDesk::turn() {
  // Acquires what was put in before it was set.
  if (!answers_->any.load(std::memory_order_acquire)) return;
  std::vector<Signer::Answers::One> done;
  {
    const std::lock_guard lock(answers_->mutex);
    done.swap(answers_->done);
    answers_->any.store(false, std::memory_order_relaxed);
  }
  for (const Signer::Answers::One& one : done) {
    MR_ASSERT(!waiting_.empty() && waiting_.front().number == one.number);
    const Done call = std::move(waiting_.front().done);
    waiting_.pop_front();
    call(one.signatures, *one.key);
  }
}

}  // namespace millrace::net::topics
