// The key that signs notifications: made once, kept, and used on a thread of its own.
#include "net/topics/signer.h"

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <sys/stat.h>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "net/aws/base64.h"
#include "storage/real_disk.h"
#include "tests/support/temporary_directory.h"

namespace millrace::net::topics {
namespace {

class SignerTest : public testing::Test {
 protected:
  std::unique_ptr<storage::Disk> disk() {
    auto made = storage::RealDisk::open_directory(directory_ / "data", {});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  void open() {
    std::string why;
    signer_ = Signer::open(disk(), &why);
    ASSERT_NE(signer_, nullptr) << why;
    desk_ = std::make_unique<SigningDesk>(*signer_, [this] {
      const std::lock_guard lock(mutex_);
      ++woken_;
      wakes_.notify_one();
    });
  }
  void TearDown() override {
    desk_.reset();
    signer_.reset();
  }
  // Until nothing is under way.
  void finish() {
    for (int turns = 0; turns < 1'000 && desk_->under_way() > 0; ++turns) {
      std::unique_lock lock(mutex_);
      wakes_.wait_for(lock, std::chrono::seconds(10), [this] { return woken_ > 0; });
      woken_ = 0;
      lock.unlock();
      desk_->turn();
    }
    ASSERT_EQ(desk_->under_way(), 0u);
  }
  static bool is_good(const std::string& certificate, std::string signature, std::string_view text,
                      const EVP_MD* digest) {
    BIO* const bio = BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size()));
    X509* const x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    const auto bytes = decode_base64(signature.data(), signature.size());
    const bool good =
        bytes &&
        EVP_DigestVerifyInit(context, nullptr, digest, nullptr, X509_get0_pubkey(x509)) == 1 &&
        EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(bytes->data()),
                         bytes->size(), reinterpret_cast<const unsigned char*>(text.data()),
                         text.size()) == 1;
    EVP_MD_CTX_free(context);
    X509_free(x509);
    return good;
  }

  TemporaryDirectory directory_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  int woken_ = 0;
  std::unique_ptr<Signer> signer_;
  std::unique_ptr<SigningDesk> desk_;
};

TEST_F(SignerTest, SignsInBothVersionsWithAKeyThatIsKept) {
  open();
  EXPECT_EQ(signer_->key(), nullptr);
  std::string path;
  std::string certificate;
  std::vector<std::string> signatures;
  const auto take = [&](std::span<const std::string> made, const SigningKey& key) {
    signatures.insert(signatures.end(), made.begin(), made.end());
    path = key.path();
    certificate = key.certificate();
  };
  ASSERT_TRUE(desk_->sign({"one", "two"}, "1", take));
  ASSERT_TRUE(desk_->sign({"three"}, "2", take));
  finish();
  ASSERT_EQ(signatures.size(), 3u);
  EXPECT_TRUE(is_good(certificate, signatures[0], "one", EVP_sha1()));
  EXPECT_TRUE(is_good(certificate, signatures[1], "two", EVP_sha1()));
  EXPECT_TRUE(is_good(certificate, signatures[2], "three", EVP_sha256()));
  EXPECT_FALSE(is_good(certificate, signatures[0], "two", EVP_sha1()));
  EXPECT_EQ(path.substr(0, 27), "/SimpleNotificationService-");
  EXPECT_EQ(path.size(), 27u + 32 + 4);

  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "data/keys/sns-signing.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((directory_ / "data/keys").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);

  TearDown();
  open();
  ASSERT_NE(signer_->key(), nullptr);
  EXPECT_EQ(signer_->key()->path(), path);
  EXPECT_EQ(signer_->key()->certificate(), certificate);
}

TEST_F(SignerTest, HasABoundAndForgetsWhoIsGone) {
  open();
  size_t called = 0;
  for (size_t i = 0; i < SigningDesk::kJobsMax; ++i)
    ASSERT_TRUE(desk_->sign({}, "1", [&](auto, const SigningKey&) { ++called; }));
  EXPECT_FALSE(desk_->sign({}, "1", [](auto, const SigningKey&) {}));
  finish();
  EXPECT_EQ(called, SigningDesk::kJobsMax);
  ASSERT_TRUE(desk_->sign({"x"}, "1", [&](auto, const SigningKey&) { ++called; }));
  desk_.reset();
  signer_.reset();
  EXPECT_EQ(called, SigningDesk::kJobsMax);
}

TEST_F(SignerTest, AFileThatIsNoKeyIsRefusedByName) {
  { (void)disk()->make_directory(SigningKey::kFolder); }
  std::ofstream(directory_ / "data/keys/sns-signing.pem") << "nothing of the kind";
  std::string why;
  EXPECT_EQ(Signer::open(disk(), &why), nullptr);
  EXPECT_EQ(why, "keys/sns-signing.pem: it has no RSA key with its certificate behind it");
}

}  // namespace
}  // namespace millrace::net::topics
