#include "gigacat/core/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iterator>
#include <thread>
#include <vector>

#include "gigacat/core/error.h"
#include "temporary_folder.h"

namespace gigacat {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

size_t count_entries(const TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

TEST(WriteAtomically, CreatesAndReplaces) {
  const TemporaryFolder folder;
  write_atomically(folder / "a", "first");
  EXPECT_EQ(read_file(folder / "a"), "first");
  write_atomically(folder / "a", "");
  EXPECT_EQ(read_file(folder / "a"), "");
  EXPECT_EQ(count_entries(folder), 1);
}

TEST(WriteAtomically, TakesAPathWithoutAFolder) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_atomically("plain", "x");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder / "plain"), "x");
}

TEST(WriteAtomically, WhatAKilledProcessLeavesIsRemoved) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) write_atomically(folder / "a", [](FileWriter&) { ::_exit(0); });
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  folder.file(".gigacat-1-0.tmp", "of another machine");
  EXPECT_EQ(count_entries(folder), 2);
  write_atomically(folder / "b", [&](FileWriter&) {
    remove_stale_temporaries(folder.path());
    EXPECT_EQ(count_entries(folder), 2);  // the other machine's, and the one that is being written
  });
  EXPECT_TRUE(fs::exists(folder / "b"));
  remove_stale_temporaries(folder / "nowhere");
}

TEST(WriteAtomically, KeepsTheOldFileWhenTheContentFails) {
  const TemporaryFolder folder;
  folder.file("a", "old");
  const auto half = [](FileWriter& out) {
    out.write(std::string(3 << 20, 'x'));
    fail("stopped half way");
  };
  EXPECT_EQ(error_of([&] { write_atomically(folder / "a", half); }), "stopped half way");
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(count_entries(folder), 1);
}

TEST(WriteAtomically, RefusesFoldersAndDevices) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "sub");
  EXPECT_THAT(error_of([&] { write_atomically(folder / "sub", "x"); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of([&] { write_atomically("/dev/null", "x"); }), HasSubstr("not a regular file"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_THAT(error_of([&] { write_atomically(folder / "absent/a", "x"); }),
              AllOf(HasSubstr("absent"), HasSubstr("No such file")));
  EXPECT_TRUE(fs::is_empty(folder / "sub"));
}

TEST(WriteAtomically, KeepsTheOldFileInAReadOnlyFolder) {
  const TemporaryFolder folder;
  folder.file("a", "old");
  fs::permissions(folder.path(), static_cast<fs::perms>(0555));
  // Root writes everywhere: it becomes nobody for a moment.
  const uid_t user = ::geteuid();
  if (user == 0) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const std::string error = error_of([&] { write_atomically(folder / "a", "new"); });
  ASSERT_EQ(::seteuid(user), 0);
  EXPECT_THAT(error, HasSubstr("permissions"));
  EXPECT_EQ(read_file(folder / "a"), "old");
}

TEST(WriteAtomically, WritesThroughALink) {
  const TemporaryFolder folder;
  folder.file("real", "old");
  fs::create_symlink("real", folder / "link");
  write_atomically(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "real"), "new");
  fs::create_symlink("nowhere", folder / "dangling");
  write_atomically(folder / "dangling", "new");
  EXPECT_EQ(read_file(folder / "dangling"), "new");
}

TEST(WriteAtomically, TakesTheLongestNameThereIs) {
  const TemporaryFolder folder;
  const std::string name(255, 'n');
  write_atomically(folder / name, "x");
  EXPECT_EQ(read_file(folder / name), "x");
}

// A reader sees one whole version or another, whoever writes meanwhile.
TEST(WriteAtomically, ReadersNeverSeeAPart) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("a", std::string(100'000, '0'));
  std::vector<std::thread> writers;
  for (const char c : {'1', '2'}) {
    writers.emplace_back([&path, c] {
      for (int i = 0; i < 20; ++i) write_atomically(path, std::string(100'000, c));
    });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(path);
    ASSERT_EQ(seen, std::string(100'000, seen[0]));
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(count_entries(folder), 1);
}

TEST(FileWriter, AppendsAndCountsItsPosition) {
  const TemporaryFolder folder;
  {
    FileWriter out(folder / "a");
    out.write("abc");
    EXPECT_EQ(out.position(), 3);
    out.write(std::string(5 << 20, 'x'));
    EXPECT_EQ(out.position(), 3 + (5 << 20));
  }
  {
    FileWriter out(folder / "a", /*append=*/true);
    EXPECT_EQ(out.position(), 3 + (5 << 20));
    out.write("end");
  }
  const std::string content = read_file(folder / "a");
  EXPECT_EQ(content.size(), 6 + (5 << 20));
  EXPECT_TRUE(content.starts_with("abcxxx") && content.ends_with("xxxend"));
}

TEST(FileWriter, FlushMakesTextVisible) {
  const TemporaryFolder folder;
  FileWriter out(folder / "a");
  out.write("line\n");
  EXPECT_EQ(read_file(folder / "a"), "");
  out.flush();
  EXPECT_EQ(read_file(folder / "a"), "line\n");
  out.write("next\n");
  out.flush(/*durable=*/true);
  EXPECT_EQ(read_file(folder / "a"), "line\nnext\n");
}

TEST(FileWriter, AFullDiskIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  FileWriter out("/dev/full");
  out.write("small");  // stays in the buffer
  EXPECT_THAT(error_of([&] { out.flush(); }), AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
  EXPECT_THAT(error_of([&] { out.write(std::string(2 << 20, 'x')); }), HasSubstr("free space"));
}

TEST(FileWriter, CannotBeOpened) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { FileWriter(folder / "no/such"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { FileWriter(folder.path()); }), HasSubstr("directory"));
}

TEST(ReadFile, ReadsAnyBytes) {
  const TemporaryFolder folder;
  const std::string bytes("\0\n\r\xFF x", 6);
  EXPECT_EQ(read_file(folder.file("a", bytes)), bytes);
  const std::string large(3'000'001, 'z');
  EXPECT_EQ(read_file(folder.file("b", large)), large);
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Name:"));
}

TEST(ReadFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read_file(folder / "absent"); }), AllOf(HasSubstr("absent"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }), HasSubstr("it is a folder"));
  EXPECT_THAT(error_of([&] { read_file("/dev/zero"); }), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { read_file(folder / "pipe"); }), HasSubstr("not a regular file"));
}

TEST(ReadFile, HoldsToItsLimit) {
  const TemporaryFolder folder;
  const fs::path path = folder.file("a", "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  EXPECT_THAT(error_of([&] { read_file(path, 4); }), HasSubstr("larger than 4 B"));
  // Its size is said to be 0.
  EXPECT_THAT(error_of([&] { read_file("/proc/self/status", 10); }), HasSubstr("larger than 10 B"));
}

TEST(MappedFile, MapsContent) {
  const TemporaryFolder folder;
  const MappedFile file(folder.file("a", "hello"));
  ASSERT_EQ(file.bytes().size(), 5);
  EXPECT_EQ(static_cast<char>(file.bytes()[4]), 'o');
  EXPECT_EQ(file.path(), folder / "a");
  EXPECT_TRUE(MappedFile(folder.file("empty", "")).bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { MappedFile(folder / "absent"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { MappedFile(folder.path()); }), HasSubstr("folder"));
}

TEST(SyncFolder, Errors) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(sync_folder(folder.path()));
  EXPECT_THAT(error_of([&] { sync_folder(folder / "absent"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([&] { sync_folder(folder.file("a", "")); }), HasSubstr("Not a directory"));
}

}  // namespace
}  // namespace gigacat
