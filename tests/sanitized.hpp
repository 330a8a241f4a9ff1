// Whether a sanitizer is at work: steps take some thirty times as long then, and malloc is its own.
#pragma once

#if defined(__has_feature)  // clang
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define KVCACHE_TESTS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // g++
#define KVCACHE_TESTS_SANITIZED 1
#endif
#ifndef KVCACHE_TESTS_SANITIZED
#define KVCACHE_TESTS_SANITIZED 0
#endif
