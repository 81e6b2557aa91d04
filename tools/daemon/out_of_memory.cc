// What millraced does when memory, or a thread, cannot be had: it says so in one line and ends with
// exit code 71.
//
// Large and refusable things are checked where they are asked for and answered as errors: log files
// and their maps, a connection's descriptor, frames past what a shard grants. All else is small,
// and by the time it fails the request is half carried out: it ends as if it were killed. That
// loses nothing that was acknowledged (promises.md a2), which a process that goes on with half a
// request could not say. It is for operator new, base::take_aligned and OpenSSL, whose calls fail
// when their few bytes cannot be had; what another C library is refused, that library answers.
#include <atomic>
#include <cstdlib>
#include <cxxabi.h>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <unistd.h>

#include <openssl/crypto.h>

namespace millrace::tools {
namespace {

constexpr int kExitOutOfMemory = 71;  // EX_OSERR

// Without memory or locks. Another thread that gets here waits for the end of the process.
[[noreturn]] void end(std::string_view line) {
  static std::atomic<bool> told{false};
  while (told.exchange(true))
    ::pause();
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(kExitOutOfMemory);
}

[[noreturn]] void on_no_memory() {
  end("millraced: out of memory. Nothing that was acknowledged is lost: start it again, with more "
      "memory or fewer messages to keep\n");
}

// What OpenSSL allocates with.
void* take(size_t bytes, const char*, int) {
  void* taken = std::malloc(bytes);
  if (taken == nullptr && bytes > 0) on_no_memory();
  return taken;
}
void* take_again(void* old, size_t bytes, const char*, int) {
  void* taken = std::realloc(old, bytes);
  if (taken == nullptr && bytes > 0) on_no_memory();
  return taken;
}
void give_back(void* memory, const char*, int) {
  std::free(memory);
}

// A thread that cannot be started is an exception of the standard library, which nothing catches;
// others are our bugs, and end as such.
[[noreturn]] void on_uncaught() {
  const std::type_info* what = abi::__cxa_current_exception_type();
  if (what == nullptr || (*what != typeid(std::system_error) && *what != typeid(std::bad_alloc)))
    __gnu_cxx::__verbose_terminate_handler();
  end("millraced: the system refused a thread or memory. Nothing that was acknowledged is lost: "
      "start it again when it has some\n");
}

// Before all else of this program: what is set up before main() needs memory too.
[[gnu::constructor(101)]] void handle_out_of_memory() {
  std::set_new_handler(on_no_memory);
  std::set_terminate(on_uncaught);
  (void)::CRYPTO_set_mem_functions(take, take_again, give_back);
}

}  // namespace

}  // namespace millrace::tools
