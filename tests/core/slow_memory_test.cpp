#include "kvcache/core/slow_memory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <utility>

using namespace kvcache;

TEST_CASE("regions keep what was written, also after the system was told to forget") {
  SlowMemory memory(10'000);
  CHECK(memory.regions() == 0);
  CHECK(memory.region_bytes() >= 10'000);
  CHECK(memory.region_bytes() % 4096 == 0);
  for (int i = 0; i < 5; ++i) {
    memory.grow();
    std::memset(memory.region(i), i + 1, memory.region_bytes());
  }
  for (int i = 0; i < 5; ++i) memory.drop(i);
  memory.read_ahead(3, 5000, 4000);
  for (int i = 0; i < 5; ++i) {
    CHECK(memory.region(i)[0] == std::byte(i + 1));
    CHECK(memory.region(i)[memory.region_bytes() - 1] == std::byte(i + 1));
  }
  SlowMemory moved = std::move(memory);
  CHECK(moved.regions() == 5);
  CHECK(moved.region(2)[77] == std::byte(3));
}

TEST_CASE("the file has no name, and a folder that does not exist is an error") {
  const auto folder = std::filesystem::temp_directory_path() / "kvcache_slow_memory_test";
  std::filesystem::create_directory(folder);
  {
    SlowMemory memory(100, folder);
    memory.grow();
    CHECK(std::filesystem::is_empty(folder));
  }
  std::filesystem::remove(folder);
  CHECK_THROWS_WITH_AS(SlowMemory(100, folder), doctest::Contains("no file can be made in"), Error);
}

TEST_CASE("a temporary folder that is not there is a sentence") {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before ? before : "";
  ::setenv("TMPDIR", "/no/such/folder", 1);
  CHECK_THROWS_WITH_AS(
      SlowMemory(100),
      "there is no folder for temporary files (/no/such/folder); make it, or set TMPDIR to a folder in "
      "which you may write",
      Error);
  before ? ::setenv("TMPDIR", kept.c_str(), 1) : ::unsetenv("TMPDIR");
}

TEST_CASE("the file never gets the number of standard output, which may be free") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
    const SlowMemory memory(100);
    int open = 0;
    struct stat ignored {};
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) open += ::fstat(stream, &ignored) == 0;
    ::_exit(open);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
