#include "net/topics/signer.h"

#include <utility>

#include "base/assert.h"
#include "base/log_line.h"

namespace millrace::net::topics {

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
    Answer answer{job.number, {}, key};
    for (const std::string& text : job.texts)
      answer.signatures.push_back(key->sign(text, job.version));
    job.answers->put(std::move(answer));
    lock.lock();
    key_ = std::move(key);
  }
}

SigningDesk::SigningDesk(Signer& signer, std::function<void()> wake)
    : signer_(signer), answers_(std::make_shared<Signer::Answers>(std::move(wake))) {}

SigningDesk::~SigningDesk() {
  answers_->close();
}

bool SigningDesk::sign(std::vector<std::string> texts, std::string_view version, Done done) {
  if (waiting_.size() >= kJobsMax) return false;
  waiting_.push_back({++next_, std::move(done)});
  signer_.add({answers_, next_, std::move(texts), std::string(version)});
  return true;
}

void SigningDesk::turn() {
  std::vector<Signer::Answer> done;
  if (!answers_->take(&done)) return;
  for (const Signer::Answer& one : done) {
    MR_ASSERT(!waiting_.empty() && waiting_.front().number == one.number);
    const Done call = std::move(waiting_.front().done);
    waiting_.pop_front();
    call(one.signatures, *one.key);
  }
}

}  // namespace millrace::net::topics
