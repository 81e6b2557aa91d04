/* What a test takes from a process by LD_PRELOAD: memory, the wall clock it believes in, and a disk that is in time.
 *
 * MILLRACE_FAULTS names a file of one struct Faults that both sides map, so that a test can arm a fault in a server that
 * runs. Counted are the calls that are made while it is armed: operator new, malloc and its kin, and mmap; the `nth` from
 * then on fails, once or with all that follow. operator new does what the standard says: it asks the handler, and ends
 * the process when there is none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct Faults {
  _Atomic int64_t calls_left;  /* > 0: armed */
  _Atomic int64_t for_ever;    /* not only the one */
  _Atomic int64_t kinds;       /* bits: 1 operator new, 2 malloc and its kin, 4 mmap */
  _Atomic int64_t failed;      /* so many did */
  _Atomic int64_t wall_shift_ns;
  _Atomic int64_t sync_ns; /* so much longer fdatasync takes; looked at every millisecond of it */
};

enum { kNew = 1, kMalloc = 2, kMap = 4 };

static struct Faults* faults;
static _Thread_local int inside; /* an allocation of an allocation is one */

__attribute__((constructor)) static void find_faults(void) {
  const char* path = getenv("MILLRACE_FAULTS");
  if (path == NULL) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof(struct Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) faults = mapped;
}

static int fails(int kind) {
  if (faults == NULL || inside > 0 || (atomic_load(&faults->kinds) & kind) == 0) return 0;
  if (atomic_load_explicit(&faults->calls_left, memory_order_relaxed) <= 0) return 0;
  const int64_t left = atomic_fetch_sub(&faults->calls_left, 1);
  if (left > 1 || left <= 0) return 0;
  if (atomic_load(&faults->for_ever)) atomic_store(&faults->calls_left, 1);
  atomic_fetch_add(&faults->failed, 1);
  return 1;
}

/* While the real functions are looked up. */
static _Alignas(64) char early[1 << 16];
static size_t early_used;
static void* take_early(size_t bytes) {
  void* at = early + early_used;
  early_used += (bytes + 63) / 64 * 64;
  return early_used <= sizeof early ? at : NULL;
}
static int is_early(const void* p) { return (const char*)p >= early && (const char*)p < early + sizeof early; }

static void* next(void** known, const char* name) {
  if (*known == NULL) *known = dlsym(RTLD_NEXT, name);
  return *known;
}
#define NEXT(type, name) ((type)next(&next_##name, #name))

static void *next_malloc, *next_calloc, *next_realloc, *next_free, *next_aligned_alloc, *next_posix_memalign, *next_mmap,
    *next_clock_gettime, *next_fdatasync;
static _Thread_local int looking_up;

#define REAL(call)      \
  ({                    \
    ++inside;           \
    __typeof__(call) result_ = (call); \
    --inside;           \
    result_;            \
  })

static void* none(void) {
  errno = ENOMEM;
  return NULL;
}

void* malloc(size_t bytes) {
  if (looking_up) return take_early(bytes);
  if (fails(kMalloc)) return none();
  if (next_malloc == NULL) {
    ++looking_up;
    next(&next_malloc, "malloc");
    --looking_up;
  }
  return REAL(((void* (*)(size_t))next_malloc)(bytes));
}
void* calloc(size_t count, size_t bytes) {
  if (looking_up) return take_early(count * bytes);
  if (fails(kMalloc)) return none();
  if (next_calloc == NULL) {
    ++looking_up;
    next(&next_calloc, "calloc");
    --looking_up;
  }
  return REAL(((void* (*)(size_t, size_t))next_calloc)(count, bytes));
}
void* realloc(void* old, size_t bytes) {
  if (fails(kMalloc)) return none();
  if (is_early(old)) {
    void* fresh = malloc(bytes);
    const size_t there = (size_t)(early + sizeof early - (char*)old);
    if (fresh != NULL) memcpy(fresh, old, bytes < there ? bytes : there);
    return fresh;
  }
  return REAL(NEXT(void* (*)(void*, size_t), realloc)(old, bytes));
}
void free(void* p) {
  if (!is_early(p)) NEXT(void (*)(void*), free)(p);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  if (fails(kMalloc)) return none();
  return REAL(NEXT(void* (*)(size_t, size_t), aligned_alloc)(alignment, bytes));
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (fails(kMalloc)) return ENOMEM;
  return REAL(NEXT(int (*)(void**, size_t, size_t), posix_memalign)(out, alignment, bytes));
}
void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (fails(kMap)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return NEXT(void* (*)(void*, size_t, int, int, int, off_t), mmap)(address, bytes, protection, flags, fd, offset);
}

typedef void (*Handler)(void);
extern Handler _ZSt15get_new_handlerv(void) __attribute__((weak));

static void* make(size_t bytes, size_t alignment, int may_be_null) {
  while (fails(kNew)) {
    if (may_be_null) return NULL;
    const Handler handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
    if (handler == NULL) abort();
    handler();
  }
  ++inside;
  void* made = alignment != 0 ? aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)
                              : malloc(bytes != 0 ? bytes : 1);
  --inside;
  return made;
}

void* _Znwm(size_t bytes) { return make(bytes, 0, 0); }
void* _Znam(size_t bytes) { return make(bytes, 0, 0); }
void* _ZnwmRKSt9nothrow_t(size_t bytes, const void* tag) { return (void)tag, make(bytes, 0, 1); }
void* _ZnamRKSt9nothrow_t(size_t bytes, const void* tag) { return (void)tag, make(bytes, 0, 1); }
void* _ZnwmSt11align_val_t(size_t bytes, size_t alignment) { return make(bytes, alignment, 0); }
void* _ZnamSt11align_val_t(size_t bytes, size_t alignment) { return make(bytes, alignment, 0); }
void _ZdlPv(void* p) { free(p); }
void _ZdaPv(void* p) { free(p); }
void _ZdlPvm(void* p, size_t bytes) { (void)bytes, free(p); }
void _ZdaPvm(void* p, size_t bytes) { (void)bytes, free(p); }
void _ZdlPvSt11align_val_t(void* p, size_t alignment) { (void)alignment, free(p); }
void _ZdaPvSt11align_val_t(void* p, size_t alignment) { (void)alignment, free(p); }
void _ZdlPvmSt11align_val_t(void* p, size_t bytes, size_t alignment) { (void)bytes, (void)alignment, free(p); }
void _ZdaPvmSt11align_val_t(void* p, size_t bytes, size_t alignment) { (void)bytes, (void)alignment, free(p); }

int fdatasync(int fd) {
  const struct timespec step = {.tv_sec = 0, .tv_nsec = 1000000};
  for (int64_t waited = 0; faults != NULL && waited < atomic_load(&faults->sync_ns); waited += step.tv_nsec)
    nanosleep(&step, NULL);
  return NEXT(int (*)(int), fdatasync)(fd);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = NEXT(int (*)(clockid_t, struct timespec*), clock_gettime)(clock, time);
  if (result != 0 || clock != CLOCK_REALTIME || faults == NULL) return result;
  const int64_t shifted = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + atomic_load(&faults->wall_shift_ns);
  time->tv_sec = shifted / 1000000000;
  time->tv_nsec = shifted % 1000000000;
  return result;
}
