// Lets the thread sanitizer see how Swift's Mutex is taken when another thread has it.
//
// The usual way of `withLock` is inlined, and so built for the sanitizer. Where a thread has to wait, the standard library does it in
// `_MutexHandle._lockSlow`, which was not: the sanitizer sees nobody take the lock, and takes what stands under it for a race. These
// two stand in front of the library's, call them, and say what they have done. They go when the library is built for the sanitizer.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && defined(__x86_64__)
#define _GNU_SOURCE
#include <dlfcn.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void *silo_lock_slow, *silo_unlock_slow;

__attribute__((constructor)) static void find(void) {
    silo_lock_slow = dlsym(RTLD_NEXT, LOCK_SLOW);
    silo_unlock_slow = dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

// Swift passes `self`, the address of the lock, in r13, and the number of the thread in edi.
__attribute__((naked)) void silo_lock(void) __asm__(LOCK_SLOW);
void silo_lock(void) {
    __asm__("push %r13\n"
            "call *silo_lock_slow(%rip)\n"
            "mov (%rsp), %rdi\n"
            "call __tsan_acquire@PLT\n"
            "pop %r13\n"
            "ret\n");
}

__attribute__((naked)) void silo_unlock(void) __asm__(UNLOCK_SLOW);
void silo_unlock(void) {
    __asm__("push %r13\n"
            "mov %r13, %rdi\n"
            "call __tsan_release@PLT\n"
            "mov (%rsp), %r13\n"
            "call *silo_unlock_slow(%rip)\n"
            "pop %r13\n"
            "ret\n");
}
#endif
#endif
