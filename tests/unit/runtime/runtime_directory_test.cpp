// Whose a file prefix is: of the living process that has it, and of the next once that is gone.
#include "runnel/runtime/runtime_directory.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace runnel::runtime {
namespace runtime_directory_test {

namespace fs = std::filesystem;

class RuntimeDirectories : public testing::Test {
  protected:
    RuntimeDirectories() {
        std::string name = (fs::temp_directory_path() / "runnel-prefix-XXXXXX").string();
        all = fs::path{mkdtemp(name.data())} / "dpdk";
    }
    ~RuntimeDirectories() override {
        std::error_code error;
        fs::remove_all(all.parent_path(), error);
    }
    void write(const fs::path& file) const {
        fs::create_directories(file.parent_path());
        std::ofstream{file} << "left behind";
    }
    // Another process that claims `prefix` and waits to be killed; once it has it.
    [[nodiscard]] pid_t claimed_by_another(const char* prefix) const {
        int ends[2];
        EXPECT_EQ(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            const auto claim = RuntimeDirectory::claim(all, prefix);
            const char there = claim ? 'y' : 'n';
            if (write_octet(ends[1], there)) pause();
            _exit(1);
        }
        char there = 'n';
        EXPECT_EQ(read(ends[0], &there, 1), 1);
        EXPECT_EQ(there, 'y');
        close(ends[0]);
        close(ends[1]);
        return child;
    }
    static bool write_octet(int to, char octet) { return ::write(to, &octet, 1) == 1; }
    static void kill_and_wait(pid_t child) {
        kill(child, SIGKILL);
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
    }

    fs::path all;
};

TEST_F(RuntimeDirectories, OneClaimHasThePrefixAndGivesItBack) {
    {
        const auto one = RuntimeDirectory::claim(all, "demo");
        ASSERT_TRUE(one);
        EXPECT_EQ(one->path(), all / "demo");
        EXPECT_TRUE(fs::is_directory(all / "demo"));
        EXPECT_TRUE(RuntimeDirectory::claim(all, "other"));
        EXPECT_FALSE(RuntimeDirectory::claim(all, "demo")) << "a process has it once";
        EXPECT_TRUE(fs::is_directory(all / "demo"));
    }
    EXPECT_FALSE(fs::exists(all / "demo"));
    EXPECT_TRUE(RuntimeDirectory::claim(all, "demo"));
}

TEST_F(RuntimeDirectories, PrefixOfALivingProcessIsRefusedWithItsNumberAndTheMend) {
    const pid_t other = claimed_by_another("demo");
    try {
        (void)RuntimeDirectory::claim(all, "demo");
        ADD_FAILURE() << "it was given twice";
    } catch (const std::invalid_argument& refused) {
        for (const std::string& words :
             {std::string{"demo"}, "process " + std::to_string(other), std::string{"--file-prefix"}})
            EXPECT_THAT(refused.what(), testing::HasSubstr(words));
    }
    EXPECT_TRUE(fs::is_directory(all / "demo")) << "what is another's stays";
    kill_and_wait(other);
}

TEST_F(RuntimeDirectories, WhatAKilledProcessLeftIsTakenOver) {
    kill_and_wait(claimed_by_another("demo"));
    write(all / "demo" / "dpdk_telemetry.v2");
    ASSERT_TRUE(fs::is_directory(all / "demo"));
    const auto claim = RuntimeDirectory::claim(all, "demo");
    ASSERT_TRUE(claim);
    EXPECT_FALSE(fs::exists(all / "demo" / "dpdk_telemetry.v2"));
}

TEST_F(RuntimeDirectories, PrefixOfAProgramThatLocksNothingButAnswersIsRefused) {
    fs::create_directories(all / "demo");
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = all / "demo" / "dpdk_telemetry.v2";
    ASSERT_LT(name.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, name.data(), name.size());
    ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    EXPECT_THROW((void)RuntimeDirectory::claim(all, "demo"), std::invalid_argument);
    EXPECT_TRUE(fs::exists(name));
    close(listener);
    EXPECT_TRUE(RuntimeDirectory::claim(all, "demo")) << "its socket is there, and nobody behind it";
}

TEST_F(RuntimeDirectories, FoldersNamedByProcessesThatAreGoneAreRemovedAndNoOthers) {
    const pid_t living = claimed_by_another("beside");
    const pid_t gone = fork();
    if (gone == 0) _exit(0);
    int status = 0;
    ASSERT_EQ(waitpid(gone, &status, 0), gone);
    const std::string of_the_gone = "runnel_" + std::to_string(gone);
    const std::string of_the_living = "runnel_" + std::to_string(living);
    for (const std::string& name : {of_the_gone, of_the_living, std::string{"rte"}, std::string{"runnel_x"},
                                    std::string{"runnel_"}, of_the_gone + "b"})
        write(all / name / "config");
    EXPECT_TRUE(RuntimeDirectory::claim(all, "demo"));
    EXPECT_FALSE(fs::exists(all / of_the_gone));
    for (const std::string& name : {of_the_living, std::string{"rte"}, std::string{"runnel_x"},
                                    std::string{"runnel_"}, of_the_gone + "b", std::string{"beside"}})
        EXPECT_TRUE(fs::exists(all / name)) << name;
    kill_and_wait(living);
}

TEST_F(RuntimeDirectories, WhereThereCanBeNoFolderThereIsNoClaim) {
    EXPECT_FALSE(RuntimeDirectory::claim(all / "is" / "not" / "there", "demo"));
    write(all / "file");
    EXPECT_FALSE(RuntimeDirectory::claim(all, "file"));
    // A link would lead to what is somebody's else.
    fs::create_directories(all.parent_path() / "elsewhere");
    write(all.parent_path() / "elsewhere" / "kept");
    fs::create_directory_symlink(all.parent_path() / "elsewhere", all / "link");
    EXPECT_FALSE(RuntimeDirectory::claim(all, "link"));
    EXPECT_TRUE(fs::exists(all.parent_path() / "elsewhere" / "kept"));
}

}  // namespace runtime_directory_test
}  // namespace runnel::runtime
