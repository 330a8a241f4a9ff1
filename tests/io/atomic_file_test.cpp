#include "kvcache/io/atomic_file.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <functional>
#include <thread>

#include "temporary_folder.hpp"

using namespace kvcache;
using kvcache_test::read_file, kvcache_test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}
int files_in(const fs::path& folder) { return int(std::distance(fs::directory_iterator(folder), {})); }
void write(const fs::path& path, std::string_view text) { write_atomically(path, text); }

/// In a process of its own, whose streams and limits are its own too. Returns its exit status.
int in_a_process(const std::function<void()>& run) {
  std::fflush(stdout);  // or the child would print it too
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      run();
    } catch (...) {
      ::_exit(1);
    }
    std::fflush(stdout);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

TEST_CASE("a new file has the mode that others have, and an old one keeps its own") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a";
  const mode_t before = ::umask(022);
  write(path, "one");
  CHECK(mode_of(path) == 0644);
  for (const unsigned mode : {0600u, 0640u, 0755u}) {
    fs::permissions(path, fs::perms(mode));
    write(path, "two");
    CHECK(mode_of(path) == mode);
  }
  ::umask(before);
  CHECK(read_file(path) == "two");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("links stay: the file behind them is replaced, or made") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "far");
  fs::create_symlink("far/second", folder.path() / "first");
  fs::create_symlink("real", folder.path() / "far/second");  // from where it stands, not from here
  for (const char* text : {"made", "replaced"}) {
    write(folder.path() / "first", text);
    CHECK(fs::is_symlink(folder.path() / "first"));
    CHECK(fs::is_symlink(folder.path() / "far/second"));
    CHECK(read_file(folder.path() / "far/real") == text);
    CHECK(!fs::is_symlink(folder.path() / "far/real"));
  }
  CHECK(files_in(folder.path() / "far") == 2);
  fs::create_symlink(folder.path() / "far/real", folder.path() / "absolute");
  write(folder.path() / "absolute", "x");
  CHECK(read_file(folder.path() / "far/real") == "x");
  fs::create_symlink("round", folder.path() / "round");
  CHECK_THROWS_WITH_AS(write(folder.path() / "round", "x"), doctest::Contains("links lead in a circle"), Error);
}

TEST_CASE("what is no regular file is written as it stands") {
  const TemporaryFolder folder;
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const FileToWrite tried(pipe);  // trying does not open it: the reader would see the end
  std::string read;
  std::thread reader([&] { read = read_file(pipe); });
  write(pipe, "through a pipe");
  reader.join();
  CHECK(read == "through a pipe");
  CHECK(fs::is_fifo(pipe));
  write("/dev/null", "x");
  CHECK(fs::is_character_file("/dev/null"));
  CHECK_THROWS_WITH_AS(write("/dev/full", "x"),
                       "/dev/full could not be written whole: No space left on device; is the disk full?", Error);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a file that standard output goes to is gone on with") {
  const TemporaryFolder folder;
  const auto path = folder.write("out", "before\n");
  for (const char* name : {"/dev/stdout", "out"}) {
    const auto same = name[0] == '/' ? fs::path(name) : path;
    CHECK(in_a_process([&] {
            const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC);
            ::dup2(file, STDOUT_FILENO);
            std::printf("printed first\n");
            write(same, "written\n");
            std::printf("printed last\n");
          }) == 0);
    CHECK(read_file(path) == "printed first\nwritten\nprinted last\n");
  }
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("what would fail later is refused at once, and nothing is left") {
  const TemporaryFolder folder;
  const auto refused = [&](const fs::path& path, const char* sentence) {
    CHECK_THROWS_WITH_AS(FileToWrite{path}, doctest::Contains(sentence), Error);
  };
  refused(folder.path(), "cannot be written: it is a folder; give the name of a file");
  refused(folder.path() / "no/a", "cannot be written: there is no folder ");
  refused(folder.write("file", "") / "a", "cannot be written: Not a directory");
  refused(folder.path() / std::string(300, 'a'), "cannot be written: File name too long; choose a shorter one");
  refused("", "a file without a name cannot be written");
  fs::create_directory(folder.path() / "b.part");
  refused(folder.path() / "b", "b.part beside it: Is a directory");
  REQUIRE(::mkfifo((folder.path() / "c.part").c_str(), 0600) == 0);
  refused(folder.path() / "c", "c.part beside it");  // and it is not waited for
  CHECK(files_in(folder.path()) == 3);
  if (::geteuid() == 0) return;  // root may do all that follows
  const auto kept = folder.write("kept", "old");
  fs::permissions(kept, fs::perms(0444));
  refused(kept, "cannot be written: Permission denied; may you write there?");
  fs::permissions(folder.path(), fs::perms(0555));
  refused(folder.path() / "new", "new.part beside it: Permission denied; may you write there?");
  fs::permissions(folder.path(), fs::perms(0755));
}

TEST_CASE("names as long as names can be are written") {
  const TemporaryFolder folder;
  for (const std::size_t length : {250u, 251u, 255u}) {
    const auto path = folder.path() / std::string(length, 'a');
    write(path, "x"), write(path, "y");
    CHECK(read_file(path) == "y");
  }
  CHECK(files_in(folder.path()) == 3);
}

TEST_CASE("who holds a file keeps others out, also those who come through a link, until it is written or given up") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "old"), link = folder.path() / "link";
  fs::create_symlink("a", link);
  for (const bool gives_up : {true, false}) {
    {
      FileToWrite held(path);
      for (const auto& name : {path, link})
        CHECK_THROWS_WITH_AS(write(name, "x"), doctest::Contains("is being written by another program, or was asked "),
                             Error);
      CHECK(in_a_process([&] { write(link, "x"); }) == 1);
      CHECK(read_file(path) == "old");
      if (!gives_up) held.write("new"), held.finish();
    }
    CHECK(read_file(path) == (gives_up ? "old" : "new"));
    CHECK(files_in(folder.path()) == 2);
    write(link, "old");
  }
}

TEST_CASE("one that was killed, and one that somebody has tidied away, are no obstacle") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "old"), part = folder.path() / "a.part";
  CHECK(in_a_process([&] {
          FileToWrite held(path);
          held.write(std::string(1000, 'x'));
          ::_exit(0);  // nothing is put in order
        }) == 0);
  CHECK(fs::exists(part));
  FileToWrite file(path);
  CHECK(fs::file_size(part) == 0);
  fs::remove(part);
  file.write("new"), file.write("er"), file.finish();
  CHECK(read_file(path) == "newer");
  CHECK(files_in(folder.path()) == 1);
  {
    FileToWrite given_up(path);
    fs::remove(part);
    folder.write("a.part", "somebody else's");
  }
  CHECK(read_file(part) == "somebody else's");
}

TEST_CASE("a full disk leaves the old file and nothing beside it") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "old");
  const int status = in_a_process([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{100, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &small);
    try {
      write(path, std::string(1000, 'x'));
    } catch (const Error& error) {
      const std::string_view sentence = error.what();
      ::_exit(sentence.ends_with("could not be written whole: File too large; is the disk full?") ? 7 : 8);
    }
  });
  CHECK(status == 7);
  CHECK(read_file(path) == "old");
  CHECK(files_in(folder.path()) == 1);
}
